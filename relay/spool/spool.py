"""What receivers and the deliverer ask of a spool; `Store` and `MemoryStore` both do it."""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Protocol

from relay.errors import AlreadyTaken
from relay.message.envelope import Envelope
from relay.spool.change import Change, RecipientState
from relay.spool.claim import Claim
from relay.spool.entry import BudgetRows, Damaged, Entry, Mail, Page
from relay.spool.options import SpoolOptions
from relay.spool.prepared import Prepared
from relay.spool.suppressed import Suppressed


class Spool(Protocol):
    """Mails by id; every change is durable when its call returns."""

    @property
    def options(self) -> SpoolOptions:
        """How it was opened."""
        ...

    def close(self) -> None:
        """Let go of the files."""
        ...

    def apply(self, changes: Sequence[Change]) -> None:
        """Commit all of them or none; SpoolFull, SpoolError."""
        ...

    def commit(
        self,
        batch: Sequence[Prepared],
        on_written: Callable[[], None] = ...,
        late: Callable[[], Sequence[Prepared]] = ...,
    ) -> None:
        """`apply` for changes that are prepared already.

        `late` is asked for further ones when it is our turn to write; `on_written` is called before the sync.
        """
        ...

    def read(self, id: int) -> tuple[Envelope, bytes] | None:
        """Envelope and content record 0; None when the mail is not there; RecordDamaged."""
        ...

    def content(self, id: int, index: int) -> bytes:
        """A content record; RecordDamaged when it is damaged or missing."""
        ...

    def state(self, id: int) -> tuple[RecipientState, ...] | None:
        """Where the recipients stand; None: nothing happened yet; RecordDamaged."""
        ...

    def scan(self, after: int = 0, limit: int = 10_000) -> list[Entry | Damaged]:
        """Up to `limit` mails with ids above `after`, in order of id."""
        ...

    def envelopes(self, after: int = 0, limit: int = 1_000) -> list[Envelope | Damaged]:
        """As `scan`, but whole envelopes."""
        ...

    def mails(self, after: int = 0, limit: int = 1_000) -> list[Mail | Damaged]:
        """As `scan`, but whole envelopes with their states."""
        ...

    def page(self, after: int, limit: int, sieve: bytes) -> Page:
        """As `mails`, of those alone whose envelope may hold `sieve`: most of the others are left out, unread."""
        ...

    def budget_rows(self) -> BudgetRows:
        """What is kept of the budgets."""
        ...

    def suppressed(self, address: bytes) -> Suppressed | None:
        """Why and until when no mail is taken for the address, be it over or not; None: it is; RecordDamaged."""
        ...

    def suppressions(self, after: bytes = ..., limit: int = ...) -> list[tuple[bytes, Suppressed | None]]:
        """Up to `limit` addresses above `after`, in order; None: the record is damaged."""
        ...

    def count_suppressed(self) -> int:
        """Addresses no mail is taken for, those whose time is over among them."""
        ...

    def last_id(self, slot: int) -> int:
        """The highest id of this slot whose mail, or a part of it, was ever committed; 0: none was."""
        ...

    def key_holder(self, claim: Claim) -> AlreadyTaken | None:
        """Which mail has the idempotency key, and whether it is the same one; None: nobody has it."""
        ...

    def oldest_key(self) -> int | None:
        """The mail whose idempotency key is the oldest; None: there is none."""
        ...

    def count_keys(self) -> int:
        """Idempotency keys, those whose time is over among them until they are dropped."""
        ...

    def partial(self) -> Iterator[int]:
        """Mails that were streamed and not accepted yet."""
        ...

    def aside(self) -> Iterator[tuple[int, str]]:
        """Mails moved aside, each with its reason."""
        ...

    def quarantine(self, id: int, reason: str) -> None:
        """Move what there is of a mail aside, with its reason."""
        ...

    def abandon_partial(self, slots: Collection[int]) -> int:
        """Drop what receivers of these slots streamed and never accepted; how many mails."""
        ...

    def count(self) -> int:
        """How many mails are in the spool."""
        ...

    def restore_ballast(self) -> None:
        """Take back the room that removals were given when the disk was full."""
        ...

    def free_bytes(self) -> int:
        """Room for new mail: in the map and on the disk, whichever is less."""
        ...
