"""The one address of a From field, whatever stands around it."""

import re
from email import policy
from email.parser import BytesHeaderParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.message import from_field
from relay.message.dkim.author import domain_of
from relay.message.edit import Edit, apply
from relay.message.from_field import (
    MANY_ADDRESSES,
    MANY_FIELDS,
    NO_ADDRESS,
    NO_FIELD,
    TOO_LONG,
    Author,
    address_in,
    author_address,
    author_of,
)
from relay.message.header import Header, unfold

NEW = b"scanner@contoso.com"


def rewritten(value: bytes) -> bytes:
    """The value with another address in place of its own."""
    found = address_in(value)
    assert isinstance(found, Author), found
    changed = bytearray(value)
    apply(changed, [Edit(found.start, found.end, NEW)])
    return bytes(changed)


@pytest.mark.parametrize(
    ("value", "address", "after"),
    [
        (b" p@local", b"p@local", b" " + NEW),
        (b"<p@local>", b"p@local", b"<" + NEW + b">"),
        (b" Front desk <p@local>", b"p@local", b" Front desk <" + NEW + b">"),
        (b' "Desk, front" <p@local>', b"p@local", b' "Desk, front" <' + NEW + b">"),
        (b' "a <x@y>; \\" b" <p@local>', b"p@local", b' "a <x@y>; \\" b" <' + NEW + b">"),
        (b" p@local <p@local>", b"p@local", b" p@local <" + NEW + b">"),
        (b" =?utf-8?q?J=C3=B6rg?= =?utf-8?b?w6Q=?= <p@local>", b"p@local",
         b" =?utf-8?q?J=C3=B6rg?= =?utf-8?b?w6Q=?= <" + NEW + b">"),
        (b" J\xc3\xb6rg <p@local>", b"p@local", b" J\xc3\xb6rg <" + NEW + b">"),
        (b" \xe4\xf6 <p@local>", b"p@local", b" \xe4\xf6 <" + NEW + b">"),
        ("jörg@bücher.example".encode(), "jörg@bücher.example".encode(), NEW),
        (b"\r\n Front\r\n\tdesk\r\n <p@local>", b"p@local", b"\r\n Front\r\n\tdesk\r\n <" + NEW + b">"),
        (b" < p@local\t>\t(c)", b"p@local", b" < " + NEW + b"\t>\t(c)"),
        (b" p@local (Front (first floor) \\( <x@y>, desk)", b"p@local",
         b" " + NEW + b" (Front (first floor) \\( <x@y>, desk)"),
        (b"(x@y) a (b) <(c)p@local(d)>(e)", b"p@local", b"(x@y) a (b) <(c)" + NEW + b"(d)>(e)"),
        (b'"a b"@local', b'"a b"@local', NEW),
        (b'"a\r\n b@c"@local', b'"a b@c"@local', NEW),
        (b"p@[192.0.2.1]", b"p@[192.0.2.1]", NEW),
        (b"A <p.q+r=s/t'u@a-b.local>", b"p.q+r=s/t'u@a-b.local", b"A <" + NEW + b">"),
        (b"" + b"p" * 314 + b"@local", b"p" * 314 + b"@local", NEW),
    ],
)  # fmt: skip
def test_the_address_is_found_and_nothing_else_changes(value: bytes, address: bytes, after: bytes) -> None:
    found = address_in(value)
    assert isinstance(found, Author) and found.address == address
    assert rewritten(value) == after
    assert rewritten(after) == after


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", NO_ADDRESS),
        (b" nobody", NO_ADDRESS),
        (b" Front desk", NO_ADDRESS),
        (b" Front desk <desk>", NO_ADDRESS),
        (b" Desk p@local", NO_ADDRESS),
        (b" p @ local", NO_ADDRESS),
        (b" @local", NO_ADDRESS),
        (b" p@", NO_ADDRESS),
        (b" p@q@local", NO_ADDRESS),
        (b" <p@local", NO_ADDRESS),
        (b" p@local>", NO_ADDRESS),
        (b" <p@local> x", NO_ADDRESS),
        (b" <p@local> <q@local>", NO_ADDRESS),
        (b" <<p@local>>", NO_ADDRESS),
        (b" <>", NO_ADDRESS),
        (b' "open <p@local>', NO_ADDRESS),
        (b" (open <p@local>", NO_ADDRESS),
        (b" [open <p@local>", NO_ADDRESS),
        (b" p\\@local", NO_ADDRESS),
        (b" p\x01@local", NO_ADDRESS),
        (b' "p\nX-Evil: y"@local', NO_ADDRESS),
        (b' "p\x1b[2J"@local', NO_ADDRESS),
        (b" p@[192\r.0.2.1]", NO_ADDRESS),
        (b" " + b"p" * 315 + b"@local", NO_ADDRESS),
        (b" " * 4090 + b"p@local", TOO_LONG),
        (b" a@local, b@local", MANY_ADDRESSES),
        (b" a@local,", MANY_ADDRESSES),
        (b" Desk, front <p@local>", MANY_ADDRESSES),
        (b" Friends: a@local;", MANY_ADDRESSES),
        (b" undisclosed:;", MANY_ADDRESSES),
        (b" <@hop.example:p@local>", MANY_ADDRESSES),
    ],
)
def test_what_is_not_just_one_address_is_told(value: bytes, reason: str) -> None:
    assert address_in(value) == reason


