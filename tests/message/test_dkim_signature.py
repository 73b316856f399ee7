"""The DKIM-Signature field: its tags, its folds, and that dkimpy finds it good."""

import base64
import hashlib
import itertools

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.message.dkim import tags
from relay.message.dkim.canonical import Canonicalization, body_hash
from relay.message.dkim.signature import (
    DEFAULT_OVERSIGN,
    Algorithm,
    Prepared,
    SigningOptions,
    prepare,
    with_blank_line,
)
from relay.message.header import Header
from tests import dkimpy

NOW = 1_795_000_000.75
HEADER = (
    b"Received: from a by b;\r\n\tTue, 24 Nov 2026 00:00:00 +0000\r\n"
    b"From: A <a@example.com>\r\nTo: b@example.org,\r\n  c@example.org\r\nSubject:  Two  spaces \r\n"
    b"Date: Tue, 24 Nov 2026 00:00:00 +0000\r\nX-Other: left out\r\n\r\n"
)
BODY = b"Hello  there \r\n\r\n\r\n"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
RECORDS = {
    b"s1._domainkey.example.com": b"v=DKIM1; k=ed25519; p="
    + base64.b64encode(KEY.public_key().public_bytes_raw())
}


def options(
    header: Canonicalization = Canonicalization.RELAXED,
    body: Canonicalization = Canonicalization.RELAXED,
    oversign: tuple[bytes, ...] = DEFAULT_OVERSIGN,
    identity: bytes | None = None,
    lifetime_s: int | None = None,
) -> SigningOptions:
    return SigningOptions(
        b"example.com", b"s1", Algorithm.ED25519_SHA256, header, body, oversign, identity, lifetime_s
    )


def sign(prepared: Prepared) -> bytes:
    return prepared.field(KEY.sign(hashlib.sha256(prepared.data).digest()))


def signed(options: SigningOptions, header: bytes = HEADER, body: bytes = BODY) -> bytes:
    return sign(prepare(Header.of(header), body_hash(body, options.body), options, NOW))


def found(field: bytes) -> dict[bytes, bytes]:
    return tags.parse(field.partition(b":")[2])


@pytest.mark.parametrize(("header", "body"), list(itertools.product(Canonicalization, repeat=2)))
def test_dkimpy_verifies_every_pair(header: Canonicalization, body: Canonicalization) -> None:
    field = signed(options(header, body, identity=b"@mail.example.com", lifetime_s=99_999_999))
    assert dkimpy.verifies(field + HEADER + BODY, RECORDS) == [True]
    assert dkimpy.verifies(field + HEADER + b"Other" + BODY, RECORDS) == [False]
    assert dkimpy.verifies(field + HEADER.replace(b"Two", b"Three") + BODY, RECORDS) == [False]


@pytest.mark.parametrize("header", Canonicalization)
@pytest.mark.parametrize("name", DEFAULT_OVERSIGN)
def test_nobody_can_add_an_oversigned_field(header: Canonicalization, name: bytes) -> None:
    field = signed(options(header))
    assert dkimpy.verifies(field + name + b": another\r\n" + HEADER + BODY, RECORDS) == [False]


def test_a_field_that_is_not_signed_may_be_added() -> None:
    assert dkimpy.verifies(signed(options()) + b"X-New: x\r\n" + HEADER + BODY, RECORDS) == [True]


def test_the_tags_say_what_was_asked_for() -> None:
    field = signed(options(Canonicalization.SIMPLE, identity=b"@example.com", lifetime_s=3600))
    values = found(field)
    assert values[b"v"] == b"1"
    assert values[b"a"] == b"ed25519-sha256"
    assert values[b"c"] == b"simple/relaxed"
    assert (values[b"d"], values[b"s"], values[b"i"]) == (b"example.com", b"s1", b"@example.com")
    assert (values[b"t"], values[b"x"]) == (b"1795000000", b"1795003600")
    assert base64.b64decode(values[b"bh"]) == body_hash(BODY, Canonicalization.RELAXED)


