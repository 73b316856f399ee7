"""Reading a mail's content: DATA to its final dot, BDAT chunk by chunk (RFC 5321 section 4.1.1.4, RFC 3030).

What the bytes are is decided natively; here is what a chunk still lacks, whether it
is to be decoded or only read to its end, and the reply that a fault deserves.
"""

from relay._fastpath import (
    ERROR_BARE_CR,
    ERROR_BARE_LF,
    ERROR_LINE_LENGTH,
    ERROR_NONE,
    ERROR_NUL,
    ERROR_SIZE,
    BodyHash,
    DataDecoder,
)
from relay.smtp.command import BdatCommand
from relay.smtp.reply import Reply


class ContentReader:
    """One a session; `decoded` gathers what has been read of a mail."""

    __slots__ = ("_decoder", "_left", "_max_bytes", "chunk_refusal", "decoded", "is_last_chunk")

    def __init__(self, *, refuse_bare_lf: bool, max_line_bytes: int, max_bytes: int) -> None:
        self._decoder = DataDecoder(refuse_bare_lf=refuse_bare_lf, max_line=max_line_bytes, limit=max_bytes)
        self._max_bytes = max_bytes
        self._left = 0
        self.decoded = bytearray()
        self.is_last_chunk = False
        self.chunk_refusal: Reply | None = None
        """The chunk's bytes are of no use: it is read to its end, else they are parsed as commands."""

    @property
    def size(self) -> int:
        """Bytes of this mail so far, those that the driver has taken included."""
        return self._decoder.size

    def hash_body(self, body_hash: BodyHash | None) -> None:
        """Hash the body of every mail from now on while it is read."""
        self._decoder.hash_body(body_hash)

    def begin(self) -> None:
        """A new mail's content comes now."""
        self._decoder.reset()

    def drop(self) -> None:
        """Nobody wants what was read."""
        if self.decoded:
            self.decoded = bytearray()

    def read_data(self, buffer: bytearray, start: int, end: int) -> int:
        """Decode buffer[start:end] up to the final dot; the index of the first byte not taken."""
        return self._decoder.feed(buffer, start, end, self.decoded)

    @property
    def data_has_ended(self) -> bool:
        """The final dot has been read."""
        return self._decoder.finished

    def begin_chunk(self, chunk: BdatCommand, refusal: Reply | None) -> None:
        """So many bytes follow, for a mail or, with `refusal`, for none."""
        self._left = chunk.size
        self.is_last_chunk = chunk.is_last
        if refusal is None and self._decoder.size + chunk.size > self._max_bytes:
            refusal = self.too_large()
        self.chunk_refusal = refusal

    def read_chunk(self, buffer: bytearray, start: int, end: int) -> int:
        """Decode buffer[start:end] as far as it is the chunk's; the index of the first byte not taken."""
        stop = min(end, start + self._left)
        if self.chunk_refusal is None:
            self._decoder.feed_raw(buffer, start, stop, self.decoded)
            if stop - start == self._left and self.is_last_chunk:
                self._decoder.end_raw(self.decoded)
        self._left -= stop - start
        return stop

    @property
    def chunk_has_ended(self) -> bool:
        """All its bytes have been read."""
        return not self._left

    def fault(self) -> Reply | None:
        """The reply that refuses what was read, or None."""
        error = self._decoder.error
        if error == ERROR_NONE:
            return None
        return self.too_large() if error == ERROR_SIZE else Reply(554, "5.6.0", _FAULTS[error])

    def too_large(self) -> Reply:
        """Also for a mail that declares its size."""
        return Reply(552, "5.3.4", f"A mail may have {self._max_bytes} bytes")


_FAULTS = {
    ERROR_BARE_CR: "The mail holds a CR without LF",
    ERROR_BARE_LF: "The mail holds an LF without CR",
    ERROR_NUL: "The mail holds a NUL",
    ERROR_LINE_LENGTH: "The mail holds a line that is too long",
}
