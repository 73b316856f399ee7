"""Budgets at work: charges are taken before a mail begins, and on the disk before it leaves.

    gate.admit -> when_durable -> (the mail) -> ended

A lane without limits has no gate and pays nothing. Rows go to the disk with whatever
else is committed, one batch at a time, so that each gathers what came while the last one
was written. A commit that fails is tried again; until it succeeds, mail that waits for it
does not leave.
"""

from collections.abc import Callable
from functools import partial

from relay.budget.answer import Answer
from relay.budget.journal import Batch
from relay.clock import Clock
from relay.deliver.book import Book
from relay.deliver.gate import CallLater, Gate
from relay.deliver.settlement import Settlement
from relay.deliver.work import Work
from relay.errors import SpoolError
from relay.queue.lane import Lane
from relay.spool.change import Budget, Change
from relay.trace import event as trace

Submit = Callable[[Change, Callable[[SpoolError | None], None]], None]


class Budgets:
    """Of one process. Everything happens in the loop's thread."""

    def __init__(
        self,
        book: Book,
        submit: Submit,
        settlement: Settlement,
        record: trace.Record,
        clock: Clock,
        later: CallLater,
        retry_s: float,
        reopened: Callable[[Lane], None],
    ) -> None:
        """`reopened` is told of lanes that may ask again."""
        self._book = book
        self._submit = submit
        self._settlement = settlement
        self._record = record
        self._clock = clock
        self._later = later
        self._retry_s = retry_s
        self._reopened = reopened
        self._gates: dict[Lane, Gate] = {}
        self._held: list[tuple[int, Callable[[], None]]] = []
        """What goes when a batch is on the disk; at most one a connection."""
        self.is_busy = False
        """A batch is on its way to the disk, or waits to be tried again."""

    @property
    def throttled(self) -> int:
        """Lanes in which mail waits for a limit."""
        return sum(gate.is_waiting for gate in self._gates.values())

    def gate(self, lane: Lane) -> Gate | None:
        """The lane's gate; None when no limit holds for it."""
        gate = self._gates.get(lane)
        if gate is None and (tariff := self._book.tariffs.get(lane.key.route)) is not None:
            parts = (self._settlement, self._record, self._clock, self._later)
            gate = Gate(lane, tariff, self, *parts, partial(self._reopened, lane))
            self._gates[lane] = gate
        return gate

    def take(self, gate: Gate, work: Work) -> Answer:
        """Ask for the charges of a mail; what was taken is entered in it."""
        charges = gate.tariff.charges(work.addresses, work.envelope.size)
        return self._book.ledger.take(charges, self._now())

    def needed(self, serial: int) -> int:
        """The batch that is to be waited for; 0 when it is on the disk."""
        return serial if serial > self._book.ledger.durable else 0

    def when_durable(self, work: Work, go: Callable[[], None]) -> None:
        """Call `go` when the charge of this mail is on the disk."""
        self._held.append((work.serial, go))
        self._write()

    def ended(self, work: Work) -> None:
        """The end of a mail is known: give back what was not used, hold the rest for its windows."""
        taken, work.taken = work.taken, None
        assert taken is not None
        ledger, transaction = self._book.ledger, work.transaction
        is_freed = not transaction.content_begun
        if is_freed:
            ledger.refund(taken)
        else:
            gate = self._gates[work.job.lane]
            answered = zip(transaction.recipients, transaction.rcpt_replies, strict=False)
            refused = [recipient.address for recipient, reply in answered if not reply.is_positive]
            is_freed = bool(refused)
            ledger.settle(taken, self._now(), gate.tariff.unsent(refused) if refused else ())
        self._write()
        for gate in self._gates.values():
            gate.something_ended(is_freed=is_freed)

    def monotonic(self, at: int) -> float:
        """When the clock says that it is then."""
        return self._book.timeline.monotonic(at)

    def close(self) -> None:
        """Wait for nothing any more."""
        for gate in self._gates.values():
            gate.close()

    def _now(self) -> int:
        return self._book.timeline.now(self._clock.monotonic())

    def _write(self) -> None:
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
        self._write()
