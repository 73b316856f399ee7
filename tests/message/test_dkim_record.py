"""DKIM key records: written for people and read as verifiers do."""

import base64

import dns.rdata
import dns.rdatatype
import dns.zone
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.message.dkim import tags
from relay.message.dkim.record import STRING_MAX, KeyRecord, record_name, zone_text

# RFC 8463 appendix A.2.
ED25519_TEXT = b"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="


def refusal(text: bytes) -> str:
    with pytest.raises(ValueError) as caught:
        KeyRecord.parse(text)
    return str(caught.value)


def test_the_record_of_rfc_8463_is_read_and_written_alike() -> None:
    record = KeyRecord.parse(ED25519_TEXT)
    assert record.key_type == "ed25519"
    assert len(record.public_key) == 32
    assert record.text().encode() == ED25519_TEXT


def test_all_tags_are_read() -> None:
    record = KeyRecord.parse(b"v=DKIM1; h=sha1 : sha256; k=rsa; n=our key; s=email; t=y:s; p=AAEC;")
    assert record == KeyRecord(
        public_key=b"\x00\x01\x02",
        key_type="rsa",
        hashes=("sha1", "sha256"),
        services=("email",),
        flags=("y", "s"),
        notes="our key",
    )
    assert record.is_testing
    assert record.is_strict
    assert record.takes_sha256
    assert record.takes_email


def test_defaults_are_those_of_the_rfc() -> None:
    record = KeyRecord.parse(b"p=AAEC")
    assert (record.key_type, record.services, record.flags, record.hashes) == ("rsa", ("*",), (), ())
    assert record.takes_sha256
    assert record.takes_email
    assert not record.is_testing
    assert not record.is_revoked


def test_an_empty_p_means_revoked() -> None:
    assert KeyRecord.parse(b"v=DKIM1; p=").is_revoked
    assert KeyRecord.parse(b"v=DKIM1; p= ;").is_revoked


def test_other_hashes_and_services_shut_mail_out() -> None:
    assert not KeyRecord.parse(b"h=sha1; p=AAEC").takes_sha256
    assert not KeyRecord.parse(b"s=tlsrpt; p=AAEC").takes_email


def test_unknown_tags_and_folds_are_passed_over() -> None:
    assert KeyRecord.parse(b"v=DKIM1;\r\n x_y=1; p = AA\r\n\tEC ; ").public_key == b"\x00\x01\x02"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "p= with the public key is missing"),
        (b"v=DKIM1; k=rsa", "p= with the public key is missing"),
        (b"v=DKIM2; p=AAEC", "v= must be DKIM1"),
        (b"v=dkim1; p=AAEC", "v= must be DKIM1"),
        (b"k=rsa; v=DKIM1; p=AAEC", "must be the first tag"),
        (b"v=DKIM1; p=AAEC; p=AAEC", "p= stands twice"),
        (b"v=DKIM1; p=AA!C", "no base64"),
        (b"v=DKIM1; p=AAE", "no base64"),
        (b"v=DKIM1; p=-----BEGIN PUBLIC KEY-----AAEC", "no base64"),
        (b"v=DKIM1\\; k=rsa\\; p=AAEC", 'v= must be DKIM1; found "DKIM1\\"'),
        (b'"v=DKIM1; k=rsa; p=AAEC"', '""v" is no tag name'),
        (b"v=DKIM1 k=rsa p=AAEC", 'v= must be DKIM1; found "DKIM1 k=rsa p=AAEC"'),
        (b"v=DKIM1;; p=AAEC", 'nothing between two ";"'),
        (b"v=DKIM1; AAEC", '"AAEC" has no "="'),
        (b"v=DKIM1; \xc3\xa4=1; p=AAEC", "is no tag name"),
        (b"x" * 70_000, "too long"),
    ],
)
def test_a_broken_record_is_refused_in_words(text: bytes, words: str) -> None:
    assert words in refusal(text)


def test_the_name_stands_under_domainkey() -> None:
    assert record_name("example.com", "s1") == "s1._domainkey.example.com"


def test_a_short_record_is_one_line() -> None:
    assert zone_text("s._domainkey.example.com", "v=DKIM1; p=AAEC", 60) == (
        's._domainkey.example.com. 60 IN TXT "v=DKIM1; p=AAEC"'
    )


@given(st.binary(max_size=1100))
def test_a_name_server_reads_back_what_the_zone_text_says(key: bytes) -> None:
    value = KeyRecord(public_key=key).text()
    text = "@ 60 IN SOA a. b. 1 1 1 1 1\n@ 60 IN NS a.\n" + zone_text("s._domainkey.example.com", value)
    zone = dns.zone.from_text(text, origin="example.com.")
    strings = zone.find_rdataset("s._domainkey", "TXT")[0].strings
    assert max(map(len, strings)) <= STRING_MAX
    assert KeyRecord.parse(b"".join(strings)).public_key == key


words = st.lists(st.sampled_from(["y", "s", "email", "sha256", "sha1"]), max_size=3, unique=True).map(tuple)


@given(
    st.binary(max_size=300), st.sampled_from(["rsa", "ed25519"]), words, words, st.sampled_from(["", "note"])
)
def test_what_is_written_is_read_alike(
    key: bytes, key_type: str, hashes: tuple[str, ...], flags: tuple[str, ...], notes: str
) -> None:
    record = KeyRecord(public_key=key, key_type=key_type, hashes=hashes, flags=flags, notes=notes)
    assert KeyRecord.parse(record.text().encode()) == record


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused_with_value_error(text: bytes) -> None:
    try:
        record = KeyRecord.parse(text)
    except ValueError as error:
        assert str(error)
    else:
        assert base64.b64decode(tags.parse(text)[b"p"].translate(None, tags.WSP)) == record.public_key
