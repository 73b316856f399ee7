"""Edits change what they name and no byte beside it."""

from hypothesis import given
from hypothesis import strategies as st

from relay.message.edit import Edit, apply, field_span
from relay.message.header import Header

CONTENT = b"".join(b"%02d|" % number for number in range(30))


@st.composite
def some_edits(draw: st.DrawFn) -> list[Edit]:
    cuts = sorted(draw(st.lists(st.integers(0, len(CONTENT)), max_size=12, unique=True)))
    pairs = zip(cuts[::2], cuts[1::2], strict=False)
    edits = [Edit(start, end, draw(st.binary(max_size=9))) for start, end in pairs]
    return draw(st.permutations(edits))


@given(some_edits())
def test_edits_are_made_as_if_one_by_one_from_the_end(edits: list[Edit]) -> None:
    expected = CONTENT
    for start, end, text in sorted(edits, reverse=True):
        expected = expected[:start] + text + expected[end:]
    content = bytearray(CONTENT)
    apply(content, edits)
    assert content == expected


def test_a_field_ends_with_its_last_line() -> None:
    content = b"One: 1\r\n folded\r\n\tmore\r\nTwo :2\r\nThree:\r\n\r\nbody\r\n"
    scan = Header.of(content).scan
    spans = [content[slice(*field_span(scan, index))] for index in range(3)]
    assert spans == [b"One: 1\r\n folded\r\n\tmore\r\n", b"Two :2\r\n", b"Three:\r\n"]


def test_the_last_field_ends_where_the_header_does() -> None:
    for content in (b"One: 1\r\nno field\r\n", b"One: 1\r\n\r\n", b"One: 1\r\n"):
        assert field_span(Header.of(content).scan, 0) == (0, 8)
