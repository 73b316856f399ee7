"""A gate: whether one login of a route may send now, and if not, when.

A limit that stops the whole login closes its gate until the very moment at which there
is room; nothing is counted against the mail, and no timer looks in between. Mail of a
priority that was not asked for yet opens it again: a password reset need not wait for
what makes bulk wait.
"""

import math
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import Protocol

from relay.budget.limit import Limit, Scope
from relay.budget.turn import Turns
from relay.clock import Clock
from relay.deliver.measure import Measure
from relay.deliver.reach import Reach
from relay.message.priority import Priority
from relay.queue.supply import Supply
from relay.route.tariff import Tariff, describe
from relay.trace import event as trace

TELL_FROM_S = 1.0
"""Shorter waits are the rhythm of a limit that is used to the last mail; nobody wants a line for each."""
TELL_AGAIN_S = 60.0
"""Likewise for mail that comes evenly, where each one waits for a moment."""
TOLD_MAX = 256
"""Limits of which it is known when they were told; beyond that, limits of clients and recipients, all are told again."""
TIMER_SLACK_S = 0.001
"""uvloop counts in milliseconds: a timer that came a moment early would only be set again."""


class Timer(Protocol):
    """What was asked for later."""

    def cancel(self) -> None: ...


CallLater = Callable[[float, Callable[[], None]], Timer]
"""Call something after so many seconds."""


class Gate:
    """Of one login, or of a route without any."""

    def __init__(
        self,
        reach: Reach,
        tariff: Tariff | None,
        supply: Supply,
        record: trace.Record,
        clock: Clock,
        later: CallLater,
        reopened: Callable[[], None],
    ) -> None:
        self.reach = reach
        self.tariff = tariff
        """None: no limit holds."""
        self.supply = supply
        self.turns = Turns()
        self.measure = Measure()
        self.until = 0.0
        """Monotonic: closed until then; 0: open, infinity: until something under way has ended."""
        self.reason = ""
        self.since = 0.0
        """Closed since then, seconds since the epoch."""
        self._asked: frozenset[Priority] = frozenset()
        self._record = record
        self._clock = clock
        self._later = later
        self._reopened = reopened
        self._timer: Timer | None = None
        self._tell_again_at: dict[str, float] = {}
        """By limit: one of a day must not go untold because one of a minute was told just now."""

    @property
    def is_closed(self) -> bool:
        """Nothing may go now, of what waits."""
        return self.until > 0.0 and self._asked.issuperset(self.supply.waiting())

    def close(self, until: float, asked: Collection[Priority], limit: Limit, key: str) -> None:
        """Of these priorities nothing goes before `until` (monotonic)."""
        self._cancel()
        at = 0.0 if until == math.inf else self._clock.now() + until - self._clock.monotonic()
        limit_words = words(limit, key)
        self.until, self._asked, self.since = until, frozenset(asked), self._clock.now()
        self.reason = f"{limit_words}; mail goes on {_moment(at)}"
        if until != math.inf:
            wait_s = max(0.0, until - self._clock.monotonic()) + TIMER_SLACK_S
            self._timer = self._later(wait_s, self.open)
        self.tell(limit_words, until, at)

    def open(self) -> None:
        """Ask again."""
        self.release()
        self._reopened()

    def release(self) -> None:
        """Wait for nothing any more."""
        self._cancel()
        self.until, self.reason = 0.0, ""

    def tell(self, limit: str, until: float, at: float) -> None:
        """A wait that is long enough to be told."""
        now = self._clock.monotonic()
        if now + TELL_FROM_S <= until < math.inf and now >= self._tell_again_at.get(limit, -math.inf):
            if len(self._tell_again_at) >= TOLD_MAX:
                self._tell_again_at.clear()
            self._tell_again_at[limit] = now + TELL_AGAIN_S
            self._record(trace.Throttled(self.reach.route.name, limit, at))

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def words(limit: Limit, key: str) -> str:
    """`the limit of 30 messages in 60 s of the mailbox a@b`."""
    whose = "" if limit.scope is Scope.TENANT else f" {key}"
    return f"the limit of {describe(limit)}{whose}"


def _moment(at: float) -> str:
    if not at:
        return "when something under way has ended"
    return f"at {datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"
