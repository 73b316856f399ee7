"""What was said by others is made harmless, and nothing of a body is lost."""

import quopri

from hypothesis import given
from hypothesis import strategies as st

from relay.message.seven_bit import MAX_LINE_BYTES, field, is_plain, one_line, part, quoted


@given(
    st.binary(max_size=3000)
    | st.lists(st.sampled_from([b"\r\n", b"\r", b"\n", b"=", b" ", b"x" * 80, b"\xc3"])).map(b"".join)
)
def test_a_quoted_body_is_plain_and_says_the_same(body: bytes) -> None:
    encoded = quoted(body)
    assert is_plain(encoded)
    assert quopri.decodestring(encoded.replace(b"\r\n", b"\n")) == body.replace(b"\r\n", b"\n")


@given(st.text(max_size=3000))
def test_a_field_is_one_field_of_short_lines(value: str) -> None:
    raw = field("Subject", value)
    assert raw.startswith(b"Subject:") and raw.endswith(b"\r\n") and raw.isascii()
    first, *rest = raw[:-2].split(b"\r\n")
    assert all(line.startswith(b" ") and line.strip() for line in rest)
    assert all(
        len(line) <= MAX_LINE_BYTES and b"\r" not in line and b"\n" not in line for line in (first, *rest)
    )


def test_a_text_of_others_is_one_line_without_controls() -> None:
    assert one_line("a\r\nb\t\0c\x9b\u2028d \udc80") == "a b c d ?"


def test_a_plain_part_goes_as_it_is_and_ends_its_last_line() -> None:
    raw = part("text/plain", b"a\r\nb")
    assert raw == b"Content-Type: text/plain\r\nContent-Transfer-Encoding: 7bit\r\n\r\na\r\nb\r\n"
