"""The audit log's folder: `audit.jsonl`, which all processes of a relay and its commands append to, and old files.

    lock ── where does the chain stand? ── rotate when due ── write ── sync ── unlock

One chain: who appends holds an flock on `audit.lock`, reads the last line, and seals his
after it. The kernel lets go of the lock of a process that dies. A line that was torn by
that, or by a full disk, stays; the next writer says so in a row of its own, so that the
file is only ever appended to (`chattr +a` may be set on it where files are not rotated).

A batch is on the disk (fsync) when `append` returns. It waits for the lock and the disk:
the loop's processes call it from a thread (`relay.audit.writer`).
"""

import contextlib
import datetime
import errno
import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from relay.audit import chain
from relay.audit.chain import Link
from relay.audit.options import AuditOptions
from relay.audit.row import Row
from relay.clock import Clock
from relay.errors import ConfigurationError

CURRENT = "audit.jsonl"
LOCK = "audit.lock"
ROW_MAX_BYTES = 32_768
"""A change of the configuration with its old and its new value; longer values are cut before."""
TAIL_BYTES = ROW_MAX_BYTES * 2 + 1024
"""Holds the last whole line and a torn one behind it."""
HEAD_LINES = 4
LOCK_WAIT_S = 10.0
"""A batch takes some milliseconds; whoever has the lock longer is stuck on the disk."""
LOCK_POLL_S = 0.005


class AuditLog:
    """One folder. OSError and ConfigurationError say why nothing was recorded."""

    def __init__(self, options: AuditOptions, clock: Clock, owner: tuple[int, int] | None = None) -> None:
        """`owner` is whose new files are, where we may say so."""
        self._options = options
        self._clock = clock
        self._owner = owner
        self._digest = chain.digest_by(options.key)

    def append(self, rows: Sequence[bytes]) -> Link:
        """Add rows (JSON objects), all or a beginning of them; where the chain stands then."""
        with self._locked():
            path = self._options.path / CURRENT
            link, begun = self._settled(path)
            lines = []
            for row in (*begun, *rows):
                assert len(row) <= ROW_MAX_BYTES, f"a row of {len(row)} bytes"
                line, link = chain.seal(row, link, self._digest)
                lines.append(line)
            self._write(path, b"".join(lines))
            return link

    def _settled(self, path: Path) -> tuple[Link, list[bytes]]:
        """Where the chain stands, and the row that a new file begins with."""
        tail = self._mended(path, self._tail(path))
        head = _head(path)
        if head is None and tail.is_here:
            # Somebody has damaged its beginning; the rest is evidence.
            head = _Head(tail.link.seq, "", chain.BEGUN, "?")
        if head is not None and not self._is_due(path, head):
            return tail.link, []
        old = newest(path.parent) if head is None else self._put_away(path, head)
        fields: Row = {
            "event": chain.BEGUN,
            "key": chain.key_id(self._options.key),
            "continues": "" if old is None else old.name,
        }
        return tail.link, [self.row(fields)]

    def _tail(self, path: Path) -> "_Tail":
        """Of this file, or where it has no line yet, of the one before."""
        tail = _last_line(path, self._digest)
        old = None if tail.is_here else newest(path.parent)
        if old is not None:
            tail.link = _last_line(old, self._digest).link
        return tail

    def _mended(self, path: Path, tail: "_Tail") -> "_Tail":
        """End a line that was torn, and say so."""
        if tail.fragment and tail.is_whole:
            self._write(path, b"\n")
        elif tail.fragment:
            row = self.row({})[:-1] + b"," + chain.torn_row(tail.fragment) + b"}"
            line, link = chain.seal(row, tail.link, self._digest)
            self._write(path, b"\n" + line)
            return _Tail(link, is_here=True)
        return tail

    def row(self, fields: Row) -> bytes:
        """A row with the time before its fields."""
        return msgspec.json.encode({"time": _moment(self._clock.now())} | fields)

    def check(self) -> None:
        """Can it be written? Before something is done that must be recorded."""
        with self._locked():
            self._open(self._options.path / CURRENT, os.O_WRONLY | os.O_APPEND | os.O_CREAT, close=True)

    def _is_due(self, path: Path, head: "_Head") -> bool:
        """Too large, too old, or of another key."""
        if head.key != chain.key_id(self._options.key):
            return True
        age_s = self._clock.now() - head.began_at
        return path.stat().st_size >= self._options.rotate_bytes or age_s >= self._options.rotate_age_s

    def _put_away(self, path: Path, head: "_Head") -> Path:
        """Names sort as the chain goes; numbers are not used twice, so nothing is written over."""
        day = time.strftime("%Y%m%d", time.gmtime(head.began_at))
        old = path.with_name(f"audit-{head.seq:012d}-{day}.jsonl")
        if old.exists():
            raise FileExistsError(errno.EEXIST, f"{old} is there already; move it elsewhere")
        os.rename(path, old)
        return old

    def _write(self, path: Path, data: bytes) -> None:
        descriptor = self._open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            before = os.fstat(descriptor).st_size
            try:
                if os.write(descriptor, data) < len(data):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(descriptor)
            except OSError:
                # The rows will come again: not half of them twice. Where this is forbidden, they do.
                with contextlib.suppress(OSError):
                    os.ftruncate(descriptor, before)
                raise
        finally:
            os.close(descriptor)

    def _open(self, path: Path, flags: int, *, close: bool = False) -> int:
        is_new = not path.exists()
        descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        if is_new:
            if self._owner is not None and os.geteuid() == 0:
                os.fchown(descriptor, *self._owner)
            _sync_folder(path.parent)
        if close:
            os.close(descriptor)
        return descriptor

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        folder = self._options.path
        if not folder.exists():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._owner is not None and os.geteuid() == 0:
                os.chown(folder, *self._owner)
        descriptor = self._open(folder / LOCK, os.O_RDWR | os.O_CREAT)
        try:
            _lock(descriptor, folder)
            yield
        finally:
            os.close(descriptor)


