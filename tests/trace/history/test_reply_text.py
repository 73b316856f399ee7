"""A reply is cut into what many share and what is its own, and made whole again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.m365.catalogue import ROWS
from relay.trace.history.reply_text import GAP, SEPARATOR, TEXT_MAX, joined, mark, shown, split


@given(st.text(max_size=300))
def test_nothing_is_lost_but_what_no_terminal_should_see(text: str) -> None:
    expected = text
    if not text.isprintable():
        expected = "".join("?" if ord(c) < 0x20 or ord(c) == 0x7F else c for c in text)
        expected = expected.encode("utf-8", "replace").decode()
    assert joined(*split(text)) == expected


@given(st.text(alphabet="<>[]@.:;=,()12aB \x00\x1e\x1f", max_size=80))
def test_nor_of_what_looks_like_parts(text: str) -> None:
    assert joined(*split(text)) == text.translate(dict.fromkeys((0, 0x1E, 0x1F), "?"))


@pytest.mark.parametrize(
    ("one", "other", "text"),
    [
        (
            "250 2.0.0 OK <a.1@example.com> [Hostname=SYBP282MB2635.AUSP282.PROD.OUTLOOK.COM]",
            "250 2.0.0 OK <b.2@example.com> [Hostname=ME3P282MB1234.AUSP282.PROD.OUTLOOK.COM]",
            "250 2.0.0 OK … …",
        ),
        (
            "250 2.0.0 Ok: queued as 4XyZ12abc",
            "250 2.0.0 Ok: queued as 5QrS34def",
            "250 2.0.0 Ok: queued as …",
        ),
        ("250 OK id=1abcDE-0000-AB", "250 OK id=2xyzFG-0001-CD", "250 OK id=…"),
        (
            "250 2.6.0 <a@b> [InternalId=7619272024915, Hostname=H] 48435 bytes in 0.160, 294.858 KB/sec Queued",
            "250 2.6.0 <c@d> [InternalId=7619272024916, Hostname=J] 51000 bytes in 1.250, 31.008 KB/sec Queued",
            "250 2.6.0 … … … bytes in …, … KB/sec Queued",
        ),
        (
            "550 5.1.10 Recipient x@contoso.com not found",
            "550 5.1.10 Recipient y@contoso.com not found",
            "550 5.1.10 Recipient … not found",
        ),
    ],
)
def test_replies_that_differ_in_ids_alone_share_a_text(one: str, other: str, text: str) -> None:
    assert shown(split(one)[0]) == shown(split(other)[0]) == text


@pytest.mark.parametrize(
    "around", ["<%s is unknown", "[x]%s is unknown", "no %s>", "<<%s>>", "[%s is unknown"]
)
def test_an_address_is_no_word_whatever_stands_around_it(around: str) -> None:
    assert "anna" not in split(f"550 5.1.1 {around % 'anna@example.net'}")[0]


@pytest.mark.parametrize("word", ["5.7.139", "AADSTS53003:", "(AS761)", "ATTR36", "IPv6", "(S3150)."])
def test_codes_that_people_look_for_stay_in_the_text(word: str) -> None:
    assert split(f"550 {word} no")[0] == f"550 {word} no"


def test_what_the_catalogue_knows_comes_out_as_it_went_in() -> None:
    assert [row.sample for row in ROWS if joined(*split(row.sample)) != row.sample] == []


def test_addresses_stand_in_no_text() -> None:
    for reply in (row.sample for row in ROWS):
        assert "@" not in split(reply)[0]


def test_the_last_part_has_a_mark_with_or_without_its_brackets() -> None:
    text, parts = split("250 2.0.0 Ok: queued as 4XyZ12abc")
    assert text.count(GAP) == 1 and SEPARATOR not in parts
    assert mark(parts) == mark("<4XyZ12abc>") != mark("4XyZ12abd")
    assert mark("") is None


def test_a_text_without_end_is_cut() -> None:
    assert len(joined(*split("550 " + "x" * 10_000))) == TEXT_MAX
