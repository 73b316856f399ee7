"""Body canonicalisation: native, oracle and dkimpy agree, wherever the body is cut."""

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay._fastpath import BodyHash, DataDecoder, scan_header
from relay.message.dkim.canonical import Canonicalization, body_hash
from tests import dkimpy, oracle
from tests.differential.pieces import cut, cuts

PARTS = [
    b"\r\n",
    b"\r",
    b"\n",
    b" ",
    b"\t",
    b"  ",
    b" \t \t",
    b"a",
    b"text",
    b"\xe4\xf6",
    b".",
    b"\0",
    b"x" * 40,
    b"word " * 9,
]
BODIES = st.lists(st.sampled_from(PARTS), max_size=40).map(b"".join)
LINES = st.lists(
    st.sampled_from([part for part in PARTS if part not in (b"\r", b"\n", b"\0")]), max_size=40
).map(lambda parts: b"".join([*parts, b"\r\n"]) if parts else b"")
NASTY = {
    "empty": b"",
    "one line end": b"\r\n",
    "line ends only": b"\r\n" * 5000,
    "white space only": b" \t \r\n\t\r\n  \r\n",
    "trailing blank lines": b"text\r\n\r\n \r\n\r\n",
    "no last line end": b"text\r\nmore",
    "white space at the very end": b"text \t",
    "CR at the very end": b"text\r\n\r\n\r",
    "white space and CR at the very end": b"text \r",
    "bare CR within white space": b"a \r \r\n \r\r\n",
    "bare LF after CRLF": b"a\r\n\n\r\n",
    "blank lines, then text": b"\r\n" * 3000 + b"text\r\n" + b"\r\n" * 3000,
    "very long line": b"word  \t word" * 9000 + b"\r\n",
    "long line without white space": b"x" * 100_000 + b" \r\n",
    "as long as the scratch buffer": b"x" * 16_384 + b"\r\n" + b" a" * 8192 + b"\r\n\r\n",
    "tab at every block border": (b"x" * 15 + b"\t") * 300 + b" \r\n",
    "eight bits": bytes(range(128, 256)) * 3 + b" \r\n",
}


class Collected:
    """Stands in for SHA-256 and keeps what it is given."""

    def __init__(self) -> None:
        self.bytes = bytearray()

    def update(self, data: memoryview) -> None:
        self.bytes += data

    def digest(self) -> bytes:
        return bytes(self.bytes)


def canonical(pieces: Iterable[bytes]) -> tuple[bytes, bytes]:
    """Simple and relaxed, made at the same time."""
    hashing = BodyHash(simple=True, relaxed=True, new_hash=Collected)
    for piece in pieces:
        hashing.feed_body(piece)
    return hashing.simple_digest(), hashing.relaxed_digest()


@given(BODIES, cuts)
@settings(max_examples=500)
def test_native_agrees_with_the_oracle_however_the_body_is_cut(body: bytes, at: list[int]) -> None:
    assert canonical(cut(body, at)) == (oracle.simple_body(body), oracle.relaxed_body(body))


@given(BODIES)
@settings(max_examples=300)
def test_native_agrees_with_the_oracle_byte_by_byte(body: bytes) -> None:
    pieces = (body[index : index + 1] for index in range(len(body)))
    assert canonical(pieces) == (oracle.simple_body(body), oracle.relaxed_body(body))


@given(st.binary(max_size=300), st.integers(0, 300))
def test_any_bytes_agree_in_two_pieces(body: bytes, at: int) -> None:
    assert canonical([body[:at], body[at:]]) == (oracle.simple_body(body), oracle.relaxed_body(body))


@given(BODIES)
@settings(max_examples=300)
def test_dkimpy_agrees(body: bytes) -> None:
    simple, relaxed = canonical([body])
    assert simple == dkimpy.simple_body(body)
    # dkimpy keeps white space at the end of a last line that has no CRLF; no mail in transport has such a line.
    if not body.endswith((b" ", b"\t")):
        assert relaxed == dkimpy.relaxed_body(body)


@pytest.mark.parametrize("body", NASTY.values(), ids=NASTY)
def test_nasty_bodies_agree_in_pieces_of_every_size(body: bytes) -> None:
    expected = oracle.simple_body(body), oracle.relaxed_body(body)
    assert canonical([body]) == expected
    for size in (1, 2, 3, 5, 7, 15, 16, 17, 31, 64, 1460, 4096):
        assert canonical(body[at : at + size] for at in range(0, len(body), size)) == expected


