"""A mail's content on its way in: DATA to its final dot, BDAT chunk by chunk, and the header out of it.

Only the header is of interest: behind it bytes are counted and dropped, so that a mail
of any size takes little memory, unless somebody wants to keep them.
"""

from relay._fastpath import ERROR_NONE, ERROR_SIZE, DataDecoder
from relay.message.header import Header

LINE_MAX_BYTES = 1 << 24
"""Exchange publishes no limit on a line's length."""
HEADER_LOOK_BYTES = 1 << 20
"""A header that is longer counts as one of this length: four times of what is allowed."""


class Content:
    """One a session; `begin` between mails."""

    def __init__(self, limit: int, *, is_kept: bool) -> None:
        """`limit` in bytes, 0 for none; `is_kept`: `decoded` holds the whole mail at its end."""
        self.decoded = bytearray()
        self.chunk_left = 0
        self.is_last_chunk = False
        self._decoder = DataDecoder(max_line=LINE_MAX_BYTES, limit=limit)
        self._is_kept = is_kept
        self._is_wanted = True
        self._header: Header | None = None

    @property
    def size(self) -> int:
        """Bytes so far, dot stuffing removed."""
        return self._decoder.size

    @property
    def data_has_ended(self) -> bool:
        """The final dot has been taken."""
        return self._decoder.finished

    @property
    def is_damaged(self) -> bool:
        """It holds what no mail may hold, or is too large."""
        return self._decoder.error != ERROR_NONE

    @property
    def is_too_large(self) -> bool:
        """The limit was passed before anything else was wrong."""
        return self._decoder.error == ERROR_SIZE

    def begin(self) -> None:
        """A new mail's content comes now."""
        self._decoder.reset()
        self.drop()

    def drop(self) -> None:
        """Nobody wants what was read."""
        self.decoded.clear()
        self._header = None

    def read_data(self, buffer: bytearray, start: int, end: int) -> int:
        """Decode buffer[start:end]; the index of the first byte not taken."""
        start = self._decoder.feed(buffer, start, end, self.decoded)
        if not self._decoder.finished:
            self._drop_body()
        return start

    def begin_chunk(self, size: int, *, is_last: bool, is_wanted: bool) -> None:
        """So many bytes follow, for a mail or for none."""
        self.chunk_left, self.is_last_chunk, self._is_wanted = size, is_last, is_wanted

    def read_chunk(self, buffer: bytearray, start: int, end: int) -> int:
        """Take what is the chunk's; the index of the first byte that is not."""
        stop = min(end, start + self.chunk_left)
        self.chunk_left -= stop - start
        if not self._is_wanted:
            return stop
        self._decoder.feed_raw(buffer, start, stop, self.decoded)
        if self.is_last_chunk and not self.chunk_left:
            self._decoder.end_raw(self.decoded)
        else:
            self._drop_body()
        return stop

    def header(self) -> Header:
        """What was found of it; at the mail's end that is all."""
        return self._header or Header.of(self.decoded, HEADER_LOOK_BYTES)

    def _drop_body(self) -> None:
        if self._is_kept:
            return
        if self._header is None:
            header = self.header()
            if not header.is_complete and len(self.decoded) < HEADER_LOOK_BYTES:
                return
            self._header = header
        self.decoded.clear()
