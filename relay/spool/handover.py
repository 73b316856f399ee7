"""The receivers' word to the deliverer: these mails are committed.

A hint, not the truth: the spool is. A hint that is lost costs a scan, one that
comes twice or late costs a look, so the receiver never waits for an answer and
the deliverer never trusts a hint without reading the spool.

Frames over a Unix stream socket, receiver to deliverer only:

    4 bytes length, big endian | msgpack of Hello or of a list of Queued
"""

from collections.abc import Iterator, Sequence

import msgspec
from msgspec import Struct

from relay.message.envelope import Envelope
from relay.message.priority import Priority

MAX_FRAME_BYTES = 4_194_304
"""A frame holds at most as many mails as one commit does; 4 MiB is 20,000 of them with a recipient each. Of
mails to very many a frame holds fewer."""


class Queued(Struct, frozen=True, array_like=True):
    """What the queue must know of a mail before it reads it."""

    id: int
    received_at: float
    size: int
    chunks: int
    routes: tuple[str, ...]
    """The distinct routes of its recipients: one job each."""
    sender: bytes = b""
    """Reverse-path, by which a route chooses the mailbox."""
    source: str = ""
    """Whose mail it is, for a fair order: the account, or the client's address."""
    priority: Priority = Priority.NORMAL
    campaign: str = ""
    not_before: float = 0.0
    client: str = ""
    message_id: bytes = b""
    """This and what follows is for the history."""
    account: str = ""
    recipients: tuple[bytes, ...] = ()
    deadline: float = 0.0
    """Seconds since the epoch; 0: none of its own."""
    subject: str = ""
    """Where the history keeps it."""

    @classmethod
    def of(cls, envelope: Envelope, routes: tuple[str, ...] | None = None) -> "Queued":
        """The hint for a mail, for some of its routes perhaps."""
        return cls(
            envelope.id,
            envelope.received_at,
            envelope.size,
            envelope.chunks,
            envelope.routes() if routes is None else routes,
            envelope.sender,
            envelope.account or envelope.client,
            envelope.priority,
            envelope.campaign,
            envelope.not_before,
            envelope.client,
            envelope.message_id,
            envelope.account,
            tuple([recipient.address for recipient in envelope.recipients]),
            envelope.deadline,
            envelope.subject,
        )


class Hello(Struct, frozen=True, tag=True):
    """First frame of a connection, and again whenever hints had to be dropped.

    Mails of `slot` with ids from `first_id` on may be in the spool without a hint: of a process
    that died before it said anything, or hints that were dropped. They are looked for at once, and
    again when this connection ends.
    """

    slot: int
    first_id: int


Frame = Hello | list[Queued]

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Hello | list[Queued]] = msgspec.msgpack.Decoder(Hello | list[Queued])


def encode(frame: Hello | Sequence[Queued]) -> bytes:
    """The frame as it goes over the socket."""
    payload = _encoder.encode(frame)
    return len(payload).to_bytes(4, "big") + payload


def frames(mails: Sequence[Queued]) -> Iterator[bytes]:
    """These hints in as many frames as it takes."""
    frame = encode(mails)
    if len(frame) - 4 <= MAX_FRAME_BYTES or len(mails) == 1:
        yield frame
        return
    half = len(mails) // 2
    yield from frames(mails[:half])
    yield from frames(mails[half:])


class FrameReader:
    """Bytes in, frames out; keeps what is not yet whole."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes | bytearray | memoryview) -> Iterator[Frame]:
        """Frames completed by `data`; ValueError for one that is too long or malformed."""
        buffer = self._buffer
        buffer += data
        start = 0
        try:
            while len(buffer) - start >= 4:
                length = int.from_bytes(buffer[start : start + 4], "big")
                if length > MAX_FRAME_BYTES:
                    raise ValueError(f"a frame of {length} bytes exceeds {MAX_FRAME_BYTES}")
                end = start + 4 + length
                if len(buffer) < end:
                    break
                frame = bytes(memoryview(buffer)[start + 4 : end])
                start = end
                yield _decoder.decode(frame)
        except msgspec.DecodeError as error:
            raise ValueError(f"malformed frame: {error}") from None
        finally:
            del buffer[:start]
