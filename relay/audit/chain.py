"""The chain: each line of the audit log ends with a hash over itself, and holds the hash of the line before.

    {"seq":17,"prev":"<hash of 16>","time":"…","event":"login_failed",…,"hash":"<hash of 17>"}

The hash is SHA-256, or HMAC-SHA256 (RFC 2104) where there is a key, over the very bytes of
the line before `,"hash":`. Nothing is parsed and written anew to verify it, so no two texts
have one hash, and a byte that is changed shows.

What a plain chain proves: that no line was changed, taken out, put in or moved, unless by
one who computed all hashes from there on anew. What no chain proves: that nothing was cut
off at its end; for that somebody must know a later line (`Verifier.anchors`).
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

Digest = Callable[[bytes], str]
"""64 hexadecimal digits."""

NOTHING = "0" * 64
"""What the first line of all names as the hash before it."""
BEGUN = "begun"
"""The first row of each file."""
TORN_MARK = b'"event":"torn","bytes":'
"""A row that says: the text before it is what a writer left that died, or had no more room, within a line."""
LINE = re.compile(
    rb'\{"seq":([1-9]\d{0,17}),"prev":"([0-9a-f]{64})",(.*),"hash":"([0-9a-f]{64})"\}\n', re.DOTALL
)
SEAL_BYTES = len(',"hash":""}\n') + 64


class Link(NamedTuple):
    """Where a chain stands: its last line."""

    seq: int
    hash: str


START = Link(0, NOTHING)


def digest_by(key: bytes) -> Digest:
    """SHA-256, keyed unless the key is empty."""
    if not key:
        return lambda data: hashlib.sha256(data).hexdigest()
    return lambda data: hmac.digest(key, data, "sha256").hex()


def key_id(key: bytes) -> str:
    """Names a key and tells nothing of it; empty for none."""
    return hmac.digest(key, b"m365-relay audit key", "sha256").hex()[:16] if key else ""


def seal(row: bytes, last: Link, digest: Digest) -> tuple[bytes, Link]:
    """The line of a row, a JSON object that is not empty, and where the chain stands with it."""
    body = b'{"seq":%d,"prev":"%b",%b' % (last.seq + 1, last.hash.encode(), row[1:-1])
    mark = digest(body)
    return b'%b,"hash":"%b"}\n' % (body, mark.encode()), Link(last.seq + 1, mark)


class Line(NamedTuple):
    """What a line says of itself."""

    link: Link
    prev: str
    row: bytes
    """The row, as a JSON object."""
    is_sealed: bool
    """The hash is that of the line."""


def read_line(line: bytes, digest: Digest) -> Line | None:
    """A line with its end; None: it has not the form of one."""
    found = LINE.fullmatch(line)
    if found is None:
        return None
    mark = found[4].decode()
    is_sealed = hmac.compare_digest(digest(line[:-SEAL_BYTES]), mark)
    return Line(Link(int(found[1]), mark), found[2].decode(), b"{%b}" % found[3], is_sealed)


class Verifier:
    """Takes the lines of a chain in their order; says what is wrong with each."""

    def __init__(self, anchors: Mapping[int, str] | None = None) -> None:
        """`anchors` are lines known from elsewhere, by number: their hashes must be these."""
        self.last = START
        self.first: Link | None = None
        """What the chain continues that we were given; START when it is all of it."""
        self._anchors = dict(anchors or {})
        self._fragment = b""

    def take(self, line: bytes, digest: Digest) -> list[str]:
        """What is wrong here; empty when all is well so far. After trouble it goes on from what the line says."""
        read = read_line(line, digest)
        if read is None:
            return self._broken(line)
        problems = self._fragment_problems(read)
        if not read.is_sealed:
            problems.append("was changed: its hash is not that of its text")
        if self.first is None:
            self.first = Link(read.link.seq - 1, read.prev)
            if read.link.seq == 1 and read.prev != NOTHING:
                problems.append("says that it is the first, and continues something")
        elif read.link.seq != self.last.seq + 1:
            problems.append(
                f"has number {read.link.seq} after {self.last.seq}: {_gap(read.link.seq, self.last.seq)}"
            )
        elif read.prev != self.last.hash:
            problems.append("does not continue the line before: one of them was changed or put in")
        anchor = self._anchors.pop(read.link.seq, None)
        if anchor is not None and anchor != read.link.hash:
            problems.append(f"is not line {read.link.seq} as it was known: the chain was computed anew")
        self.last = read.link
        return problems

    def end(self) -> list[str]:
        """What is wrong with the end."""
        problems = ["is no line of an audit log, and nothing explains it"] if self._fragment else []
        first = 0 if self.first is None else self.first.seq
        lost = sorted(seq for seq in self._anchors if seq > first)
        if lost:
            problems.append(
                f"ends with number {self.last.seq}, and number {lost[-1]} is known: the end was cut off"
            )
        return problems

    def _broken(self, line: bytes) -> list[str]:
        if self._fragment or not line.endswith(b"\n"):
            self._fragment = b""
            return ["is no line of an audit log: changed, put in, or cut off within"]
        self._fragment = line
        return []

    def _fragment_problems(self, read: Line) -> list[str]:
        """A torn line is forgiven when the next one says so: only a writer of the chain can."""
        fragment, self._fragment = self._fragment, b""
        if not fragment:
            return ["speaks of torn text, which is gone"] if TORN_MARK in read.row else []
        if read.is_sealed and torn_row(fragment[:-1]) in read.row:
            return []
        return ["follows text that is no line of an audit log: changed, or put in"]


def torn_row(fragment: bytes) -> bytes:
    """The part of a row that speaks of this fragment."""
    mark = hashlib.sha256(fragment).hexdigest()
    return b'%b%d,"sha256":"%b"' % (TORN_MARK, len(fragment), mark.encode())


def _gap(seq: int, last: int) -> str:
    if seq > last:
        return f"{seq - last - 1} lines were taken out"
    return "lines were moved, doubled or put in"
