"""Breakers, whatever happens in whatever order: one probe at a time, none too early, always one in the end."""

import math
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from relay.deliver.breakers import Breakers
from relay.deliver.options import DelivererOptions
from relay.deliver.outcome import Trouble
from relay.deliver.reach import Reach
from relay.errors import SpoolError
from relay.m365.preset import Kind
from relay.m365.row import Action, LogInAgain, OpenBreaker, ReduceRate, RetryLater, Scope, Stop
from relay.queue.breaker import LONGEST_S, STILL_S, StopKey
from relay.queue.denial import Denials
from relay.smtp.reply import Reply
from relay.spool.change import Budget, Change
from relay.spool.memory import MemoryStore
from relay.spool.options import SpoolOptions
from relay.trace import event as trace
from tests.deliver.reaching import reach
from tests.fakes.clock import FakeClock
from tests.fakes.timers import Timers

REACHES = (
    reach("one", "a@contoso.test"),
    reach("one", "b@contoso.test"),
    reach("two", "a@contoso.test"),
    reach("connector", "", Kind.CONNECTOR, host="mx.test"),
    reach("plain", "", Kind.SMTP, host="other.test"),
)
SENDERS = (b"x@shop.test", b"y@shop.test", b"z@news.test", b"")
WIDE = [scope for scope in Scope if scope not in (Scope.CONNECTION, Scope.MESSAGE, Scope.RECIPIENT)]
ACTIONS: tuple[Action, ...] = (
    RetryLater(60, 300), ReduceRate(60, 60), OpenBreaker(900), OpenBreaker(0), LogInAgain(3600), Stop(),
)  # fmt: skip


class Kept:
    """Breakers, and what they lean on."""

    def __init__(
        self, store: MemoryStore | None = None, clock: FakeClock | None = None, acted_at: float = 0.0
    ) -> None:
        self.clock = clock or FakeClock()
        self.timers = Timers(self.clock)
        self.store = store or MemoryStore(SpoolOptions(Path()))
        self.events: list[trace.Event] = []
        self.woken: dict[StopKey, float] = {}
        """When it was told last that something may go on."""
        self.denials = Denials()
        self.fails = 0
        """So many commits fail from now on."""
        options = DelivererOptions("relay.test", Path())
        self.breakers = Breakers(
            self.denials, options, self._submit, self.events.append, self.clock, lambda: 0.5, self.timers,
            self._woken,
        )  # fmt: skip
        self.breakers.restore(self.store, acted_at)

    def _woken(self, key: StopKey) -> None:
        self.woken[key] = self.clock.monotonic()

    def _submit(self, change: Change, done: object) -> None:
        assert isinstance(change, Budget) and callable(done)
        if self.fails:
            self.fails -= 1
            done(SpoolError("the disk is full"))
            return
        self.store.apply([change])
        done(None)

    def trip(self, scope: Scope, action: Action, at: Reach = REACHES[0], sender: bytes = SENDERS[0]) -> None:
        trouble = Trouble(scope, action, Reply(550, "5.7.0", "no"), None)
        self.breakers.trip(trouble, at, sender)


