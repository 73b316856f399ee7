"""SMTP smuggling: nothing but CRLF.CRLF ends data, neither here nor at the next hop.

The sequences are those known to have ended data at one server or another
(CVE-2023-51764, -51765, -51766 and the like).
"""

import pytest

from relay._fastpath import (
    ERROR_BARE_CR,
    ERROR_BARE_LF,
    ERROR_LINE_LENGTH,
    ERROR_NONE,
    ERROR_NUL,
    ERROR_SIZE,
    DataDecoder,
    stuff_dots,
)

END = b"\r\n.\r\n"
SMUGGLED = b"MAIL FROM:<x@example.com>"

NORMALISED = {
    b"\n.\n": b"\r\n.\r\n",
    b"\n.\r\n": b"\r\n.\r\n",
    b"\n\n.\r\n": b"\r\n\r\n.\r\n",
    b"\r\n.\n": b"\r\n\r\n",  # the dot stood at a line start with other characters on the line: deleted
    b"\r\n\n.\r\n": b"\r\n\r\n.\r\n",
    b"\r\n..\r\n": b"\r\n.\r\n",
    b"\n..\r\n": b"\r\n..\r\n",  # no line began for the protocol: nothing deleted
    b"\n..\n": b"\r\n..\r\n",
    b"\n.\n.\r\n": b"\r\n.\r\n.\r\n",
    b"\r\n.\n.\r\n": b"\r\n\r\n.\r\n",
}
"""What may stand inside content, and what becomes of it."""

BARE_CR = [
    b"\r.\r", b"\r.\r\n", b"\r\r\n.\r", b"\r\n.\r", b"\r\n.\r\r\n", b"\r.\n", b"\n.\r", b"\n.\r\r\n", b"\r\r.\r\n", b"\n\r.\r\n",
]  # fmt: skip

OTHER_TROUBLE = [
    (b"\0", ERROR_NUL),
    (b"\r\n.\0\r\n", ERROR_NUL),
    (b"\r\n\0.\r\n", ERROR_NUL),
    (b"x" * 999, ERROR_LINE_LENGTH),
    (b"\r\n" * 6_000, ERROR_SIZE),
]


def feed(decoder: DataDecoder, data: bytes, step: int) -> tuple[int, bytes]:
    out = bytearray()
    index = 0
    while index < len(data) and not decoder.finished:
        end = min(index + step, len(data))
        index = decoder.feed(data, index, end, out)
    return index, bytes(out)


@pytest.mark.parametrize("step", [1, 2, 3, 1000])
@pytest.mark.parametrize("sequence", NORMALISED)
def test_a_bare_lf_ends_a_line_of_content_but_never_the_data(sequence: bytes, step: int) -> None:
    data = b"a" + sequence + SMUGGLED + END
    decoder = DataDecoder()
    index, content = feed(decoder, data + b"QUIT\r\n", step)
    assert (index, decoder.finished, decoder.error) == (len(data), True, ERROR_NONE)
    assert content == b"a" + NORMALISED[sequence] + SMUGGLED + b"\r\n"


@pytest.mark.parametrize("sequence", NORMALISED)
def test_the_next_hop_sees_no_end_before_ours(sequence: bytes) -> None:
    decoder = DataDecoder()
    _, content = feed(decoder, b"a" + sequence + SMUGGLED + END, 1000)
    wire = bytearray()
    stuff_dots(content, wire, True)
    wire += b".\r\n"
    assert [line for line in wire.split(b"\r\n") if line == b"."] == [b"."]
    assert wire.endswith(END)
    assert wire.count(b"\n") == wire.count(b"\r\n") == wire.count(b"\r")


@pytest.mark.parametrize("step", [1, 2, 3, 1000])
@pytest.mark.parametrize("sequence", [key for key in NORMALISED if key != b"\r\n..\r\n"])
def test_a_bare_lf_in_data_is_refused_where_the_listener_says_so(sequence: bytes, step: int) -> None:
    data = b"a" + sequence + SMUGGLED + END
    decoder = DataDecoder(refuse_bare_lf=True)
    index, _ = feed(decoder, data + b"QUIT\r\n", step)
    assert (index, decoder.finished, decoder.error) == (len(data), True, ERROR_BARE_LF)


@pytest.mark.parametrize("refuse_bare_lf", [False, True])
@pytest.mark.parametrize("step", [1, 2, 3, 1000])
@pytest.mark.parametrize("sequence", BARE_CR)
def test_a_bare_cr_is_refused_and_does_not_end_the_data(
    sequence: bytes, step: int, refuse_bare_lf: bool
) -> None:
    data = b"a" + sequence + SMUGGLED + END
    decoder = DataDecoder(refuse_bare_lf=refuse_bare_lf)
    index, _ = feed(decoder, data + b"QUIT\r\n", step)
    assert (index, decoder.finished) == (len(data), True)
    assert decoder.error in ((ERROR_BARE_CR, ERROR_BARE_LF) if refuse_bare_lf else (ERROR_BARE_CR,))


@pytest.mark.parametrize("step", [1, 7, 100_000])
@pytest.mark.parametrize(("sequence", "error"), OTHER_TROUBLE)
def test_after_an_error_the_session_stays_in_step(sequence: bytes, error: int, step: int) -> None:
    data = b"a\r\n" + sequence + SMUGGLED + END
    decoder = DataDecoder(limit=10_000)
    index, content = feed(decoder, data + b"QUIT\r\n", step)
    assert (index, decoder.finished, decoder.error) == (len(data), True, error)
    assert len(content) <= 10_000
    decoder.reset()
    assert feed(decoder, b"b\r\n.\r\n", step) == (len(b"b\r\n.\r\n"), b"b\r\n")
    assert decoder.error == ERROR_NONE


def test_a_lone_dot_at_the_beginning_is_an_empty_mail() -> None:
    decoder = DataDecoder()
    assert feed(decoder, b".\r\nQUIT\r\n", 1000) == (3, b"")
    assert decoder.finished


@pytest.mark.parametrize("data", [b"\n.\r\n", b"..\r\n", b" .\r\n", b".\r", b"\r\n.", b"a.\r\n"])
def test_what_only_looks_like_an_end_leaves_the_data_open(data: bytes) -> None:
    decoder = DataDecoder()
    assert feed(decoder, data, 1000)[0] == len(data)
    assert not decoder.finished


def test_in_chunks_a_dot_line_is_content_and_comes_out_stuffed() -> None:
    decoder = DataDecoder()
    out = bytearray()
    decoder.feed_raw(b"a\r\n.\r", 0, 5, out)
    decoder.feed_raw(b"\nQUIT", 0, 5, out)
    decoder.end_raw(out)
    assert out == b"a\r\n.\r\nQUIT\r\n"
    wire = bytearray()
    stuff_dots(out, wire, True)
    assert wire == b"a\r\n..\r\nQUIT\r\n"


def test_a_cr_at_the_end_of_the_last_chunk_is_refused() -> None:
    decoder = DataDecoder()
    out = bytearray()
    decoder.feed_raw(b"a\r\nb\r", 0, 5, out)
    decoder.end_raw(out)
    assert decoder.error == ERROR_BARE_CR
