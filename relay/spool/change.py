"""What can be done to the spool: values, gathered and committed together.

The life of a mail in it:

    Stream*  Accept   (Record | Amend)*  Remove
    Stream*  Abandon

Several is Records, Amends and Removes of mails that have nothing to do with each other but
an order that is carried out on all of them.

Content records are numbered from 0. Record 0 is written last, with the envelope,
because the fields we add (a signature among them) are known only when the data
has ended; a small mail has nothing but record 0. What was streamed and never
accepted is marked, so that it is found and dropped after a crash.

Budget and Suppress stand beside it: what was used of limits (`relay.budget.row`), and
addresses no mail is taken for; rows of no mail.
Report is Record or Remove of one mail and Accept of the mail that tells of it, as one.
Forget drops idempotency keys (`relay.spool.claim`) whose time is over.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from msgspec import Struct

from relay.message.envelope import Envelope
from relay.spool.claim import Claim
from relay.spool.suppressed import Suppressed

MAX_RECORD_BYTES = 262_144
"""One content record. Bounds the memory a mail takes while it streams through."""


class Status(IntEnum):
    """Where one recipient of a mail stands."""

    QUEUED = 0
    DELIVERED = 1
    HELD = 2
    FAILED = 3
    """For good, and whoever wanted to know has been told."""
    CANCELLED = 4
    """Somebody has taken it back: it is done with, and was not delivered."""
    UNCERTAIN = 5
    """Its content was sent and the reply was lost. It is kept, and not tried, until somebody or something knows
    whether it arrived (`relay.deliver.doubt`)."""

    @property
    def is_left(self) -> bool:
        """Something is still to become of it; a mail of which nothing is left leaves the spool."""
        return self in _LEFT

    @property
    def is_kept(self) -> bool:
        """It stays until somebody's word, or until something is known."""
        return self in _KEPT


QUEUED, HELD, UNCERTAIN = Status.QUEUED, Status.HELD, Status.UNCERTAIN
"""For what looks at a million states: a member's name costs 0.3 µs each time in Python 3.11, a global's 0.02."""
_LEFT = (int(QUEUED), int(HELD), int(UNCERTAIN))
_KEPT = (int(HELD), int(UNCERTAIN))
"""Numbers in a tuple: a set would ask for a hash, which an enum makes of its name."""


class RecipientState(Struct, frozen=True, array_like=True):
    """What became of one recipient so far."""

    status: Status = Status.QUEUED
    attempts: int = 0
    next_attempt: float = 0.0
    """Seconds since the epoch; 0 is at once."""
    reply: str = ""
    """The last reply or trouble, as text for people."""
    aged_s: float = 0.0
    """Age that counted up to `as_of` (relay.deliver.age)."""
    as_of: float = 0.0
    """When this was recorded, seconds since the epoch; 0: nothing was tried yet, or an earlier version recorded it."""
    sent_at: float = 0.0
    """Of one that is uncertain: when its reply was given up, seconds since the epoch; all recipients of one
    transaction have the same. Of others 0."""
    sent_by: str = ""
    """Of such a one: the route it was sent by, which need not be its own (`spill`, `rebind`)."""


@dataclass(frozen=True, slots=True)
class Stream:
    """A content record of a mail that is still coming in; `index` counts from 1."""

    id: int
    index: int
    data: bytes | bytearray


@dataclass(frozen=True, slots=True)
class Accept:
    """The mail is whole: its envelope and content record 0."""

    envelope: Envelope
    head: bytes | bytearray
    claim: Claim | None = None
    """To an idempotency key; AlreadyTaken when another mail has it, and then nothing of this one is put."""


@dataclass(frozen=True, slots=True)
class Abandon:
    """Drop a mail that was not accepted, or one whose client was told so."""

    id: int
    chunks: int


@dataclass(frozen=True, slots=True)
class Record:
    """Where the recipients stand, in the envelope's order."""

    id: int
    recipients: tuple[RecipientState, ...]


@dataclass(frozen=True, slots=True)
class Amend:
    """The envelope of an accepted mail with another priority, or other routes; all else of it is as it came."""

    envelope: Envelope
    recipients: tuple[RecipientState, ...] | None = None
    """Where they stand from now on; None: where they stood."""


@dataclass(frozen=True, slots=True)
class Remove:
    """Every recipient is done with: the mail leaves the spool."""

    id: int
    chunks: int


@dataclass(frozen=True, slots=True)
class Several:
    """What becomes of many mails, each of them once: all of it or nothing."""

    changes: Sequence[Record | Amend | Remove]


@dataclass(frozen=True, slots=True)
class Budget:
    """Rows of the budgets to put, or with None to delete, in this order; deleting what is not there is no error."""

    rows: tuple[tuple[bytes, bytes | None], ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a mail, the mail that tells its sender, and rows as of Budget: all of it or nothing.

    So a crash neither loses a report nor sends it twice.
    """

    settled: Record | Remove | None
    """None: the mail stays as it is."""
    mail: Accept | None
    rows: tuple[tuple[bytes, bytes | None], ...] = ()


@dataclass(frozen=True, slots=True)
class Suppress:
    """Addresses no mail is taken for; None: it is again. What there is of the same address is replaced."""

    rows: tuple[tuple[bytes, Suppressed | None], ...]


@dataclass(frozen=True, slots=True)
class Forget:
    """Drop up to `limit` idempotency keys of mails with ids below `oldest`."""

    oldest: int
    limit: int


Change = Stream | Accept | Abandon | Record | Amend | Remove | Several | Budget | Report | Suppress | Forget