@pytest.mark.parametrize(
    "body", [body for body in NASTY.values() if len(body) < 200], ids=lambda body: repr(body[:20])
)
def test_nasty_bodies_agree_cut_at_every_place(body: bytes) -> None:
    expected = oracle.simple_body(body), oracle.relaxed_body(body)
    for at in range(len(body) + 1):
        assert canonical([body[:at], body[at:]]) == expected


HEADERS = [
    b"",
    b"\r\n",
    b"Subject: x\r\n\r\n",
    b"Subject: x\r\n folded\r\nTo: a\r\n\r\n",
    b"Subject : x\r\n\r\n",
    b"Subject: x\r\n \r\n\tstill folded\r\n\r\n",
    b"Subject: x\r\nno field\r\n",
    b"no field at all\r\n",
    b"nofieldatall\r\n",
    b" folded from nowhere\r\n",
    b"Subject: only fields\r\nTo: a\r\n",
    b"".join(b"X-%d: y\r\n" % index for index in range(1000)) + b"\r\n",
]


@given(st.sampled_from(HEADERS), LINES, cuts)
@settings(max_examples=500)
def test_decoded_content_is_hashed_from_its_body_on(header: bytes, body: bytes, at: list[int]) -> None:
    content = header + body
    hashing, out = decoded(cut(oracle.stuff(content, True) + b".\r\n", at))
    assert out == content
    scan = scan_header(content, 0)
    body = content[scan.end :]
    assert hashing.simple_digest() == oracle.simple_body(body)
    assert hashing.relaxed_digest() == oracle.relaxed_body(body)


@pytest.mark.parametrize("header", HEADERS, ids=lambda header: repr(header[:25]))
def test_the_body_begins_at_the_same_place_wherever_the_mail_is_cut(header: bytes) -> None:
    content = header + b"body \t text\r\n\r\n"
    expected = oracle.relaxed_body(content[scan_header(content, 0).end :])
    sent = oracle.stuff(content, True) + b".\r\n"
    for at in range(0, len(sent), 1 if len(sent) < 1000 else 97):
        assert decoded([sent[:at], sent[at:]])[0].relaxed_digest() == expected


@given(st.sampled_from(HEADERS), LINES, cuts)
def test_chunks_of_bdat_are_hashed_alike(header: bytes, body: bytes, at: list[int]) -> None:
    content = header + body.removesuffix(b"\r\n")
    decoder, out = DataDecoder(max_line=0), bytearray()
    hashing = BodyHash(simple=True, relaxed=True, new_hash=Collected)
    decoder.hash_body(hashing)
    for piece in cut(content, at):
        decoder.feed_raw(piece, 0, len(piece), out)
    decoder.end_raw(out)
    body = bytes(out)[scan_header(out, 0).end :]
    assert hashing.simple_digest() == oracle.simple_body(body)
    assert hashing.relaxed_digest() == oracle.relaxed_body(body)


def test_a_session_hashes_each_mail_anew() -> None:
    decoder, hashing = DataDecoder(), BodyHash(relaxed=True)
    decoder.hash_body(hashing)
    for body in (b"first \r\n", b"", b"second\r\n\r\n"):
        decoder.reset()
        sent = b"A: b\r\n\r\n" + body + b".\r\n"
        decoder.feed(sent, 0, len(sent), bytearray())
        assert hashing.relaxed_digest() == body_hash(body, Canonicalization.RELAXED)


def test_a_hash_that_was_not_asked_for_is_not_made_up() -> None:
    with pytest.raises(ValueError, match="simple"):
        BodyHash(relaxed=True).simple_digest()
    with pytest.raises(ValueError, match="relaxed"):
        BodyHash(simple=True).relaxed_digest()


def test_content_that_was_taken_away_too_early_is_no_trap() -> None:
    hashing = BodyHash(simple=True)
    hashing.feed(b"A: b\r\nC: d\r\n", 0)
    hashing.feed(b"E", 0)
    hashing.feed(b"", 0)
    with pytest.raises(IndexError):
        hashing.feed(b"E", 2)
    assert hashing.simple_digest() == body_hash(b"", Canonicalization.SIMPLE)


def decoded(pieces: Iterable[bytes]) -> tuple[BodyHash, bytes]:
    decoder, out = DataDecoder(max_line=0), bytearray()
    hashing = BodyHash(simple=True, relaxed=True, new_hash=Collected)
    decoder.hash_body(hashing)
    for piece in pieces:
        decoder.feed(piece, 0, len(piece), out)
    assert decoder.finished
    return hashing, bytes(out)
