"""Never over, never idle, `until` exact: ledgers against a model that keeps every send.

Random limits, charges over several scopes, priorities, refunds, steps of both clocks,
batches that fail, restarts and crashes by the rows on the disk.
"""

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from relay.budget.answer import Taken, TooLarge, Wait
from relay.budget.journal import Batch
from relay.budget.ledger import Ledger
from relay.budget.limit import DAY_S, Charge, Limit, Scope, Unit
from relay.budget.row import Row
from relay.budget.timeline import Timeline
from relay.message.priority import Priority
from tests.budget.naive import SECOND, Book, Send, earliest, most_in_any_window, write
from tests.fakes.clock import FakeClock

TICK = 1 / 64
"""Exact in binary and in microseconds, so that the model need not round."""
KEYS = ("a", "b")
PAIRS = [(Scope.MAILBOX, Unit.MESSAGES), (Scope.MAILBOX, Unit.RECIPIENTS), (Scope.TENANT, Unit.RECIPIENTS)]


class RebootedClock(FakeClock):
    """A machine that has been up for so long."""

    def __init__(self, now: float, uptime_s: float) -> None:
        super().__init__(now)
        self._monotonic = uptime_s


@dataclass
class Flight:
    """A send on its way: what the ledger gave, and what the model and the next hop know."""

    taken: Taken
    charges: list[Charge]
    sends: list[tuple[Book, Send]]
    left_at: int | None = None
    """True time at which its content left."""


@dataclass
class Peer:
    """What the next hop may have counted: (amount, first, last) in true time, by limit and key."""

    counted: dict[tuple[Limit, str], list[tuple[int, int, int]]] = field(default_factory=dict)


@st.composite
def limit_rows(draw: st.DrawFn) -> list[Limit]:
    rows = []
    for scope, unit in PAIRS:
        for window_s in draw(st.sets(st.sampled_from([1, 3, 60]), min_size=1, max_size=2)):
            rows.append(Limit(scope, unit, draw(st.integers(1, 6)), window_s))
        if draw(st.booleans()):
            rows.append(Limit(scope, unit, draw(st.integers(2, 9)), DAY_S, since_midnight=True))
    return rows


charges_of_one_send = st.dictionaries(
    st.tuples(st.sampled_from(PAIRS), st.sampled_from(KEYS)), st.integers(1, 3), min_size=1, max_size=4
).map(lambda found: [Charge(scope, key, unit, amount) for ((scope, unit), key), amount in found.items()])