@dataclass(eq=False)
class Mail:
    """Something under way."""

    reach: Reach
    sender: bytes
    keys: tuple[StopKey, ...]
    """What was open when it began: it is the probe of these."""


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.kept = Kept()
        self.under_way: list[Mail] = []

    @property
    def open(self) -> dict[StopKey, float]:
        return {breaker.key: breaker.until for breaker in self.kept.breakers}

    def keys_of(self, at: Reach, sender: bytes) -> tuple[StopKey, ...]:
        return (*at.keys, *at.aside(sender))

    def begin(self, at: Reach, sender: bytes) -> Mail | None:
        """As a pool and the desk do for mail to the outside; None: something stops it."""
        kept = self.kept
        if (kept.denials.stops(sender) and at.is_microsoft) or not kept.denials.may_send(at.mailbox, sender):
            return None
        mail = Mail(at, sender, tuple(key for key in self.keys_of(at, sender) if key in self.open))
        if kept.breakers.stopping(at, at) is not None:
            return None
        if any(kept.breakers.aside(key, mail) is not None for key in at.aside(sender)):
            return None
        kept.breakers.begin_probe(at, at, mail, at.aside(sender))
        self.under_way.append(mail)
        return mail

    @rule(at=st.sampled_from(REACHES), sender=st.sampled_from(SENDERS))
    def mail_wants_to_go(self, at: Reach, sender: bytes) -> None:
        now, is_probe = self.kept.clock.monotonic(), self.kept.breakers.is_probe
        probed = {key for key in self.open if any(is_probe(mail, key) for mail in self.under_way)}
        mail = self.begin(at, sender)
        for key in mail.keys if mail else ():
            assert self.open[key] <= now, "never before its time"
            assert key not in probed, "never two at once"
            assert is_probe(mail, key)

    @invariant()
    def nobody_else_passes_while_one_probes(self) -> None:
        for breaker in self.kept.breakers:
            if breaker.probe is not None:
                assert not breaker.lets_pass(object(), math.inf)

    @rule(at=st.sampled_from(REACHES), sender=st.sampled_from(SENDERS),
          scope=st.sampled_from(WIDE), action=st.sampled_from(ACTIONS))  # fmt: skip
    def the_next_hop_says_no(self, at: Reach, sender: bytes, scope: Scope, action: Action) -> None:
        self.kept.trip(scope, action, at, sender)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), how=st.sampled_from(["passed", "ended", "refused"]),
          scope=st.sampled_from(WIDE), action=st.sampled_from(ACTIONS))  # fmt: skip
    def mail_has_an_end(self, data: st.DataObject, how: str, scope: Scope, action: Action) -> None:
        mail = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        if how == "refused":
            self.kept.trip(scope, action, mail.reach, mail.sender)
        if how == "passed":
            self.kept.breakers.probe_passed(mail)
        else:
            self.kept.breakers.probe_ended(mail)

    @rule(seconds=st.sampled_from([0.5, STILL_S, 60.0, 400.0, 3600.0]))
    def time_goes_by(self, seconds: float) -> None:
        self.kept.timers.pass_by(seconds)

    @rule(fails=st.integers(1, 3))
    def the_disk_is_full_for_a_while(self, fails: int) -> None:
        self.kept.fails = fails

    @rule()
    def the_process_dies(self) -> None:
        # What could not be written yet is lost with the process.
        self.kept.fails = 0
        self.kept.timers.pass_by(1.1)
        before = {key: until == math.inf for key, until in self.open.items()}
        self.kept = Kept(self.kept.store, self.kept.clock)
        self.under_way.clear()
        now = self.kept.clock.monotonic()
        # A sender's own time may be over: he is proved again, as any that is new.
        assert before.keys() - self.open.keys() <= {key for key in before if key.scope is Scope.SENDER_AS}
        assert {key: until == math.inf for key, until in self.open.items()}.items() <= before.items()
        assert all(until == math.inf or until <= now + LONGEST_S for until in self.open.values())

    def teardown(self) -> None:
        kept = self.kept
        kept.fails = 0
        for mail in self.under_way:
            kept.breakers.probe_ended(mail)
        self.under_way.clear()
        kept.timers.pass_by(2 * LONGEST_S)
        kept.timers.pass_by(1.0)
        for key, until in [(key, until) for key, until in self.open.items() if until != math.inf]:
            assert kept.woken[key] >= until, "whoever waits is told"
            assert any(key in self.keys_of(at, sender) for at in REACHES for sender in SENDERS), (
                "somebody finds out"
            )
        for at in REACHES:
            for sender in SENDERS:
                sent = self.begin(at, sender)
                stops = [key for key in self.keys_of(at, sender) if self.open.get(key) == math.inf]
                is_denied = not kept.denials.may_send(at.mailbox, sender)
                is_denied |= at.is_microsoft and bool(kept.denials.stops(sender))
                assert (sent is None) == bool(stops or is_denied), "what can end has ended"
                if sent is not None:
                    kept.breakers.probe_passed(sent)
        assert not [key for key, until in self.open.items() if until != math.inf and not self.is_hidden(key)]

    def is_hidden(self, key: StopKey) -> bool:
        """All who could try stand behind something that waits for the administrator."""
        return all(
            any(self.open.get(other) == math.inf for other in self.keys_of(at, sender))
            or not self.kept.denials.may_send(at.mailbox, sender)
            or (at.is_microsoft and bool(self.kept.denials.stops(sender)))
            for at in REACHES
            for sender in SENDERS
            if key in self.keys_of(at, sender)
        )


