"""Mail that is taken once, however often it comes: what X-Relay-Idempotency-Key asks for.

A client whose connection died before the reply does not know whether its mail was taken, and
sends it again (RFC 5321 section 6.1, RFC 1047). With the same key, the second is answered with
the first one's id and dropped. The spool decides (`relay.spool.claims`); here is what makes a
mail the same one, and the sweep over keys whose time is over.

The same mail has the same sender, recipients, Subject and body. Other fields may differ: who
makes the mail anew for another try gives it another Date and Message-ID.
"""

from collections.abc import Callable
from hashlib import blake2b
from typing import Protocol

from relay.clock import Clock
from relay.errors import AlreadyTaken, SpoolError
from relay.message.envelope import Envelope
from relay.message.header import Header
from relay.message.own_field import IDEMPOTENCY_KEY
from relay.message.queue_id import first_id_after, format_id
from relay.smtp.reply import Reply
from relay.spool.change import Change, Forget
from relay.spool.claim import CONTENT_BYTES, Claim, marks_of, name_of
from relay.spool.spool import Spool
from relay.trace.event import Record
from relay.trace.repeat_event import IdempotencyKeysFull, MailRepeated

SWEEP_S = 60.0
"""Old keys go with new ones; this is for those that are the last to have come."""
SWEEP_SLICE = 500
"""Keys of one commit, some milliseconds: mail waits for it."""


class Committer(Protocol):
    """`relay.spool.commit.Committer`, as far as it is needed here."""

    def submit(self, change: Change, done: Callable[[SpoolError | None], None]) -> None:
        """Commit it soon; `done` is called in the loop, after the commit."""
        ...


class Body:
    """What a mail with a key says behind its header; made from the pieces in which it comes."""

    __slots__ = ("_hash",)

    def __init__(self) -> None:
        self._hash = blake2b(digest_size=CONTENT_BYTES)

    @classmethod
    def of(cls, content: bytes | bytearray, header: Header) -> "Body":
        """Of a mail, or its beginning, with this header."""
        body = cls()
        body.add(memoryview(content)[header.end :])
        return body

    @classmethod
    def begun(cls, head: bytes | bytearray, limit: int) -> "Body | None":
        """Of a mail whose beginning this is, when it has a key; else nobody needs it."""
        header = Header.of(head, limit)
        return cls.of(head, header) if header.has(IDEMPOTENCY_KEY.encode()) else None

    def add(self, piece: "bytes | bytearray | memoryview[int]") -> None:
        """It goes on."""
        self._hash.update(piece)

    def fingerprint(self, sender: bytes, subject: bytes) -> bytes:
        """Of sender, Subject and body."""
        # With their lengths, so that no byte can move from one to the other.
        self._hash.update(b"%d:%b%d:%b" % (len(sender), sender, len(subject), subject))
        return self._hash.digest()


class Once:
    """One a receiver."""

    def __init__(self, spool: Spool, committer: Committer, record: Record, clock: Clock) -> None:
        self._spool = spool
        self._committer = committer
        self._record = record
        self._clock = clock
        self._window_s = spool.options.idempotency_window_s
        self._most = spool.options.idempotency_keys
        self._swept_at = float("-inf")
        self._is_sweeping = False

    def claim(self, key: str, envelope: Envelope, body: Body, header: Header) -> Claim:
        """What this mail claims: of its envelope what the client said, not what we made of it."""
        sender = envelope.sender if envelope.original_sender is None else envelope.original_sender
        return Claim(
            name_of(envelope.account, envelope.client, key),
            body.fingerprint(sender, header.get(b"Subject") or b""),
            marks_of([recipient.address for recipient in envelope.recipients]),
            self._oldest(),
            self._most,
        )

    def judge(self, taken: AlreadyTaken, envelope: Envelope) -> Reply:
        """The reply to a mail whose key another one has; what it says becomes an event."""
        first = format_id(taken.first)
        self._record(MailRepeated(first, envelope.client, envelope.account, taken.is_same))
        if taken.is_same:
            return Reply(250, "2.0.0", f"queued as {first} before; this repeat is not sent again")
        return Reply(
            554,
            "5.6.0",
            f"{IDEMPOTENCY_KEY} is that of another mail, queued as {first}; give each mail its own",
        )

    def before(self, claim: Claim, envelope: Envelope) -> Reply | None:
        """The answer to a repeat, where the mail itself may not come any more; None: it is none, as far as anybody knows."""
        try:
            taken = self._spool.key_holder(claim)
        except SpoolError:
            return None
        return self.judge(taken, envelope) if taken is not None and taken.is_same else None

    def sweep(self, now: float) -> None:
        """Once in a while: what nobody came after goes too. A slice a commit, until nothing is left."""
        if now - self._swept_at >= SWEEP_S and not self._is_sweeping:
            self._swept_at = now
            self._sweep_slice()
            self._tell_when_full()

    def _sweep_slice(self, error: SpoolError | None = None) -> None:
        self._is_sweeping = False
        if error is not None or not self._has_old():
            return
        self._is_sweeping = True
        self._committer.submit(Forget(self._oldest(), SWEEP_SLICE), self._sweep_slice)

    def _has_old(self) -> bool:
        try:
            found = self._spool.oldest_key()
        except SpoolError:
            return False
        return found is not None and found < self._oldest()

    def _tell_when_full(self) -> None:
        try:
            kept = self._spool.count_keys()
        except SpoolError:
            return
        if kept >= self._most:
            self._record(IdempotencyKeysFull(kept))

    def _oldest(self) -> int:
        return first_id_after(self._clock.now() - self._window_s)
