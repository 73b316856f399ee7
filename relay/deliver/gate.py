"""A lane's gate: does its budget let the next mail go, and if not, when?

A limit that stops the whole identity throttles the lane until the very moment at which
there is room; nothing is counted against its mail, and no timer looks in between. A
limit on mail to the outside stops that alone: such mail stands aside, in its order, and
the rest goes past it. What is more than a limit allows in all is cut, or held when that
cannot be.
"""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from relay.budget.answer import Answer, Taken, TooLarge, Wait
from relay.budget.limit import Limit, Scope, Unit
from relay.clock import Clock
from relay.deliver.settlement import Settlement
from relay.deliver.work import Work
from relay.queue.lane import Lane
from relay.route.tariff import Tariff, describe
from relay.smtp.reply import Reply
from relay.trace import event as trace

TELL_FROM_S = 1.0
"""Shorter waits are the rhythm of a limit that is used to the last mail; nobody wants a line for each."""
TELL_AGAIN_S = 60.0
"""Likewise for mail that comes evenly, where each one waits for a moment."""
TIMER_SLACK_S = 0.001
"""uvloop counts in milliseconds: a timer that came a moment early would only be set again."""
CUTS_MAX = 8
"""Each cut fits another limit; a route has two or three that count recipients."""


class Timer(Protocol):
    """What was asked for later."""

    def cancel(self) -> None: ...


CallLater = Callable[[float, Callable[[], None]], Timer]
"""Call something after so many seconds."""


class Budget(Protocol):
    """Where charges are taken."""

    def take(self, gate: "Gate", work: Work) -> Answer: ...
    def needed(self, serial: int) -> int: ...
    def monotonic(self, at: int) -> float: ...


class Gate:
    """Of one lane with limits."""

    def __init__(
        self,
        lane: Lane,
        tariff: Tariff,
        budget: Budget,
        settlement: Settlement,
        record: trace.Record,
        clock: Clock,
        later: CallLater,
        reopened: Callable[[], None],
    ) -> None:
        self.tariff = tariff
        self._lane = lane
        self._budget = budget
        self._settlement = settlement
        self._record = record
        self._clock = clock
        self._later = later
        self._reopened = reopened
        self._lane_timer: Timer | None = None
        self._outside_timer: Timer | None = None
        self._outside_until = 0.0
        """Monotonic: until then mail to the outside stands aside; 0: it need not."""
        self._tell_again_at = -math.inf

    @property
    def is_waiting(self) -> bool:
        """Mail waits for a limit."""
        return bool(self._lane.throttled_until or self._outside_until)

    def admit(self, work: Work) -> bool:
        """Charge a mail that may go; else it is back in its lane, stands aside, or is held."""
        lane = self._lane
        if self._outside_until and self.tariff.has_external(work.addresses):
            lane.park(work.job)
            return False
        for _ in range(CUTS_MAX):
            match self._budget.take(self, work):
                case Taken() as taken:
                    work.taken, work.serial = taken, self._budget.needed(taken.serial)
                    if not self._outside_until:
                        lane.unpark()
                    return True
                case Wait() as wait:
                    self._wait(work, wait)
                    return False
                case TooLarge(limit, key, count):
                    if limit.unit not in (Unit.RECIPIENTS, Unit.EXTERNAL_RECIPIENTS):
                        self._hold(work, limit, key)
                        return False
                    work.cut(count)
        raise AssertionError("a cut that does not fit")

    def refill(self) -> bool:
        """The lane gave nothing: whether one that stood aside is back in it."""
        lane = self._lane
        if self._outside_until or len(lane) or not lane.parked:
            return False
        lane.unpark()
        return True

    def something_ended(self, *, is_freed: bool) -> None:
        """A send that was under way is over; `is_freed`: there may be room before the time we know."""
        lane = self._lane
        if lane.throttled_until and (is_freed or lane.throttled_until == math.inf):
            self._release_lane()
        if self._outside_until and (is_freed or self._outside_until == math.inf):
            self._release_outside()

    def close(self) -> None:
        """Wait for nothing any more."""
        for timer in (self._lane_timer, self._outside_timer):
            if timer is not None:
                timer.cancel()
        self._lane_timer = self._outside_timer = None

    def _wait(self, work: Work, wait: Wait) -> None:
        until = math.inf if wait.until is None else self._budget.monotonic(wait.until)
        reason = _words(wait.limit, wait.key)
        at = 0.0 if wait.until is None else self._clock.now() + until - self._clock.monotonic()
        if wait.limit.unit is Unit.EXTERNAL_RECIPIENTS:
            self._lane.park(work.job)
            self._outside_until = until
            self._outside_timer = self._timer(until, self._release_outside)
        else:
            self._lane.push(work.job)
            self._lane.throttle(until, f"{reason}; mail goes on {_moment(at)}")
            self._lane_timer = self._timer(until, self._release_lane)
        self._tell(reason, until, at)

    def _timer(self, until: float, release: Callable[[], None]) -> Timer | None:
        if until == math.inf:
            return None
        return self._later(max(0.0, until - self._clock.monotonic()) + TIMER_SLACK_S, release)

    def _release_lane(self) -> None:
        if self._lane_timer is not None:
            self._lane_timer.cancel()
            self._lane_timer = None
        self._lane.release()
        self._reopened()

    def _release_outside(self) -> None:
        if self._outside_timer is not None:
            self._outside_timer.cancel()
            self._outside_timer = None
        self._outside_until = 0.0
        # One at a time: each that goes lets the next one ask.
        self._lane.unpark()
        self._reopened()

    def _tell(self, limit: str, until: float, at: float) -> None:
        now = self._clock.monotonic()
        if now + TELL_FROM_S <= until < math.inf and now >= self._tell_again_at:
            self._tell_again_at = now + TELL_AGAIN_S
            self._record(trace.Throttled(self._lane.key.route, limit, at))

    def _hold(self, work: Work, limit: Limit, key: str) -> None:
        reply = Reply(
            552, "5.3.4", f"not sent: {work.envelope.size} bytes are more than {_words(limit, key)}"
        )
        self._settlement.settle(work, (reply,) * len(work.indices), ", ".join(self._lane.route.hosts))


def _words(limit: Limit, key: str) -> str:
    """`the limit of 30 messages in 60 s of the mailbox a@b`."""
    whose = "" if limit.scope is Scope.TENANT else f" {key}"
    return f"the limit of {describe(limit)}{whose}"


def _moment(at: float) -> str:
    if not at:
        return "when something under way has ended"
    return f"at {datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"
