"""Published records against a real name server on this machine: every slip is told in words."""

import base64
import itertools
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from relay.identity.dkim_check import Finding, Level, check, check_retired
from relay.identity.dkim_dns import Lookup, NoAnswer, lookup_by
from relay.identity.dkim_key import SigningKey
from tests.fakes.name_server import NameServer
from tests.identity.keys import ed25519_key, rsa_key, rsa_pem

NAME = "s1._domainkey.example.com"
KEY = rsa_key()
VALUE = KEY.public_record_value()


@pytest.fixture
def names() -> Iterator[NameServer]:
    with NameServer() as server:
        yield server


@pytest.fixture
def look_up(names: NameServer) -> Lookup:
    return lookup_by(names.address)


def findings(look_up: Lookup, key: SigningKey = KEY, identity: str | None = None) -> tuple[Finding, ...]:
    return check("example.com", "s1", key, look_up, identity)


def only(look_up: Lookup, key: SigningKey = KEY) -> tuple[Level, str]:
    (finding,) = findings(look_up, key)
    return finding.level, finding.text


@pytest.mark.parametrize(
    "key", [rsa_key(), ed25519_key(), SigningKey(rsa_pem(4096), "big")], ids=["rsa2048", "ed25519", "rsa4096"]
)
def test_the_record_that_fits_gives_nothing_to_say(
    names: NameServer, look_up: Lookup, key: SigningKey
) -> None:
    names.publish(NAME, key.public_record_value())
    assert findings(look_up, key) == ()


def test_a_record_too_long_for_udp_is_read_over_tcp(names: NameServer, look_up: Lookup) -> None:
    names.publish(NAME, VALUE + "; n=" + "x" * 2000)
    assert findings(look_up) == ()


def test_the_rsa_key_may_be_published_in_the_form_the_rfc_names(names: NameServer, look_up: Lookup) -> None:
    der = load_der_public_key(KEY.public_key).public_bytes(Encoding.DER, PublicFormat.PKCS1)
    names.publish(NAME, f"v=DKIM1; p={base64.b64encode(der).decode()}")
    assert findings(look_up) == ()


def test_a_missing_record_is_an_error(look_up: Lookup) -> None:
    assert only(look_up) == (Level.ERROR, f"missing: there is no TXT record at {NAME}")


def test_a_provider_that_adds_the_domain_by_itself_is_found_out(names: NameServer, look_up: Lookup) -> None:
    names.publish(f"{NAME}.example.com", VALUE)
    level, text = only(look_up)
    assert level is Level.ERROR
    assert text.endswith("name the record s1._domainkey")


def test_a_cname_is_followed_and_told_of(names: NameServer, look_up: Lookup) -> None:
    names.aliases[NAME] = "s1.keys.example.net"
    names.publish("s1.keys.example.net", VALUE)
    assert only(look_up) == (Level.NOTE, f"is reached by CNAME: {NAME} → s1.keys.example.net")


def test_a_long_chain_of_cnames_is_warned_of(names: NameServer, look_up: Lookup) -> None:
    chain = [NAME, *(f"k{i}.example.net" for i in range(5))]
    names.aliases.update(itertools.pairwise(chain))
    names.publish(chain[-1], VALUE)
    level, text = only(look_up)
    assert level is Level.WARNING
    assert text.startswith("is reached by 5 CNAMEs")


def test_a_cname_that_leads_nowhere_says_where_to(names: NameServer, look_up: Lookup) -> None:
    names.aliases[NAME] = "s1.keys.example.net"
    assert only(look_up) == (
        Level.ERROR,
        f"missing: {NAME} → s1.keys.example.net leads to a name without a TXT record",
    )


@pytest.mark.parametrize(
    ("value", "level", "words"),
    [
        (rsa_key(1).public_record_value(), Level.ERROR, "other key: the record does not hold"),
        (ed25519_key().public_record_value(), Level.ERROR, "other key: the record says k=ed25519"),
        ("v=DKIM1; p=", Level.ERROR, "revoked"),
        (VALUE.replace("k=rsa", "k=rsa; t=y"), Level.WARNING, "t=y"),
        (VALUE.replace("k=rsa", "k=rsa; h=sha1"), Level.ERROR, "sha256 is not among"),
        (VALUE.replace("k=rsa", "k=rsa; s=tlsrpt"), Level.ERROR, "not for email"),
        (VALUE.replace("DKIM1;", "DKIM1"), Level.ERROR, "syntax: v= must be DKIM1"),
        (VALUE.replace(";", "\\\\;"), Level.ERROR, "a backslash stands within"),
        ('\\"' + VALUE + '\\"', Level.ERROR, "quotes stand within"),
        (VALUE.replace("p=", "p=-----BEGIN PUBLIC KEY-----"), Level.ERROR, "the lines of the PEM file"),
        ((VALUE + "AAAA")[:255], Level.ERROR, "the provider cut it"),
        (VALUE[:118], Level.ERROR, "no RSA public key; it may be cut short"),
        ("v=spf1 -all", Level.ERROR, "syntax: v= must be DKIM1"),
    ],
)
def test_what_is_wrong_with_a_record_is_said(
    names: NameServer, look_up: Lookup, value: str, level: Level, words: str
) -> None:
    names.texts[NAME] = [" ".join(f'"{part}"' for part in (value[:100], value[100:200], value[200:]) if part)]
    found = only(look_up)
    assert found[0] is level
    assert words in found[1]


def test_a_short_key_is_warned_of(names: NameServer, look_up: Lookup) -> None:
    key = SigningKey(rsa_pem(1024), "small")
    names.publish(NAME, key.public_record_value())
    level, text = only(look_up, key)
    assert (level, "1024 bits" in text) == (Level.WARNING, True)


def test_two_records_at_one_name_are_an_error(names: NameServer, look_up: Lookup) -> None:
    names.publish(NAME, VALUE)
    names.publish(NAME, "v=DKIM1; p=")
    level, text = only(look_up)
    assert level is Level.ERROR
    assert "there are 2 TXT records" in text


def test_a_strict_record_forbids_an_identity_of_a_subdomain(names: NameServer, look_up: Lookup) -> None:
    names.publish(NAME, VALUE.replace("k=rsa", "k=rsa; t=s"))
    assert findings(look_up) == ()
    assert findings(look_up, identity="example.com") == ()
    (finding,) = findings(look_up, identity="news.example.com")
    assert (finding.level, finding.text[:4]) == (Level.ERROR, "t=s:")


def test_a_retired_key_that_is_still_published_is_warned_of(names: NameServer, look_up: Lookup) -> None:
    assert check_retired("example.com", "s1", look_up) == ()
    names.publish(NAME, "v=DKIM1; p=")
    assert check_retired("example.com", "s1", look_up) == ()
    names.texts.clear()
    names.publish(NAME, VALUE)
    (finding,) = check_retired("example.com", "s1", look_up)
    assert (finding.level, "revoke it" in finding.text) == (Level.WARNING, True)


def test_a_broken_name_server_is_no_missing_record(names: NameServer, look_up: Lookup) -> None:
    names.is_broken = True
    with pytest.raises(NoAnswer, match="broken, or refuse"):
        findings(look_up)


def test_a_silent_name_server_is_waited_for_within_bounds(
    names: NameServer, look_up: Lookup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.identity.dkim_dns.LOOKUP_TIMEOUT_S", 0.2)
    names.is_silent = True
    with pytest.raises(NoAnswer, match=r"within 0\.2 s"):
        findings(lookup_by(names.address))
