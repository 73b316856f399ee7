"""What is learnt from replies that say "too much", and which limit they lower."""

from relay.budget.connection import Connections
from relay.budget.ledger import Ledger
from relay.budget.limit import Limit, Scope, Unit
from relay.budget.row import Row
from relay.deliver.learner import Learner
from relay.deliver.outcome import Trouble
from relay.m365.preset import Kind
from relay.m365.row import Action, ReduceConnections, ReduceRate, RetryLater
from relay.m365.row import Scope as Stopped
from relay.smtp.reply import Reply
from relay.trace import event as trace
from tests.deliver.reaching import reach
from tests.fakes.clock import FakeClock

CONNECTOR = reach("connector", "", Kind.CONNECTOR, host="mx.test")
MAILBOX = reach()
NO, YES = Reply(421, "4.3.2", "too many"), Reply(250, "2.6.0", "queued")
CROWDED, FAST = ReduceConnections(60, 600), ReduceRate(60, 60)
FOREST = Limit(Scope.FOREST, Unit.CONNECTIONS, 16, key="mx.test", least=2)
ROUTE = Limit(Scope.ROUTE, Unit.CONNECTIONS, 8, key="connector", least=1)
RATE = Limit(Scope.SOURCE, Unit.MESSAGES, 100, 60, key="mx", least=10)


class Learning:
    """A learner, and what it sets."""

    def __init__(self, *limits: Limit, rows: list[Row] | None = None) -> None:
        self.clock = FakeClock()
        self.connections = Connections(limits)
        self.ledger = Ledger(limits)
        self.events: list[trace.Event] = []
        self.rows: dict[bytes, bytes] = {key: value for key, value in rows or () if value is not None}
        self.learner = Learner(
            limits, list(self.rows.items()), self.connections, self.ledger, self.events.append, self.clock, self._write
        )  # fmt: skip

    def _write(self, rows: object) -> None:
        assert isinstance(rows, list)
        self.rows |= dict(rows)

    def say_no(self, scope: Stopped, action: Action) -> None:
        self.learner.crowded(Trouble(scope, action, NO, None), CONNECTOR)

    @property
    def learnt(self) -> list[tuple[str, int, int]]:
        return [
            (event.scope, event.before, event.after)
            for event in self.events
            if isinstance(event, trace.LimitLearnt)
        ]


def test_a_reply_lowers_the_limit_of_its_own_scope() -> None:
    tested = Learning(FOREST, ROUTE, RATE)
    tested.say_no(Stopped.ROUTE, CROWDED)
    assert tested.learnt == [("route", 8, 4)]
    assert tested.connections.cap(Scope.ROUTE, "connector") == 4
    assert tested.connections.cap(Scope.FOREST, "mx.test") == 16
    [event] = [event for event in tested.events if isinstance(event, trace.LimitLearnt)]
    assert event.reply == str(NO) and event.unit == "connections"


def test_where_that_is_not_learnt_the_next_that_is() -> None:
    tested = Learning(FOREST, RATE)
    tested.say_no(Stopped.CONNECTION, CROWDED)
    assert tested.learnt == [("forest", 16, 8)]
    tested.say_no(Stopped.SENDER, FAST)
    assert tested.learnt[1:] == [("source", 100, 50)]


def test_a_rate_lowers_no_connections_and_what_passes_lowers_nothing() -> None:
    tested = Learning(FOREST, ROUTE)
    tested.say_no(Stopped.ROUTE, FAST)
    tested.say_no(Stopped.ROUTE, RetryLater(60, 60))
    assert not tested.learnt


def test_a_limit_that_is_published_is_not_learnt() -> None:
    tested = Learning(Limit(Scope.ROUTE, Unit.CONNECTIONS, 8, key="connector"))
    tested.say_no(Stopped.ROUTE, CROWDED)
    assert not tested.learnt and tested.connections.cap(Scope.ROUTE, "connector") == 8


def test_another_logins_limit_is_left_alone() -> None:
    tested = Learning(FOREST)
    tested.learner.crowded(Trouble(Stopped.FOREST, CROWDED, NO, None), MAILBOX)
    assert not tested.learnt


def test_what_was_used_to_the_full_in_calm_rises_again() -> None:
    tested = Learning(ROUTE)
    tested.say_no(Stopped.ROUTE, CROWDED)
    for owner in range(3):
        tested.connections.acquire(owner, CONNECTOR.scopes)
    tested.clock.advance(120.0)
    tested.learner.accepted(CONNECTOR, YES)
    assert len(tested.learnt) == 1, "three of four are used"
    tested.connections.acquire(3, CONNECTOR.scopes)
    tested.learner.accepted(CONNECTOR, YES)
    assert tested.learnt[1:] == [("route", 4, 5)]
    tested.learner.accepted(MAILBOX, YES)
    assert len(tested.learnt) == 2


def test_it_outlives_a_restart_and_a_row_that_is_none_costs_only_itself() -> None:
    before = Learning(FOREST, ROUTE)
    before.say_no(Stopped.ROUTE, CROWDED)
    before.say_no(Stopped.FOREST, CROWDED)
    rows: list[Row] = list(before.rows.items())
    after = Learning(FOREST, ROUTE, rows=rows)
    assert after.connections.cap(Scope.ROUTE, "connector") == 4
    assert after.connections.cap(Scope.FOREST, "mx.test") == 8
    damaged: list[Row] = [(rows[0][0], b"\xff" * 40), rows[1]]
    again = Learning(FOREST, ROUTE, rows=damaged)
    assert again.connections.cap(Scope.ROUTE, "connector") == 8
    assert again.connections.cap(Scope.FOREST, "mx.test") == 8
