"""Limits and arguments of the data decoder, and whose buffer is whose."""

import pytest

from relay._fastpath import ERROR_LINE_LENGTH, ERROR_NONE, ERROR_SIZE, DataDecoder, scan_header, stuff_dots


def decode(data: bytes, decoder: DataDecoder) -> bytes:
    out = bytearray()
    decoder.feed(data, 0, len(data), out)
    return bytes(out)


@pytest.mark.parametrize(("length", "error"), [(998, ERROR_NONE), (999, ERROR_LINE_LENGTH)])
@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"])
def test_a_line_may_be_1000_bytes_long_with_its_end(length: int, error: int, line_end: bytes) -> None:
    decoder = DataDecoder()
    decode(b"a\r\n" + b"x" * length + line_end + b"\r\n.\r\n", decoder)
    assert (decoder.error, decoder.finished) == (error, True)


def test_the_stuffed_dot_does_not_count_towards_the_line() -> None:
    decoder = DataDecoder()
    assert decode(b".." + b"x" * 997 + b"\r\n.\r\n", decoder) == b"." + b"x" * 997 + b"\r\n"


def test_without_a_line_limit_a_line_may_be_a_megabyte_long() -> None:
    decoder = DataDecoder(max_line=0)
    assert len(decode(b"x" * 1_000_000 + b"\r\n.\r\n", decoder)) == 1_000_002


@pytest.mark.parametrize(
    ("limit", "error"), [(10, ERROR_NONE), (9, ERROR_SIZE), (8, ERROR_SIZE), (1, ERROR_SIZE)]
)
@pytest.mark.parametrize("data", [b"12345678\r\n", b"..2345678\r\n", b"12\n5678\r\n", b"\n\n\n\n\r\n"])
def test_the_size_limit_counts_decoded_bytes(data: bytes, limit: int, error: int) -> None:
    decoder = DataDecoder(limit=limit)
    content = decode(data + b".\r\n", decoder)
    assert (decoder.error, decoder.finished) == (error, True)
    assert len(content) == (0 if error else 10)


def test_size_is_counted_over_all_feeds_since_the_reset() -> None:
    decoder = DataDecoder()
    decode(b"..a\r\nb\n", decoder)
    decode(b"c", decoder)
    assert decoder.size == len(b".a\r\nb\r\nc")
    decoder.reset()
    assert decoder.size == 0


def test_content_comes_out_in_pieces_the_caller_may_take_away() -> None:
    decoder = DataDecoder()
    out = bytearray()
    taken = b""
    for piece in (b"one\r", b"\n..two", b"\r\n.", b"\r\n"):
        decoder.feed(piece, 0, len(piece), out)
        taken += out
        out.clear()
    assert (taken, decoder.finished) == (b"one\r\n.two\r\n", True)


def test_a_finished_decoder_takes_nothing_more() -> None:
    decoder = DataDecoder()
    out = bytearray()
    decoder.feed(b".\r\n", 0, 3, out)
    assert decoder.feed(b"more\r\n", 2, 6, out) == 2
    assert out == b""


def test_any_buffer_is_read_in_place() -> None:
    decoder = DataDecoder()
    for source in (b"xab\r\nx", bytearray(b"xab\r\nx"), memoryview(b"xab\r\nx")):
        out = bytearray()
        assert decoder.feed(source, 1, 5, out) == 5
        assert out == b"ab\r\n"


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (2, 1), (0, 5), (5, 5)])
def test_indexes_outside_the_buffer_are_an_error_and_change_nothing(start: int, end: int) -> None:
    decoder = DataDecoder()
    out = bytearray(b"kept")
    with pytest.raises(IndexError):
        decoder.feed(b"abcd", start, end, out)
    assert (bytes(out), decoder.size) == (b"kept", 0)


def test_an_output_buffer_that_is_in_use_is_an_error_and_takes_nothing() -> None:
    decoder = DataDecoder()
    out = bytearray(b"kept")
    with memoryview(out), pytest.raises(BufferError):
        decoder.feed(b"abcd", 0, 4, out)
    with memoryview(out), pytest.raises(BufferError):
        stuff_dots(b"abcd", out, True)
    assert (bytes(out), decoder.size) == (b"kept", 0)
    decoder.feed(b"abcd", 0, 4, out)
    assert out == b"keptabcd"


@pytest.mark.parametrize(("max_line", "limit"), [(2, 0), (-1, 0), (1000, -1)])
def test_senseless_limits_are_refused(max_line: int, limit: int) -> None:
    with pytest.raises(ValueError, match=r"no room|no limit"):
        DataDecoder(max_line=max_line, limit=limit)


def test_a_header_of_many_small_fields_is_read_whole() -> None:
    scan = scan_header(b"a:\r\n" * 50_000 + b"\r\n", 0)
    assert (len(scan), scan.end, scan.complete) == (50_000, 200_002, True)
    assert scan.field(49_999) == (199_996, 199_997, 199_998, 199_998)
    with pytest.raises(IndexError):
        scan.field(50_000)
    with pytest.raises(IndexError):
        scan.value(-1)