Machine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestMachine = Machine.TestCase


@pytest.mark.parametrize(
    ("action", "wait_s"),
    [(RetryLater(60, 300), 180.0), (OpenBreaker(900), 900.0), (LogInAgain(600), 600.0), (Stop(), math.inf)],
)
def test_how_long_it_rests_is_the_actions_to_say(action: Action, wait_s: float) -> None:
    kept = Kept()
    kept.trip(Scope.SENDER, action)
    [breaker] = kept.breakers
    assert breaker.until == kept.clock.monotonic() + wait_s


def test_what_nothing_is_known_of_rests_longer_each_time() -> None:
    kept, waits = Kept(), []
    for _ in range(6):
        kept.trip(Scope.SENDER, OpenBreaker(0))
        [breaker] = kept.breakers
        waits.append(breaker.until - kept.clock.monotonic())
        kept.timers.pass_by(waits[-1])
    assert waits == [60, 120, 240, 480, 900, 900]


def test_a_stop_outlives_a_restart_and_ends_when_the_administrator_has_acted() -> None:
    kept = Kept()
    kept.trip(Scope.SENDER_AS, Stop())
    again = Kept(kept.store, kept.clock)
    assert not again.denials.may_send("a@contoso.test", SENDERS[0]) and len(again.breakers) == 1
    kept.clock.advance(10.0)
    after = Kept(kept.store, kept.clock, acted_at=kept.clock.now() - 1.0)
    assert after.denials.may_send("a@contoso.test", SENDERS[0]) and not len(after.breakers)
    assert not len(Kept(kept.store, kept.clock).breakers), "and that is kept, too"


def test_a_stop_that_was_told_by_a_clock_that_was_ahead_can_be_ended() -> None:
    kept = Kept()
    kept.trip(Scope.SENDER, Stop())
    kept.clock.set_wall(kept.clock.now() - 1e6)
    after = Kept(kept.store, kept.clock, acted_at=kept.clock.now())
    assert after.breakers.stopping(REACHES[0], object()) is None


def test_a_row_that_cannot_be_read_counts_as_closed_and_goes() -> None:
    kept = Kept()
    kept.trip(Scope.SENDER, Stop())
    [(key, _)] = kept.store.budget_rows().rows
    kept.store.apply([Budget(((key, b"\xc1"),))])
    again = Kept(kept.store, kept.clock)
    assert not len(again.breakers) and not kept.store.budget_rows().rows
    assert [event for event in again.events if isinstance(event, trace.RecordQuarantined)]


def test_a_stop_that_could_not_be_written_is_written_later() -> None:
    kept = Kept()
    kept.fails = 2
    kept.trip(Scope.SENDER, Stop())
    assert not kept.store.budget_rows().rows
    for _ in range(2):
        kept.timers.pass_by(1.1)
    assert len(kept.store.budget_rows().rows) == 1


def test_who_has_nothing_to_try_leaves_the_probe_to_others() -> None:
    kept, pool, other = Kept(), object(), object()
    kept.trip(Scope.TENANT, OpenBreaker(60))
    kept.timers.pass_by(60.1)
    kept.breakers.begin_probe(REACHES[0], pool, pool)
    assert kept.breakers.stopping(REACHES[1], other) is not None
    kept.woken.clear()
    kept.breakers.leave_probe(pool)
    assert kept.breakers.stopping(REACHES[1], other) is None and kept.woken
