"""Whose domain a From field names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.message.dkim.author import author_domain, domain_of
from relay.message.header import Header


@pytest.mark.parametrize(
    ("value", "domain"),
    [
        (b"a@example.com", b"example.com"),
        (b"<a@example.com>", b"example.com"),
        (b"A Person <a@Example.COM>", b"example.com"),
        (b"A Person <a@example.com.>", b"example.com"),
        (b'"Person, A" <a@example.com>', b"example.com"),
        (b'"evil@other.example" <a@example.com>', b"example.com"),
        (b'"a@b"@example.com', b"example.com"),
        (b'"a \\" @x <y@z> " <a@example.com>', b"example.com"),
        (b"A (comment (nested) @x.y) <a@example.com> (more)", b"example.com"),
        (b"a@example.com (A Person)", b"example.com"),
        (b"a@example.com, B <b@example.com>", b"example.com"),
        (b", a@example.com,", b"example.com"),
        (b"=?utf-8?q?J=C3=B6rg?= <a@xn--bcher-kva.example>", b"xn--bcher-kva.example"),
        ("Jörg <a@bücher.example>".encode(), "bücher.example".encode()),
        (b"A\t<a@example.com>", b"example.com"),
    ],
)
def test_one_domain_is_found(value: bytes, domain: bytes) -> None:
    assert domain_of(value) == domain


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"nobody",
        b"@",
        b"@example.com,",
        b"a@",
        b"a@[192.0.2.1]",
        b"a@.example.com",
        b"a@example.com, b@example.org",
        b"a@example.com, nobody",
        b"a@b@example.com",
        b"A <a@example.com",
        b"A a@example.com>",
        b"A <a@example.com> <b@example.com>",
        b"<a@example.com> trailing",
        b'"open <a@example.com>',
        b"(open <a@example.com>",
        b"Friends: a@example.com;",
        b"undisclosed:;",
        b"<@hop.example,@b:a@example.com>",
        b'"John @ home" <john>',
        b"a@exam ple.com",
        b"a@example.com\\",
    ],
)
def test_what_is_doubtful_names_no_domain(value: bytes) -> None:
    assert domain_of(value) is None


def test_several_from_fields_name_no_domain() -> None:
    assert author_domain(Header.of(b"From: a@example.com\r\nfrom: a@example.com\r\n\r\n")) is None


def test_no_from_field_names_no_domain() -> None:
    assert author_domain(Header.of(b"Sender: a@example.com\r\n\r\n")) is None


def test_a_folded_field_is_read_as_one_line() -> None:
    assert author_domain(Header.of(b"From: A Person\r\n <a@example.com>\r\n\r\n")) == b"example.com"


@given(st.text('<>@(),;:"\\ ab.', max_size=30))
def test_nothing_breaks_it_and_what_it_finds_stands_in_the_value(text: str) -> None:
    domain = domain_of(text.encode())
    assert domain is None or (domain and domain in text.encode() and b"@" not in domain)
