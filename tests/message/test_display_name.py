"""What a person reads beside the address: decoded, and other addresses in it found."""

import base64
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.message.display_name import display_name, domains_shown, has_tricks, is_plain
from relay.message.from_field import address_in


def b64(text: str, charset: str = "utf-8") -> bytes:
    return b"=?%b?B?%b?=" % (charset.encode(), base64.b64encode(text.encode(charset)))


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (b"bob@example.com", ""),
        (b" <bob@example.com>", ""),
        (b" Bob <bob@example.com>", "Bob"),
        (b' "Bob, the \\"Builder\\"" <bob@example.com>', 'Bob, the "Builder'),
        (b" bob@example.com (Bob)", "(Bob)"),
        (b" =?iso-8859-1?q?J=F6rg_M?= <j@example.com>", "Jörg M"),
        (b" " + b64("Jörg") + b"\r\n " + b64(" Müller") + b" <j@example.com>", "Jörg Müller"),
        (b" =?utf-8*de?q?J=C3=B6rg?= <j@example.com>", "Jörg"),
        (b" =?utf-8?b?Sm9l?= <j@example.com>", "Joe"),
        (b" =?no-such?q?x?= <j@example.com>", "=?no-such?q?x?="),
        (b" =?utf-8?b?!?= <j@example.com>", ""),
        ("Jörg <j@example.com>".encode(), "Jörg"),
        (b" J\xf6rg <j@example.com>", "J\N{REPLACEMENT CHARACTER}rg"),
    ],
)
def test_the_name_is_what_a_person_reads(value: bytes, name: str) -> None:
    assert display_name(value) == name


@pytest.mark.parametrize(
    "value",
    [
        b' "boss@contoso.com" <eve@evil.example>',
        b" boss@contoso.com <eve@evil.example>",
        b" The Boss (boss@contoso.com) <eve@evil.example>",
        b" eve@evil.example (boss@contoso.com)",
        b' "boss\\@contoso.com" <eve@evil.example>',
        b' "<boss@contoso.com>" <eve@evil.example>',
        b" =?utf-8?q?boss=40contoso=2Ecom?= <eve@evil.example>",
        b" =?utf-8?q?boss=40con?= =?utf-8?q?toso.com?= <eve@evil.example>",
        b" " + b64("boss＠contoso．com") + b" <eve@evil.example>",
        b" " + b64("boss@conto\u200bso.com") + b" <eve@evil.example>",
        b" " + b64("BOSS@CONTOSO.COM", "utf-16") + b" <eve@evil.example>",
    ],
)
def test_another_address_in_the_name_is_found_however_it_was_written(value: bytes) -> None:
    assert list(domains_shown(display_name(value))) == ["contoso.com"]


@pytest.mark.parametrize(
    "value", [b" Bob @ Work <b@example.com>", b" b@home <b@example.com>", b" @contoso.com <b@example.com>"]
)
def test_an_at_sign_alone_is_no_address(value: bytes) -> None:
    assert list(domains_shown(display_name(value))) == []


@pytest.mark.parametrize("trick", ["\u202e", "\u2066", "\u2028", "\x00", "\x1b", "\x7f", "\x85", "\n"])
def test_controls_and_what_turns_letters_round_are_tricks(trick: str) -> None:
    assert has_tricks(display_name(b" " + b64(f"Bo{trick}b") + b" <b@example.com>"))


@pytest.mark.parametrize(
    "name", ["Bob\tB", "\u05d3\u05d5\u05d3\u200f", "\U0001f468\u200d\U0001f469 Families"]
)
def test_what_names_are_written_with_is_none(name: str) -> None:
    assert not has_tricks(display_name(b" " + b64(name) + b" <b@example.com>"))


@pytest.mark.parametrize(
    "piece",
    [
        b"a",
        b"@",
        b"a@",
        b"'",
        b"a'",
        b"a.",
        b"=?",
        b"=?a?q?",
        b"=?a?q?b?=",
        b"?= ",
        b"?=\t",
        b"\xef\xb7\xba",
        b"(",
    ],
)
def test_long_names_cost_no_more_than_their_length(piece: bytes) -> None:
    def cost(size: int) -> float:
        began = time.perf_counter()
        name = display_name(b" " + piece * (size // len(piece)) + b" <b@example.com>")
        list(domains_shown(name))
        has_tricks(name)
        return time.perf_counter() - began

    # The value is cut at 4,096 bytes: 18 letters for each (U+FDFA) are some milliseconds.
    assert min(cost(100_000) for _ in range(3)) < 0.05


@given(st.lists(st.sampled_from([b"Bob", b" ", b"\t", b"\r\n ", b"<", b">", b'"', b"(", b")", b"a@b.example", b"@", b"\x01",
                                 b"\x7f", b"=?utf-8?q?a=40b=2Eexample?=", b"\xc3\xb6", b"\\"]), max_size=8))  # fmt: skip
def test_what_is_plain_shows_nothing_that_the_long_way_would_find(pieces: list[bytes]) -> None:
    value = b"".join(pieces)
    found = address_in(value)
    if is_plain(value) and not isinstance(found, str):
        name = display_name(value)
        assert not has_tricks(name)
        assert list(domains_shown(name)) == []
