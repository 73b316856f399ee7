"""Dot stuffing agrees with the oracle, undoes decoding, and lets nothing through that a next hop could take for an end."""

from hypothesis import given
from hypothesis import strategies as st

from relay._fastpath import DataDecoder, has_leading_dot, stuff_dots
from tests import oracle
from tests.differential.pieces import cut, cuts, good_mails, mails


def stuffed(pieces: list[bytes], at_line_start: bool = True) -> bytes:
    out = bytearray(b"kept")
    for piece in pieces:
        at_line_start = stuff_dots(piece, out, at_line_start)
    return bytes(out.removeprefix(b"kept"))


@given(mails, cuts, st.booleans())
def test_pieces_are_stuffed_as_the_whole_is(content: bytes, at: list[int], at_line_start: bool) -> None:
    truth = oracle.stuff(content, at_line_start)
    assert stuffed([content], at_line_start) == truth
    assert stuffed(cut(content, at), at_line_start) == truth
    assert stuffed([content[index : index + 1] for index in range(len(content))], at_line_start) == truth


@given(mails, st.booleans())
def test_a_leading_dot_is_seen_exactly_when_stuffing_changes_something(
    content: bytes, at_line_start: bool
) -> None:
    assert has_leading_dot(content, at_line_start) == (oracle.stuff(content, at_line_start) != content)


@given(good_mails, cuts)
def test_decoding_undoes_stuffing(content: bytes, at: list[int]) -> None:
    content += b"\r\n"
    wire = stuffed([content]) + b".\r\n"
    decoder = DataDecoder()
    out = bytearray()
    for piece in cut(wire, at):
        decoder.feed(piece, 0, len(piece), out)
    assert decoder.finished and not decoder.error
    assert out == content


@given(mails)
def test_no_line_of_what_we_send_is_a_lone_dot(data: bytes) -> None:
    """Whatever line ends the next hop believes in: LF, CRLF or CR."""
    decoder = DataDecoder(max_line=0)
    out = bytearray()
    decoder.feed_raw(data, 0, len(data), out)
    decoder.end_raw(out)
    wire = stuffed([bytes(out)])
    assert b"." not in wire.replace(b"\r", b"\n").split(b"\n")


def test_lines_of_nothing_but_dots_are_stuffed_in_linear_room() -> None:
    content = b".\r\n" * 10_000
    assert stuffed([content]) == b"..\r\n" * 10_000
