"""Large limits: kept in grains, covered ahead. Never over, over a crash too; and nearly all of it is used."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.budget.answer import Taken, Wait
from relay.budget.cover import SLACK_PART
from relay.budget.journal import Batch
from relay.budget.ledger import Ledger
from relay.budget.limit import DAY_S, Charge, Limit, Scope, Unit
from relay.budget.window import GRAINS
from tests.budget.naive import SECOND, most_in_any_window, write

LIMIT = Limit(Scope.TENANT, Unit.EXTERNAL_RECIPIENTS, 10_000, 3)
GRAIN = 3 * SECOND // GRAINS

operations = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.one_of(st.integers(1, 30), st.integers(1, 6000))),
        st.tuples(st.just("pass"), st.one_of(st.integers(0, GRAIN * 2), st.integers(0, 3 * SECOND))),
        st.tuples(
            st.sampled_from(["hand out", "commit", "fail", "leave", "settle", "refund", "crash"]),
            st.integers(0, 10),
        ),
    ),
    max_size=60,
)


def charges(amount: int) -> list[Charge]:
    return [Charge(LIMIT.scope, "", LIMIT.unit, amount)]


class Bench:
    """A ledger, its disk, and what the next hop may have counted."""

    def __init__(self) -> None:
        self.now = 1_800_000_000 * SECOND
        self.disk: dict[bytes, bytes] = {}
        self.ledger = Ledger([LIMIT])
        self.pending: list[Batch] = []
        self.flying: list[tuple[Taken, int]] = []
        self.left: list[tuple[Taken, int, int]] = []
        self.counted: list[tuple[int, int, int]] = []

    def take(self, amount: int) -> None:
        answer = self.ledger.take(charges(amount), self.now)
        if isinstance(answer, Taken):
            self.flying.append((answer, amount))
            return
        assert isinstance(answer, Wait)
        assert answer.until is None or answer.until > self.now

    def do(self, what: str, number: int) -> None:
        match what:
            case "take":
                self.take(number)
            case "pass":
                self.now += number
            case "hand out":
                if (batch := self.ledger.changes()) is not None:
                    self.pending.append(batch)
            case "commit" if self.pending:
                batch = self.pending.pop(0)
                write(self.disk, batch.rows)
                self.ledger.committed(batch)
            case "fail" if self.pending:
                self.ledger.failed(self.pending.pop(0))
            case "leave":
                ready = [flight for flight in self.flying if flight[0].serial <= self.ledger.durable]
                self.left += [(taken, amount, self.now) for taken, amount in ready]
                self.flying = [flight for flight in self.flying if flight not in ready]
            case "settle" if self.left:
                taken, amount, begin = self.left.pop(number % len(self.left))
                self.ledger.settle(taken, self.now)
                self.counted.append((amount, begin, self.now))
            case "refund" if self.flying:
                self.ledger.refund(self.flying.pop(number % len(self.flying))[0])
            case "crash":
                self.crash()

    def crash(self) -> None:
        self.counted += [(amount, begin, self.now) for _, amount, begin in self.left]
        self.flying, self.left, self.pending = [], [], []
        self.ledger = Ledger([LIMIT])
        self.ledger.restore(list(self.disk.items()), self.now)


@settings(max_examples=400, deadline=None)
@given(operations)
def test_no_window_is_exceeded_whatever_fails_or_crashes(steps: Sequence[tuple[str, int]]) -> None:
    bench = Bench()
    for what, number in steps:
        bench.do(what, number)
    bench.crash()
    assert most_in_any_window(LIMIT, bench.counted) <= LIMIT.count
    held = sum(usage.held for usage in bench.ledger.usage(bench.now))
    # What the rows hold covers all that was counted and has not come free.
    assert held >= sum(amount for amount, _, end in bench.counted if end + 3 * SECOND > bench.now)


def test_a_crash_loses_one_in_a_thousand_at_most() -> None:
    bench = Bench()
    for _ in range(50):
        for what in ("take", "hand out", "commit", "leave", "settle"):
            bench.do(what, 7)
    bench.crash()
    (usage,) = bench.ledger.usage(bench.now)
    assert 350 <= usage.held <= 350 + 2 * LIMIT.count // SLACK_PART


def test_sends_within_the_cover_do_not_wait_for_the_disk() -> None:
    bench = Bench()
    for what in ("take", "hand out", "commit"):
        bench.do(what, 1)
    answers = [bench.ledger.take(charges(1), bench.now) for _ in range(LIMIT.count // SLACK_PART + 1)]
    serials = [answer.serial for answer in answers if isinstance(answer, Taken)]
    assert serials == [0] * (LIMIT.count // SLACK_PART) + [2]


def test_a_small_limit_waits_for_its_own_row_each_time() -> None:
    limit = Limit(Scope.MAILBOX, Unit.MESSAGES, 30, 60)
    ledger = Ledger([limit])
    for expected in range(1, 10):
        answer = ledger.take([Charge(limit.scope, "a", limit.unit, 1)], expected)
        assert isinstance(answer, Taken)
        assert answer.serial == expected == ledger.durable + 1
        batch = ledger.changes()
        assert batch is not None and batch.serial == expected
        ledger.committed(batch)


@pytest.mark.parametrize("count", [10_000, 1_590_639])
def test_a_day_of_backlog_uses_more_than_999_in_1000(count: int) -> None:
    """Ten days at the limit, in mails to 1 % of it: as much as the limit allows, less a grain a day."""
    limit = Limit(Scope.TENANT, Unit.EXTERNAL_RECIPIENTS, count, DAY_S)
    ledger = Ledger([limit])
    part = count // 100
    now, sent = 1, 0
    while now <= 10 * DAY_S * SECOND:
        answer = ledger.take([Charge(limit.scope, "", limit.unit, part)], now)
        if isinstance(answer, Taken):
            ledger.settle(answer, now)
            sent += part
            now += 7 * SECOND
        else:
            assert isinstance(answer, Wait) and answer.until is not None
            now = answer.until
    assert sent / (10 * part * 100) >= 0.999


def test_memory_stays_bounded_however_many_are_sent() -> None:
    limit = Limit(Scope.TENANT, Unit.EXTERNAL_RECIPIENTS, 1_590_639, DAY_S)
    ledger = Ledger([limit])
    for step in range(20_000):
        answer = ledger.take([Charge(limit.scope, "", limit.unit, 50)], step * 9 * SECOND)
        assert isinstance(answer, Taken)
        ledger.settle(answer, step * 9 * SECOND)
    batch = ledger.changes()
    assert batch is not None
    assert sum(value is not None for _, value in batch.rows) <= GRAINS + 4


def test_mailboxes_that_are_idle_are_forgotten_with_their_rows() -> None:
    limit = Limit(Scope.RECIPIENT, Unit.MESSAGES, 5, 60)
    ledger = Ledger([limit])
    disk: dict[bytes, bytes] = {}
    for step in range(3000):
        now = step * SECOND
        answer = ledger.take([Charge(limit.scope, f"r{step}", limit.unit, 1)], now)
        assert isinstance(answer, Taken)
        ledger.settle(answer, now)
        batch = ledger.changes()
        assert batch is not None
        write(disk, batch.rows)
        ledger.committed(batch)
    assert len(list(ledger.usage(3000 * SECOND))) <= 130
    assert len(disk) <= 270