class LedgerMachine(RuleBasedStateMachine):
    @initialize(limits=limit_rows(), start=st.integers(0, 86400 * 64))
    def begin(self, limits: list[Limit], start: int) -> None:
        self.limits = limits
        self.clock = FakeClock(1_800_000_000.0 + start * TICK)
        self.truth = 0
        self.boot = 1
        self.disk: dict[bytes, bytes] = {}
        self.pending: list[Batch] = []
        self.flights: list[Flight] = []
        self.books: dict[tuple[Limit, str], Book] = {}
        self.peer = Peer()
        self.blurred_until = 0
        """Ledger time until which the ledger may count more than the model: after a crash."""
        self.start()

    def start(self) -> None:
        rows: list[Row] = list(self.disk.items())
        self.timeline = Timeline(rows, self.clock.now(), self.clock.monotonic(), f"boot {self.boot}")
        self.ledger = Ledger(self.limits, utc_offset_us=0)
        self.disk.update((key, value) for key, value in self.timeline.rows() if value is not None)
        self.ledger.restore(rows, self.now)

    @property
    def now(self) -> int:
        return self.timeline.now(self.clock.monotonic())

    def book(self, limit: Limit, key: str) -> Book:
        return self.books.setdefault((limit, key), Book(limit, limit.count, []))

    def booked(self, charges: list[Charge]) -> list[tuple[Book, int]]:
        return [
            (self.book(limit, charge.key), charge.amount)
            for charge in charges
            for limit in self.limits
            if (limit.scope, limit.unit) == (charge.scope, charge.unit)
        ]

    @rule(charges=charges_of_one_send, priority=st.sampled_from(Priority))
    def take(self, charges: list[Charge], priority: Priority) -> None:
        booked = self.booked(charges)
        answer = self.ledger.take(charges, self.now, priority)
        if any(amount > book.count for book, amount in booked):
            assert isinstance(answer, TooLarge)
            return
        expected = earliest(booked, self.now, priority)
        if isinstance(answer, Taken):
            assert expected == self.now
            sends = [(book, Send(amount, self.now)) for book, amount in booked]
            for book, send in sends:
                book.sends.append(send)
                if priority is Priority.BULK:
                    book.pace(send.amount, self.now)
            self.flights.append(Flight(answer, charges, sends))
            return
        assert isinstance(answer, Wait)
        assert answer.until != self.now
        if self.now >= self.blurred_until:
            assert answer.until == expected

    @rule(charges=charges_of_one_send, priority=st.sampled_from(Priority))
    def wait_as_told_and_take(self, charges: list[Charge], priority: Priority) -> None:
        answer = self.ledger.take(charges, self.now, priority)
        if isinstance(answer, Taken):
            self.ledger.refund(answer)
            self.unpace(charges, priority)
        elif isinstance(answer, Wait) and answer.until is not None:
            # Whole ticks: the model's clock knows no other.
            ticks = -(-(answer.until - self.now) * 64 // SECOND)
            self.pass_time(ticks)
            again = self.ledger.take(charges, self.now, priority)
            assert isinstance(again, Taken)
            self.ledger.refund(again)
            self.unpace(charges, priority)

    def unpace(self, charges: list[Charge], priority: Priority) -> None:
        """A refund gives the room back, not the pace: the model follows."""
        if priority is Priority.BULK:
            for book, amount in self.booked(charges):
                book.pace(amount, self.now)

    @rule(ticks=st.one_of(st.integers(0, 64), st.integers(0, 64 * 200), st.just(64), st.just(64 * 60)))
    def pass_time(self, ticks: int) -> None:
        self.clock.advance(ticks * TICK)
        self.truth += ticks * SECOND // 64

    @rule(seconds=st.integers(-100_000, 100_000))
    def step_the_wall(self, seconds: int) -> None:
        self.clock.set_wall(self.clock.now() + seconds)

    @rule()
    def hand_out(self) -> None:
        batch = self.ledger.changes()
        if batch is not None:
            self.pending.append(batch)

    @precondition(lambda self: self.pending)
    @rule()
    def commit(self) -> None:
        batch = self.pending.pop(0)
        write(self.disk, batch.rows)
        self.ledger.committed(batch)

    @precondition(lambda self: self.pending)
    @rule()
    def fail(self) -> None:
        self.ledger.failed(self.pending.pop(0))

    @rule()
    def let_content_leave(self) -> None:
        for flight in self.flights:
            if flight.left_at is None and flight.taken.serial <= self.ledger.durable:
                flight.left_at = self.truth

    @precondition(lambda self: any(flight.left_at is not None for flight in self.flights))
    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        flight = data.draw(st.sampled_from([f for f in self.flights if f.left_at is not None]))
        self.flights.remove(flight)
        unsent = data.draw(st.sampled_from([[], [flight.charges[0]._replace(amount=1)]]))
        self.ledger.settle(flight.taken, self.now, unsent)
        for book, send in flight.sends:
            for charge in unsent:
                limit = book.limit
                if (limit.scope, limit.unit) == (charge.scope, charge.unit) and self.books[
                    limit, charge.key
                ] is book:
                    send.amount -= charge.amount
            send.end = self.now
        self.counted(flight)

    def counted(self, flight: Flight) -> None:
        """The next hop counted it somewhere between the first byte and now."""
        assert flight.left_at is not None
        for (limit, key), book in self.books.items():
            for owner, send in flight.sends:
                if owner is book:
                    self.peer.counted.setdefault((limit, key), []).append(
                        (send.amount, flight.left_at, self.truth)
                    )

    @precondition(lambda self: any(flight.left_at is None for flight in self.flights))
    @rule(data=st.data())
    def refund(self, data: st.DataObject) -> None:
        flight = data.draw(st.sampled_from([f for f in self.flights if f.left_at is None]))
        self.flights.remove(flight)
        self.ledger.refund(flight.taken)
        for book, send in flight.sends:
            book.sends.remove(send)

    @rule(
        is_reboot=st.booleans(),
        off=st.integers(0, 8 * 100).map(lambda ticks: ticks * 8),
        up=st.integers(0, 8),
        step=st.sampled_from([0, -100_000, -5, 5, 100_000]),
    )
    def crash(self, is_reboot: bool, off: int, up: int, step: int) -> None:
        """What was not committed is gone. The wall clock may come back wrong."""
        for flight in self.flights:
            if flight.left_at is not None:
                self.counted(flight)
        before = self.now
        self.pass_time(off)
        if is_reboot:
            self.boot += 1
            self.clock = RebootedClock(self.clock.now(), uptime_s=off * TICK * up / 8)
        self.clock.set_wall(self.clock.now() + step)
        self.pending.clear()
        self.start()
        assert self.now <= before + off * SECOND // 64, "ledger time never runs ahead of the truth"
        for flight in self.flights:
            for book, send in flight.sends:
                if flight.left_at is None:
                    book.sends.remove(send)
                else:
                    send.end = self.now
        self.flights.clear()
        for book in self.books.values():
            book.paced_until = 0
        self.blurred_until = self.now + (DAY_S + 60) * SECOND

    @rule(ticks=st.integers(0, 64 * 100))
    def restart(self, ticks: int) -> None:
        """Everything is on the disk, the monotonic clock goes on: nothing is blurred."""
        if self.flights:
            return
        while self.pending:
            self.commit()
        self.hand_out()
        if self.pending:
            self.commit()
        self.pass_time(ticks)
        self.start()
        for book in self.books.values():
            book.paced_until = 0

    @invariant()
    def never_over(self) -> None:
        for (limit, _), counted in getattr(self, "peer", Peer()).counted.items():
            assert limit.since_midnight or most_in_any_window(limit, counted) <= limit.count


LedgerMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=50, deadline=None)
test_ledgers_agree_with_a_model_that_keeps_every_send = LedgerMachine.TestCase
