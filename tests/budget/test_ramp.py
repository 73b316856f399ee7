"""A ramp: never more than the day's number on any day, over restarts and crashes; lifted when it is over."""

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from relay.budget.answer import Taken, TooLarge, Wait
from relay.budget.journal import Batch
from relay.budget.ledger import Ledger
from relay.budget.limit import DAY_S, DAY_US, LIFTED, Charge, Limit, Scope, Unit, stricter
from relay.budget.row import Row
from relay.budget.timeline import Timeline
from relay.message.priority import Priority
from tests.budget.naive import SECOND, write
from tests.fakes.clock import FakeClock

START = 20_800
"""A day, since the epoch."""
ONE = [Charge(Scope.MAILBOX, "a", Unit.MESSAGES, 1)]


def ramp(*numbers: int, count: int = LIFTED) -> Limit:
    return Limit(Scope.MAILBOX, Unit.MESSAGES, count, DAY_S, True, ramp=numbers, ramp_day=START)


def sent(ledger: Ledger, now: int, tries: int = 100) -> int:
    """How many go at once."""
    count = 0
    for _ in range(tries):
        taken = ledger.take(ONE, now)
        if not isinstance(taken, Taken):
            break
        ledger.settle(taken, now)
        count += 1
    return count


@pytest.mark.parametrize("offset", [0, 7 * 3600 * SECOND, -5 * SECOND])
def test_each_day_has_its_number_and_then_the_limit_is_lifted(offset: int) -> None:
    ledger = Ledger([ramp(2, 5, 9)], utc_offset_us=offset)
    midnight = START * DAY_US - offset
    allowed = {day: sent(ledger, midnight + day * DAY_US + 1) for day in range(-3, 5)}
    assert allowed == {-3: 2, -2: 2, -1: 2, 0: 2, 1: 5, 2: 9, 3: 100, 4: 100}


def test_the_number_changes_at_midnight_to_the_microsecond() -> None:
    ledger, midnight = Ledger([ramp(2, 5, count=7)]), START * DAY_US
    assert sent(ledger, midnight) == 2
    wait = ledger.take(ONE, midnight + DAY_US - 1)
    assert isinstance(wait, Wait) and wait.until == midnight + DAY_US
    assert sent(ledger, midnight + DAY_US) == 5
    assert sent(ledger, midnight + 2 * DAY_US) == 7
    assert sent(ledger, midnight + 3 * DAY_US) == 7


def test_what_is_under_way_at_midnight_counts_for_both_days() -> None:
    ledger, midnight = Ledger([ramp(2, 3)]), START * DAY_US
    flights = [ledger.take(ONE, midnight + DAY_US - 1) for _ in range(2)]
    assert all(isinstance(flight, Taken) for flight in flights)
    assert sent(ledger, midnight + DAY_US) == 1
    for flight in flights:
        assert isinstance(flight, Taken)
        ledger.settle(flight, midnight + DAY_US + 1)
    assert sent(ledger, midnight + DAY_US + 2) == 0
    assert sent(ledger, midnight + 2 * DAY_US) == 100


def test_a_mail_to_more_than_a_day_allows_is_to_be_cut_to_that() -> None:
    limit = replace(ramp(2, 50), unit=Unit.RECIPIENTS)
    ledger = Ledger([limit])
    charges = [Charge(Scope.MAILBOX, "a", Unit.RECIPIENTS, 10)]
    answer = ledger.take(charges, START * DAY_US)
    assert isinstance(answer, TooLarge) and answer.count == 2
    assert isinstance(ledger.take(charges, (START + 1) * DAY_US), Taken)


def test_how_a_limit_stands_is_told_with_the_number_of_the_day() -> None:
    ledger = Ledger([ramp(2, 5)])
    assert sent(ledger, START * DAY_US) == 2
    [usage] = ledger.usage((START + 1) * DAY_US)
    assert (usage.count, usage.held) == (5, 0)


def test_every_key_has_a_ramp_of_its_own() -> None:
    ledger = Ledger([ramp(2, 5)])
    assert sent(ledger, START * DAY_US) == 2
    other = [Charge(Scope.MAILBOX, "b", Unit.MESSAGES, 1)]
    assert isinstance(ledger.take(other, START * DAY_US), Taken)


@pytest.mark.parametrize(
    "changes",
    [
        {"ramp": (5, 4)},
        {"ramp": (0, 4)},
        {"ramp": (5, 11)},
        {"ramp": (5,), "since_midnight": False},
        {"ramp": (5,), "least": 1},
    ],
)
def test_a_ramp_that_means_nothing_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="ramp"):
        replace(ramp(count=10), **changes)  # type: ignore[arg-type]  # names are checked at run time


numbers = st.lists(st.integers(1, 9), max_size=5).map(lambda found: tuple(sorted(found)))
limits = st.builds(
    lambda numbers, start, more: Limit(
        Scope.MAILBOX, Unit.MESSAGES, max(numbers, default=1) + more, DAY_S, True,
        ramp=numbers, ramp_day=start if numbers else 0,
    ),
    numbers, st.integers(START - 4, START + 4), st.integers(0, 5),
)  # fmt: skip


@given(limits, limits)
def test_where_two_hold_the_smaller_number_of_each_day_does(one: Limit, other: Limit) -> None:
    both = stricter(one, other)
    for day in range(START - 8, START + 16):
        assert both.on(day) == min(one.on(day), other.on(day))


@dataclass
class Flight:
    taken: Taken
    left_at: int | None = None
    """True time at which its content left."""


