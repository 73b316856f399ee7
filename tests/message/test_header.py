"""What `Header` says of a mail's first lines."""

import pytest

from relay.message.header import Field, Header, unfold

MAIL = (
    b"Received: from a by b; now\r\n"
    b"received: from c\r\n\tby d; then\r\n"
    b"From: Ann <ann@example.com>\r\n"
    b"Subject: one\r\n two\r\n\tthree \r\n"
    b"Empty:\r\n"
    b"MESSAGE-ID: <1@example.com>\r\n"
    b"\r\n"
    b"Subject: in the body\r\n"
)


def test_the_header_ends_behind_its_blank_line() -> None:
    header = Header.of(MAIL)
    assert header.is_complete
    assert MAIL[header.end :] == b"Subject: in the body\r\n"


def test_names_are_found_whatever_their_case() -> None:
    header = Header.of(MAIL)
    assert header.get(b"Message-ID") == b"<1@example.com>"
    assert header.has(b"from") and not header.has(b"Date")
    assert header.received_hops == header.count(b"RECEIVED") == 2


def test_a_folded_value_is_read_on_one_line_and_kept_as_it_is() -> None:
    header = Header.of(MAIL)
    assert header.get(b"Subject") == b"one two\tthree"
    assert list(header.fields)[3] == Field(b"Subject", b" one\r\n two\r\n\tthree ")


def test_the_first_of_several_fields_is_the_one_we_get() -> None:
    assert Header.of(MAIL).get(b"Received") == b"from a by b; now"


def test_an_empty_field_is_there_and_empty() -> None:
    header = Header.of(MAIL)
    assert header.has(b"Empty")
    assert header.get(b"Empty") == b""
    assert header.get(b"Absent") is None


def test_obsolete_white_space_before_the_colon_is_accepted() -> None:
    assert Header.of(b"From \t: <ann@example.com>\r\n\r\n").get(b"From") == b"<ann@example.com>"


@pytest.mark.parametrize("line", [b"no colon", b": no name", b"a b: c", b"n\xe4me: x", b"From ann Tue Nov 24 02:00:00 2026", b"a\x01: c"])  # fmt: skip
def test_a_line_that_is_no_field_ends_the_header_before_it(line: bytes) -> None:
    content = b"Subject: x\r\n" + line + b"\r\nTo: y\r\n\r\n"
    header = Header.of(content)
    assert (header.is_complete, len(header)) == (True, 1)
    assert content[header.end :].startswith(line)
    assert not header.needs_blank_line


@pytest.mark.parametrize(
    "content", [b" folded: first\r\n\r\n", b"\tx\r\n", b"just text\r\n", b"no header.\r\n"]
)
def test_content_that_begins_with_its_body_needs_a_blank_line_before_it(content: bytes) -> None:
    header = Header.of(content)
    assert (header.end, len(header), header.needs_blank_line) == (0, 0, True)


@pytest.mark.parametrize("content", [b"", b"\r\n", b"\r\nbody\r\n", b"Subject: x\r\n", MAIL])
def test_other_content_needs_no_blank_line(content: bytes) -> None:
    assert not Header.of(content).needs_blank_line


def test_a_mail_without_body_is_all_header() -> None:
    header = Header.of(b"Subject: x\r\nTo: y\r\n")
    assert (header.is_complete, header.end, len(header)) == (False, 19, 2)


def test_a_header_beyond_the_limit_is_not_complete() -> None:
    header = Header.of(MAIL, limit=40)
    assert (header.is_complete, header.end) == (False, 40)


def test_the_header_stays_readable_when_the_content_goes() -> None:
    content = bytearray(MAIL)
    header = Header.of(content)
    content.clear()
    assert header.get(b"message-id") == b"<1@example.com>"


def test_unfolding_removes_line_ends_and_nothing_else() -> None:
    assert unfold(b" a\r\n  b\r\n\tc") == b" a  b\tc"