def test_tags_that_were_not_asked_for_are_not_there() -> None:
    assert list(found(signed(options()))) == [b"v", b"a", b"c", b"d", b"s", b"t", b"h", b"bh", b"b"]


def test_the_list_holds_each_field_and_each_oversigned_name_once_more() -> None:
    listed = tags.joined(found(signed(options()))[b"h"]).split(b":")
    assert listed[:8] == [b"from", b"from", b"to", b"to", b"cc", b"subject", b"subject", b"date"]
    assert b"received" not in listed and b"x-other" not in listed


def test_from_is_signed_whatever_the_list_says() -> None:
    assert b"from" in tags.joined(found(signed(options(oversign=(b"X-Other",))))[b"h"]).split(b":")


def test_a_mail_without_from_cannot_be_signed() -> None:
    with pytest.raises(ValueError, match="From"):
        prepare(b"To: x\r\n\r\n", bytes(32), options(), NOW)


def test_the_header_may_come_as_bytes() -> None:
    assert prepare(HEADER, bytes(32), options(), NOW) == prepare(Header.of(HEADER), bytes(32), options(), NOW)


def test_white_space_and_separators_in_the_identity_are_encoded() -> None:
    assert found(signed(options(identity=b"a b;c=d@example.com")))[b"i"] == b"a=20b=3Bc=3Dd@example.com"


@pytest.mark.parametrize("size", [64, 128, 256, 512])
def test_no_line_is_longer_than_mail_allows(size: int) -> None:
    prepared = prepare(HEADER, bytes(32), options(identity=b"@" + b"label." * 9 + b"example.com"), NOW)
    lines = prepared.field(b"\xff" * size).split(b"\r\n")
    assert lines.pop() == b""
    assert max(map(len, lines)) <= 78
    assert all(line.startswith(b"\t") for line in lines[1:])
    assert base64.b64decode(tags.joined(found(prepared.field(b"\xff" * size))[b"b"])) == b"\xff" * size


def test_a_thousand_recipients_fields_are_listed_on_lines_of_their_own() -> None:
    header = b"From: a@example.com\r\n" + b"To: b@example.org\r\n" * 1000 + b"\r\n"
    field = signed(options(), header)
    assert max(map(len, field.split(b"\r\n"))) <= 78
    assert dkimpy.verifies(field + header + BODY, RECORDS) == [True]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"A: b\r\n\r\nbody\r\n", b"A: b\r\n\r\nbody\r\n"),
        (b"A: b\r\nno field\r\n", b"A: b\r\n\r\nno field\r\n"),
        (b"A: b\r\n", b"A: b\r\n\r\n"),
        (b"\r\nbody\r\n", b"\r\nbody\r\n"),
    ],
)
def test_a_blank_line_is_put_where_none_is(content: bytes, expected: bytes) -> None:
    assert with_blank_line(content, Header.of(content)) == expected
    assert with_blank_line(bytearray(content), Header.of(content)) == expected


NAMES = st.sampled_from([b"From", b"To", b"subject", b"List-Unsubscribe", b"DATE", b"X-Other", b"References"])
VALUES = st.lists(
    st.sampled_from([b" ", b"\t", b"\r\n ", b"word", b";", b"=", b"\xc3\xa4"]), min_size=1, max_size=8
).map(b"".join)


@given(
    st.lists(st.tuples(NAMES, VALUES), max_size=8),
    st.sampled_from(Canonicalization),
    st.sampled_from(Canonicalization),
    st.sampled_from([b"", b"\r\n", b" \r\n", b"a  b\t\r\n\r\n"]),
)
@settings(max_examples=100, deadline=None)
def test_dkimpy_verifies_any_header(
    fields: list[tuple[bytes, bytes]], header: Canonicalization, body: Canonicalization, text: bytes
) -> None:
    # A line of white space only ends the header for dkimpy, so every line gets a word.
    lines = b"".join(b"%b: x%b\r\n" % (name, value.replace(b"\r\n ", b"\r\n x")) for name, value in fields)
    mail = lines + b"From: a@example.com\r\n\r\n"
    field = signed(options(header, body), mail, text)
    assert dkimpy.verifies(field + mail + text, RECORDS) == [True]