@dataclass
class Peer:
    """What the next hop may have counted: first and last moment of each mail, in true time."""

    counted: list[tuple[int, int]] = field(default_factory=list)

    def most_on(self, day: int) -> int:
        begin, end = day * DAY_US, (day + 1) * DAY_US
        return sum(first < end and last >= begin for first, last in self.counted)


class RampMachine(RuleBasedStateMachine):
    """The next hop counts each mail on whichever day it likes between its first byte and its reply."""

    @initialize(
        numbers=st.lists(st.integers(1, 6), min_size=1, max_size=4).map(sorted),
        more=st.one_of(st.none(), st.integers(0, 3)),
        early=st.integers(-2, 1),
    )
    def begin(self, numbers: list[int], more: int | None, early: int) -> None:
        self.limit = ramp(*numbers, count=LIFTED if more is None else numbers[-1] + more)
        self.clock = FakeClock(float((START + early) * DAY_S + 80_000))
        self.boot = 1
        self.disk: dict[bytes, bytes] = {}
        self.pending: list[Batch] = []
        self.flights: list[Flight] = []
        self.peer = Peer()
        self.start()

    def start(self) -> None:
        rows: list[Row] = list(self.disk.items())
        self.timeline = Timeline(rows, self.clock.now(), self.clock.monotonic(), f"boot {self.boot}")
        self.ledger = Ledger([self.limit], utc_offset_us=self.timeline.utc_offset_us)
        self.disk.update((key, value) for key, value in self.timeline.rows() if value is not None)
        self.ledger.restore(rows, self.now)

    @property
    def now(self) -> int:
        return self.timeline.now(self.clock.monotonic())

    @property
    def truth(self) -> int:
        return int(self.clock.now()) * SECOND

    @rule(priority=st.sampled_from(Priority), times=st.integers(1, 4))
    def take(self, priority: Priority, times: int) -> None:
        for _ in range(times):
            answer = self.ledger.take(ONE, self.now, priority)
            if isinstance(answer, Taken):
                self.flights.append(Flight(answer))
            else:
                assert isinstance(answer, Wait)

    @rule(times=st.integers(1, 12))
    def send_all_that_may_go(self, times: int) -> None:
        """As a fast route does: each on the disk, sent and answered within the moment."""
        while self.pending:
            batch = self.pending.pop(0)
            write(self.disk, batch.rows)
            self.ledger.committed(batch)
        for _ in range(times):
            taken = self.ledger.take(ONE, self.now)
            if not isinstance(taken, Taken):
                return
            own = self.ledger.changes()
            assert own is not None
            write(self.disk, own.rows)
            self.ledger.committed(own)
            self.ledger.settle(taken, self.now)
            self.peer.counted.append((self.truth, self.truth))

    @rule(seconds=st.sampled_from([1, 60, 3_000, 20_000, 50_000, 90_000]))
    def pass_time(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule()
    def hand_out(self) -> None:
        batch = self.ledger.changes()
        if batch is not None:
            self.pending.append(batch)

    @precondition(lambda self: self.pending)
    @rule(is_written=st.booleans())
    def commit(self, is_written: bool) -> None:
        batch = self.pending.pop(0)
        if is_written:
            write(self.disk, batch.rows)
            self.ledger.committed(batch)
        else:
            self.ledger.failed(batch)

    @rule()
    def let_content_leave(self) -> None:
        for flight in self.flights:
            if flight.left_at is None and flight.taken.serial <= self.ledger.durable:
                flight.left_at = self.truth

    @precondition(lambda self: self.flights)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        flight = data.draw(st.sampled_from(self.flights))
        self.flights.remove(flight)
        if flight.left_at is None:
            self.ledger.refund(flight.taken)
        else:
            self.ledger.settle(flight.taken, self.now)
            self.peer.counted.append((flight.left_at, self.truth))

    @rule(off=st.sampled_from([0, 30, 40_000, 90_000]), is_reboot=st.booleans())
    def crash(self, off: int, is_reboot: bool) -> None:
        """What was not committed is gone, and what had left is counted."""
        for flight in self.flights:
            if flight.left_at is not None:
                self.peer.counted.append((flight.left_at, self.truth))
        self.flights.clear()
        self.pending.clear()
        self.clock.advance(off)
        self.boot += is_reboot
        self.start()

    @invariant()
    def never_more_than_the_number_of_the_day(self) -> None:
        if not hasattr(self, "peer"):
            return
        for day in {moment // DAY_US for span in self.peer.counted for moment in span}:
            assert self.peer.most_on(day) <= self.limit.on(day)


RampMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)
test_never_more_than_the_number_of_the_day = RampMachine.TestCase


def test_a_restart_forgets_neither_the_day_nor_what_was_used_of_it() -> None:
    clock = FakeClock(float(START * DAY_S + 43_200))
    disk: dict[bytes, bytes] = {}
    allowed = []
    for hours in (0, 6, 12, 6, 24):
        clock.advance(hours * 3_600)
        rows: list[Row] = list(disk.items())
        timeline = Timeline(rows, clock.now(), clock.monotonic(), "this boot")
        disk.update((key, value) for key, value in timeline.rows() if value is not None)
        ledger = Ledger([ramp(2, 5)], utc_offset_us=timeline.utc_offset_us)
        now = timeline.now(clock.monotonic())
        ledger.restore(rows, now)
        allowed.append(sent(ledger, now, 3))
        batch = ledger.changes()
        assert batch is not None
        write(disk, batch.rows)
        ledger.committed(batch)
    # 12:00 of the first day, 18:00; 06:00 of the second, 12:00; 12:00 of the third, when it is lifted.
    assert allowed == [2, 0, 3, 2, 3]
