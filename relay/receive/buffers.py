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


class Inbox:
    """What a session has read and not yet understood: in a small buffer of its own, in a large one while content comes."""

    __slots__ = ("_lender", "_small", "buffer", "end")

    def __init__(self, lender: "Buffers") -> None:
        self._lender = lender
        self._small = self.buffer = Buffer(SMALL_BYTES)
        self.end = 0
        """Of the bytes in the buffer."""

    @property
    def room(self) -> memoryview:
        """Where the next bytes go."""
        return self.buffer.view[self.end :] if self.end else self.buffer.view

    @property
    def is_full(self) -> bool:
        """Nothing more can be read."""
        return self.end == self.buffer.size

    def keep(self, start: int, *, wants_large: bool) -> None:
        """Move what begins at `start` to the front, into a large buffer or back into the small one, if that can be."""
        left = self.end - start
        if wants_large is (self.buffer is self._small):
            self._swap(start, left, wants_large)
        elif left and start:
            # They may overlap; a memoryview moves bytes as memmove does.
            self.buffer.view[:left] = self.buffer.view[start : self.end]
        self.end = left

    def close(self) -> None:
        """Nobody reads any more."""
        if self.buffer is not self._small:
            self._lender.give_back(self.buffer)
            self.buffer = self._small
        self.end = 0

    def _swap(self, start: int, left: int, wants_large: bool) -> None:
        old = self.buffer
        new = self._lender.borrow() if wants_large else self._small
        if new is None or left > new.size:
            new = old
        new.view[:left] = old.view[start : start + left]
        self.buffer = new
        if old is not new and old is not self._small:
            self._lender.give_back(old)


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
