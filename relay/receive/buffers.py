"""Read buffers: a small one a session, large ones lent while content comes in.

Ten thousand idle sessions take 40 MiB this way and not 640; one that reads a mail
reads it in pieces of 64 KiB, so that it costs few calls.
"""

SMALL_BYTES = 4_096
"""Holds the longest command line twice, and a pipelined group of some fifty commands."""
LARGE_BYTES = 65_536
"""What uvloop reads at once; larger gains nothing on a loopback or a 10 Gbit/s network."""
MAX_KEPT = 32
"""Large buffers kept for the next borrower: 2 MiB."""


class Buffer:
    """Bytes and a view of them; the view saves making one at every read."""

    __slots__ = ("data", "size", "view")

    def __init__(self, size: int) -> None:
        self.data = bytearray(size)
        self.view = memoryview(self.data)
        self.size = size


class Buffers:
    """The large buffers of a process, at most `limit` of them lent at a time."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: list[Buffer] = []
        self.lent = 0

    def borrow(self) -> Buffer | None:
        """A large buffer, or None when all are lent: then read on with the small one."""
        if self.lent >= self._limit:
            return None
        self.lent += 1
        return self._kept.pop() if self._kept else Buffer(LARGE_BYTES)

    def give_back(self, buffer: Buffer) -> None:
        """It is lent no longer."""
        self.lent -= 1
        if len(self._kept) < MAX_KEPT:
            self._kept.append(buffer)