def test_the_field_is_found_among_others() -> None:
    content = b"To: x@y\r\nFROM : A <p@local>\r\nSender: z@y\r\n\r\nFrom: body@local\r\n"
    found = author_of(Header.of(content))
    assert isinstance(found, Author)
    assert content[found.start : found.end] == found.address == b"p@local"


def test_without_just_one_field_there_is_no_author() -> None:
    assert author_of(Header.of(b"To: x@y\r\n\r\n")) == NO_FIELD
    assert author_of(Header.of(b"From: a@b\r\nfrom: a@b\r\n\r\n")) == MANY_FIELDS


SPACES = st.sampled_from([b"", b" ", b"\t", b"\r\n ", b" (note)", b"(a (b) \\) <x@y>,)\r\n\t"])
NAMES = st.sampled_from([b"", b"Desk ", b'"x@y, <z>;" ', b"=?utf-8?q?_=40?= ", b"\xc3\xa4\xff ", b"D. E. "])
LOCALS = st.sampled_from([b"p", b"p.q", b"p+1", b'"p q"', b'"\\""', b"\xc3\xa4"])


@given(SPACES, NAMES, SPACES, LOCALS, SPACES, SPACES, st.booleans())
def test_everything_around_the_address_stays(
    first: bytes, name: bytes, second: bytes, local: bytes, third: bytes, last: bytes, in_brackets: bool
) -> None:
    address = local + b"@local.example"
    if in_brackets:
        before, after = first + name + b"<" + second, third + b">" + last
    else:
        before, after = first + second, third + last
    found = address_in(before + address + after)
    assert found == Author(address, len(before), len(before) + len(address))
    assert rewritten(before + address + after) == before + NEW + after
    assert domain_of(unfold(before + NEW + after)) == b"contoso.com"


@given(st.binary(max_size=60))
def test_any_bytes_have_an_address_or_a_reason(noise: bytes) -> None:
    found = address_in(noise)
    if isinstance(found, Author):
        assert b"@" in found.address and not {10, 13, 0} & set(found.address)
        assert unfold(noise[found.start : found.end]) == found.address


@pytest.mark.parametrize(
    "value", [b"p@local", b"Desk <p@local>", b'"Desk, front" <p@local>', b"p@local (Desk)", b"=?utf-8?q?=C3=A4?= <p@local>"]
)  # fmt: skip
def test_python_reads_the_same_address(value: bytes) -> None:
    for text in (value, rewritten(value)):
        parsed = BytesHeaderParser(policy=policy.default).parsebytes(b"From: " + text + b"\r\n\r\n")
        (address,) = parsed["From"].addresses
        found = address_in(text)
        assert isinstance(found, Author) and found.address.decode() == address.addr_spec


def test_the_author_of_a_mail_is_its_only_address_or_nobody() -> None:
    assert author_address(b"To: x\r\nFrom: A <A@b.example>\r\n\r\nFrom: c@d\r\n") == b"A@b.example"
    assert author_address(b"From: a@b\r\nFrom: a@b\r\n\r\n") is None
    assert author_address(b"no header") is None


@given(st.lists(st.sampled_from([b"a", b"b.c", b"@", b"<", b">", b" ", b"\t", b"\r\n ", b'"', b"(", b")", b",", b";",
                                 b":", b"\\", b"[", b"]", b"\x01", b"\x7f", b"\xc3\xb6", b"a@b", b"<a@b>"]), max_size=9))  # fmt: skip
def test_the_short_way_says_what_the_long_one_says(pieces: list[bytes]) -> None:
    value = b"".join(pieces)
    long_way = re.compile(rb"(?!)")
    quick = address_in(value)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(from_field, "_PLAIN", long_way)
        assert quick == address_in(value)
