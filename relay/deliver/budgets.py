"""Budgets at work: charges are taken before a mail begins, and on the disk before it leaves.

    ledger.take -> when_durable -> (the mail) -> ended

Rows go to the disk with whatever else is committed, one batch at a time, so that each
gathers what came while the last one was written. A commit that fails is tried again;
until it succeeds, mail that waits for it does not leave.
"""

from collections.abc import Callable
from functools import partial

from relay.budget.journal import Batch
from relay.budget.ledger import Ledger
from relay.budget.limit import Place
from relay.clock import Clock
from relay.deliver.book import Book
from relay.deliver.gate import CallLater
from relay.deliver.work import Work
from relay.errors import SpoolError
from relay.spool.change import Budget, Change

Submit = Callable[[Change, Callable[[SpoolError | None], None]], None]


class Budgets:
    """Of one process. Everything happens in the loop's thread."""

    def __init__(self, book: Book, submit: Submit, clock: Clock, later: CallLater, retry_s: float) -> None:
        self._book = book
        self._submit = submit
        self._clock = clock
        self._later = later
        self._retry_s = retry_s
        self._held: list[tuple[int, Callable[[], None]]] = []
        """What goes when a batch is on the disk; at most one a connection."""
        self.is_busy = False
        """A batch is on its way to the disk, or waits to be tried again."""

    @property
    def ledger(self) -> Ledger:
        """Where charges are taken."""
        return self._book.ledger

    def now(self) -> int:
        """Ledger time."""
        return self._book.timeline.now(self._clock.monotonic())

    def monotonic(self, at: int) -> float:
        """When the clock says that it is then."""
        return self._book.timeline.monotonic(at)

    def needed(self, serial: int) -> int:
        """The batch that is to be waited for; 0 when it is on the disk."""
        return serial if serial > self._book.ledger.durable else 0

    def when_durable(self, work: Work, go: Callable[[], None]) -> None:
        """Call `go` when the charge of this mail is on the disk."""
        self._held.append((work.serial, go))
        self.write()

    def ended(self, work: Work) -> frozenset[Place]:
        """The end of a mail is known: give back what was not used, hold the rest for its windows.

        Returns where there may be room before the time that was told.
        """
        taken, work.taken = work.taken, None
        assert taken is not None and work.gate is not None and work.gate.tariff is not None
        ledger, transaction = self._book.ledger, work.transaction
        is_freed = not transaction.content_begun
        if is_freed:
            ledger.refund(taken)
        else:
            answered = zip(transaction.recipients, transaction.rcpt_replies, strict=False)
            refused = [recipient.address for recipient, reply in answered if not reply.is_positive]
            is_freed = bool(refused)
            unsent = work.gate.tariff.unsent(refused, work.client) if refused else ()
            ledger.settle(taken, self.now(), unsent)
        self.write()
        return frozenset(account.place for account, _ in taken.parts) if is_freed else frozenset()

    def write(self) -> None:
        """Let changes of the ledger reach the disk."""
        if self.is_busy:
            return
        batch = self._book.ledger.changes()
        if batch is not None:
            self.is_busy = True
            self._submit(Budget(batch.rows), partial(self._written, batch))

    def _written(self, batch: Batch, error: SpoolError | None) -> None:
        ledger = self._book.ledger
        if error is not None:
            ledger.failed(batch)
            self._later(self._retry_s, self._write_again)
            return
        ledger.committed(batch)
        durable = ledger.durable
        ready = [go for serial, go in self._held if serial <= durable]
        self._held = [held for held in self._held if held[0] > durable]
        self._write_again()
        for go in ready:
            go()

    def _write_again(self) -> None:
        self.is_busy = False
        self.write()
