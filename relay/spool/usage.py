"""What clients use of their quotas, in memory that all receivers of a spool share.

A page a client in the folder `clients` beside the queue, mapped by each receiver that
serves it: counts of all receivers are one, and outlive every process. Only a machine that
loses its power forgets what the kernel had not written yet (30 seconds by default): counts
are no mail, and a sync for each would cost more than the mail's own commit shares.

A connection's place is a lock on one byte of a file without content: the kernel lets go
when a process dies, however it dies, so nobody counts what is gone.
"""

import contextlib
import fcntl
import hashlib
import mmap
import os
import struct
import time
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Protocol

from relay.budget.ring import RING_BYTES, Counted, Per
from relay.errors import RelayError, SpoolError

FOLDER = "clients"
TURN_WAIT_S = 0.01
"""A turn takes some microseconds. Whoever has it longer was stopped in it, and no client's mail waits for that."""
RINGS = {(of, per): index for index, (of, per) in enumerate((of, per) for of in Counted for per in Per)}
"""Each quota there can be has its place, whatever the configuration asks for now."""
PAGE_BYTES = RING_BYTES * len(RINGS)
PLACES_BITS = 20
"""Of a client's bytes in the file of places: far more than connections there can be."""


class Busy(RelayError):
    """The turn did not come."""


class Enrolled(Enum):
    """Whether there is a page for one more."""

    NEW = "new"
    OLD = "old"
    FULL = "full"


class Usage(Protocol):
    """`with usage:` nobody else changes a page."""

    def __enter__(self) -> None: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def page(self, client: str) -> memoryview:
        """The client's PAGE_BYTES."""
        ...

    def sit(self, client: str, place: int) -> bool:
        """Take this place of the client's; False: another process has it. Not for one that we have."""
        ...

    def rise(self, client: str, place: int) -> None:
        """Leave it."""
        ...

    def enrol(self, client: str, prefix: str, most: int) -> Enrolled:
        """A page for a client that nobody has written down, one of at most `most` with this prefix; Busy, SpoolError.

        0: none but those that have one already.
        """
        ...

    def give_up(self, prefix: str, keeps: Callable[[str], bool]) -> None:
        """Pages with this prefix that nobody keeps go, and what they counted."""
        ...


class SharedUsage:
    """In the spool's folder."""

    def __init__(self, spool: Path) -> None:
        """SpoolError."""
        self._folder = spool / FOLDER
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            self._turn = _open(self._folder / ".turn")
            self._places = _open(self._folder / ".places")
        except OSError as error:
            raise SpoolError(f"{self._folder} cannot be used: {error.strerror}") from error
        self._pages: dict[str, memoryview] = {}
        """One for each client with a quota: the configuration bounds them."""

    def __enter__(self) -> None:
        deadline = 0.0
        while True:
            try:
                fcntl.flock(self._turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                now = time.monotonic()
                deadline = deadline or now + TURN_WAIT_S
                if now > deadline:
                    raise Busy("the counts of clients are held by another process") from None
                os.sched_yield()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        fcntl.flock(self._turn, fcntl.LOCK_UN)

    def page(self, client: str) -> memoryview:
        """Of the file that is called as the client; SpoolError."""
        page = self._pages.get(client)
        if page is None:
            page = self._pages[client] = self._map(client)
        return page

    def sit(self, client: str, place: int) -> bool:
        """One system call."""
        try:
            self._lock(fcntl.F_WRLCK, client, place)
        except OSError:
            return False
        return True

    def rise(self, client: str, place: int) -> None:
        """One system call."""
        self._lock(fcntl.F_UNLCK, client, place)

    def enrol(self, client: str, prefix: str, most: int) -> Enrolled:
        """Reads the folder when the client is new; a turn of some milliseconds, `most` times at most."""
        name = client.lower()
        if (self._folder / name).exists():
            return Enrolled.OLD
        if not most:
            return Enrolled.FULL
        with self:
            try:
                names = os.listdir(self._folder)
            except OSError as error:
                raise SpoolError(f"{self._folder} cannot be read: {error.strerror}") from error
            if name in names:
                return Enrolled.OLD
            if sum(each.startswith(prefix) for each in names) >= most:
                return Enrolled.FULL
            self.page(client)
        return Enrolled.NEW

    def give_up(self, prefix: str, keeps: Callable[[str], bool]) -> None:
        """A receiver that still ends its sessions may have them mapped: it counts on for itself."""
        # Who cannot be given up now is at the next start.
        with contextlib.suppress(OSError, Busy), self:
            for name in os.listdir(self._folder):
                if name.startswith(prefix) and not keeps(name):
                    (self._folder / name).unlink(missing_ok=True)
                    self._pages.pop(name, None)

    def close(self) -> None:
        """It is of no more use."""
        os.close(self._turn)
        os.close(self._places)

    def _map(self, client: str) -> memoryview:
        # Names of clients are names of files: letters, digits and . _ @ -, with a letter or digit first.
        try:
            descriptor = _open(self._folder / client.lower())
            try:
                # Never shorter while others have it mapped: a new file grows, others stay as they are.
                if os.fstat(descriptor).st_size < PAGE_BYTES:
                    # Room on the disk now: a page that finds none when it is written ends the process (SIGBUS).
                    os.posix_fallocate(descriptor, 0, PAGE_BYTES)
                return memoryview(mmap.mmap(descriptor, PAGE_BYTES))
            finally:
                os.close(descriptor)
        except OSError as error:
            raise SpoolError(f"{self._folder / client.lower()}: {error.strerror}") from error

    def _lock(self, kind: int, client: str, place: int) -> None:
        digest = hashlib.blake2b(client.lower().encode(), digest_size=5).digest()
        start = (int.from_bytes(digest) << PLACES_BITS) + place
        # Locks of the open file, not of the process (fcntl(2)): two that share a process are two, as in tests.
        fcntl.fcntl(self._places, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", kind, os.SEEK_SET, start, 1, 0))


class OwnUsage:
    """The same for one process, without a disk."""

    def __init__(self) -> None:
        self._pages: dict[str, memoryview] = {}

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def page(self, client: str) -> memoryview:
        """Lives as long as this does."""
        return self._pages.setdefault(client.lower(), memoryview(bytearray(PAGE_BYTES)))

    def sit(self, client: str, place: int) -> bool:
        """There are no others."""
        return True

    def rise(self, client: str, place: int) -> None:
        """Nobody waits."""

    def enrol(self, client: str, prefix: str, most: int) -> Enrolled:
        """The pages are the places."""
        if client.lower() in self._pages:
            return Enrolled.OLD
        if sum(each.startswith(prefix) for each in self._pages) >= most:
            return Enrolled.FULL
        self.page(client)
        return Enrolled.NEW

    def give_up(self, prefix: str, keeps: Callable[[str], bool]) -> None:
        """They go."""
        for name in [each for each in self._pages if each.startswith(prefix) and not keeps(each)]:
            del self._pages[name]


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
