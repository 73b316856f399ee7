"""The chain over lines in memory: whatever is done to them shows, and where."""

import io

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from relay.audit import chain
from relay.audit.chain import START, Verifier, digest_by

PLAIN = digest_by(b"")
KEYED = digest_by(b"k" * 32)
ROWS = st.lists(
    st.dictionaries(st.text(max_size=8), st.text(max_size=30), min_size=1), min_size=1, max_size=8
)


def lines_of(rows: list[dict[str, str]], digest: chain.Digest = PLAIN) -> list[bytes]:
    last, lines = START, []
    for row in rows:
        line, last = chain.seal(msgspec.json.encode(row), last, digest)
        lines.append(line)
    return lines


def trouble(data: bytes, digest: chain.Digest = PLAIN, anchors: dict[int, str] | None = None) -> list[int]:
    """Numbers of the lines that something is wrong with, 0 for the end."""
    verifier = Verifier(anchors)
    # By line feeds alone: a changed byte may be another of Python's line ends.
    lines = io.BytesIO(data).readlines()
    found = [number for number, line in enumerate(lines, 1) if verifier.take(line, digest)]
    return found + [0] * bool(verifier.end())


def five() -> list[bytes]:
    return lines_of([{"event": "x", "n": str(n)} for n in range(5)])


@given(ROWS)
def test_a_chain_that_nobody_touched_is_good(rows: list[dict[str, str]]) -> None:
    for digest in (PLAIN, KEYED):
        assert trouble(b"".join(lines_of(rows, digest)), digest) == []


@given(ROWS, st.data())
def test_any_byte_that_is_changed_shows(rows: list[dict[str, str]], data: st.DataObject) -> None:
    whole = bytearray(b"".join(lines_of(rows)))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    assert trouble(bytes(whole))


@given(st.data())
def test_any_byte_that_is_put_in_or_taken_out_shows(data: st.DataObject) -> None:
    whole = b"".join(five())
    place = data.draw(st.integers(0, len(whole) - 1))
    assert trouble(whole[:place] + data.draw(st.binary(min_size=1, max_size=3)) + whole[place:])
    assert trouble(whole[:place] + whole[place + 1 :])


def test_the_line_that_was_changed_is_named() -> None:
    lines = five()
    lines[2] = lines[2].replace(b'"n":"2"', b'"n":"7"')
    assert trouble(b"".join(lines)) == [3]


def test_a_line_taken_out_doubled_or_moved_is_named() -> None:
    a, b, c, d, e = five()
    assert trouble(a + b + d + e) == [3]
    assert trouble(a + b + b + c + d + e)[0] == 3
    assert trouble(a + c + b + d + e)[0] == 2


def test_a_line_that_was_changed_and_sealed_anew_breaks_with_the_next() -> None:
    a, _, c, d, e = five()
    first = chain.read_line(a, PLAIN)
    assert first is not None
    forged, _ = chain.seal(b'{"event":"x","n":"1000"}', first.link, PLAIN)
    assert trouble(a + forged + c + d + e) == [3]


def test_without_the_key_nobody_makes_a_line() -> None:
    rows = [{"event": "x", "n": str(n)} for n in range(3)]
    keyed, plain = lines_of(rows, KEYED), lines_of(rows)
    assert trouble(b"".join(plain), KEYED) == [1, 2, 3]
    assert trouble(b"".join(keyed), digest_by(b"another")) == [1, 2, 3]


def test_an_end_that_was_cut_off_shows_when_a_later_line_is_known() -> None:
    lines = five()
    last = chain.read_line(lines[4], PLAIN)
    assert last is not None
    known = {5: last.link.hash}
    assert trouble(b"".join(lines), anchors=known) == []
    assert trouble(b"".join(lines[:3])) == []
    assert trouble(b"".join(lines[:3]), anchors=known) == [0]
    assert trouble(b"".join(lines_of([{"event": "y"}] * 5)), anchors=known) == [5]


def test_a_torn_line_is_good_when_the_next_explains_it_and_only_then() -> None:
    a, b, *_ = five()
    first = chain.read_line(a, PLAIN)
    assert first is not None
    torn, last = chain.seal(b'{"time":"t",' + chain.torn_row(b[:40]) + b"}", first.link, PLAIN)
    after, _ = chain.seal(b'{"event":"x"}', last, PLAIN)
    assert trouble(a + b[:40] + b"\n" + torn + after) == []
    assert trouble(a + b[:39] + b"\n" + torn + after) == [3]
    assert trouble(a + torn + after) == [2]
    assert trouble(a + b[:40] + b"\n") == [0]


def test_a_key_is_named_and_not_told() -> None:
    assert chain.key_id(b"") == ""
    assert chain.key_id(b"k" * 32) == chain.key_id(b"k" * 32) != chain.key_id(b"l" * 32)