def files(folder: Path) -> list[Path]:
    """All files of the chain that are there, in its order."""
    current = folder / CURRENT
    return [*sorted(folder.glob("audit-*.jsonl")), *([current] if current.exists() else [])]


def newest(folder: Path) -> Path | None:
    """The last file that was put away."""
    return max(folder.glob("audit-*.jsonl"), default=None)


class _Head(msgspec.Struct):
    """The first row of a file."""

    seq: int
    time: str
    event: str
    key: str = ""

    @property
    def began_at(self) -> float:
        return time_of(self.time)


@dataclass(slots=True)
class _Tail:
    link: Link
    fragment: bytes = b""
    is_whole: bool = False
    """The fragment wants its line end only."""
    is_here: bool = False
    """The file has lines."""


def key_named(path: Path) -> str | None:
    """Which key a file says that it is sealed with; None: it has no first line."""
    head = _head(path)
    return None if head is None else head.key


def time_of(text: str) -> float:
    """Seconds since the epoch; 0 for what is no time."""
    try:
        return datetime.datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0


def _head(path: Path) -> _Head | None:
    """Torn text may stand before it."""
    try:
        with open(path, "rb") as file:
            for _ in range(HEAD_LINES):
                with contextlib.suppress(msgspec.DecodeError):
                    head = msgspec.json.decode(file.readline(TAIL_BYTES), type=_Head)
                    return head if head.event == chain.BEGUN else None
    except FileNotFoundError:
        pass
    return None


def _last_line(path: Path, digest: chain.Digest) -> _Tail:
    """Where the chain stands in a file, whatever key its lines were sealed with."""
    try:
        with open(path, "rb") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - TAIL_BYTES, 0))
            data = file.read(TAIL_BYTES)
    except FileNotFoundError:
        return _Tail(chain.START)
    *lines, fragment = data.split(b"\n")
    found = (chain.read_line(line + b"\n", digest) for line in reversed(lines))
    line = next((each for each in found if each is not None), None)
    last = chain.START if line is None else line.link
    rest = chain.read_line(fragment + b"\n", digest)
    if rest is not None and rest.is_sealed and rest.link.seq == last.seq + 1:
        return _Tail(rest.link, fragment, is_whole=True, is_here=True)
    return _Tail(last, fragment, is_here=line is not None)


def _lock(descriptor: int, folder: Path) -> None:
    deadline = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise ConfigurationError(
                    f"another process has held {folder / LOCK} for {LOCK_WAIT_S:g} seconds; look at its disk"
                ) from None
        time.sleep(LOCK_POLL_S)


def _moment(now: float) -> str:
    second = int(now)
    return time.strftime(f"%Y-%m-%dT%H:%M:%S.{int((now - second) * 1000):03d}Z", time.gmtime(second))


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
