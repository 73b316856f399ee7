"""Breakers at work: which mailbox, route, address, host or tenant has stopped, and until when.

They are few, mostly none, so a look costs next to nothing while all is well. One that
opens is told, written to the spool (a restart forgets no stop), and wakes the lanes
when its time has come. What the administrator has to mend is tried at once after a
reload: that is his word that it is mended.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial

from relay.budget.row import BREAKER, Row
from relay.clock import Clock
from relay.deliver.gate import CallLater, Timer
from relay.deliver.options import DelivererOptions
from relay.deliver.outcome import Trouble
from relay.deliver.reach import Reach
from relay.errors import SpoolError
from relay.m365.classify import explain
from relay.m365.row import (
    LogInAgain,
    OpenBreaker,
    ReduceConnections,
    ReduceRate,
    RetryLater,
    Scope,
    Stop,
)
from relay.queue.breaker import Breaker, StopKey, from_row, row_key, row_of
from relay.queue.denial import Denials, bytes_of
from relay.queue.retry import delay
from relay.spool.change import Budget, Change
from relay.spool.spool import Spool
from relay.trace import event as trace

Submit = Callable[[Change, Callable[[SpoolError | None], None]], None]
TIMER_SLACK_S = 0.001
"""uvloop counts in milliseconds."""


class Breakers:
    """Of one process. Everything happens in the loop's thread."""

    def __init__(
        self,
        denials: Denials,
        options: DelivererOptions,
        submit: Submit,
        record: trace.Record,
        clock: Clock,
        rng: Callable[[], float],
        later: CallLater,
        woken: Callable[[StopKey], None],
    ) -> None:
        """`woken` is told what may go on."""
        self._denials = denials
        self._options = options
        self._submit = submit
        self._record = record
        self._clock = clock
        self._rng = rng
        self._later = later
        self._woken = woken
        self.any = False
        """Something has stopped."""
        self._open: dict[StopKey, Breaker] = {}
        self._timers: dict[StopKey, Timer] = {}

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Breaker]:
        return iter(self._open.values())

    def restore(self, spool: Spool, acted_at: float) -> None:
        """Take over what an earlier process left; SpoolError.

        `acted_at`: when the administrator started or reloaded the relay, seconds since the
        epoch. What has stopped before that may be mended: one mail tries.
        """
        now, wall = self._clock.monotonic(), self._clock.now()
        unreadable: list[Row] = []
        for key, value in spool.budget_rows().rows:
            if not key.startswith(BREAKER):
                continue
            try:
                breaker = from_row(value, now, wall)
            except ValueError as error:
                self._record(trace.RecordQuarantined("budget", key.hex(), f"{error}; it counts as closed"))
                unreadable.append((key, None))
                continue
            if breaker.told_at < acted_at or breaker.told_at > wall:
                # Of a clock that was ahead nobody can say which came first: one mail tries.
                breaker.until = now
            self._set(breaker)
        if unreadable:
            self._submit(Budget(tuple(unreadable)), _whatever)

    def reason(self, stopped: str) -> str:
        """Why a sender, or `@` and a domain, may not send by anybody."""
        found = (breaker.reason for breaker in self if breaker.key.stopped == stopped)
        return next(found, "no mailbox may send for him")

    # Asked before anything is tried.

    def stopping(self, reach: Reach, who: object) -> Breaker | None:
        """What keeps this login from sending; None: nothing, or `who` may probe."""
        if not self._open:
            return None
        now = self._clock.monotonic()
        for key in reach.keys:
            breaker = self._open.get(key)
            if breaker is not None and not breaker.lets_pass(who, now):
                return breaker
        return None

    def aside(self, key: StopKey, who: object) -> Breaker | None:
        """Likewise what keeps some of its mail from going (`Reach.aside`)."""
        if not self._open:
            return None
        breaker = self._open.get(key)
        return None if breaker is None or breaker.lets_pass(who, self._clock.monotonic()) else breaker

    # Probes.

    def begin_probe(self, reach: Reach, who: object, probe: object, aside: tuple[StopKey, ...] = ()) -> None:
        """`who` may pass, and has something to try: until that has an end nobody else tries.

        `aside`: what it finds out besides, as `Reach.aside` says.
        """
        for key in (*reach.keys, *aside):
            breaker = self._open.get(key)
            if breaker is not None and breaker.probe in (None, who):
                breaker.probe = probe

    def leave_probe(self, who: object) -> None:
        """It has nothing to try after all: somebody else may."""
        if self._open:
            for breaker in [each for each in self._open.values() if each.probe is who]:
                breaker.probe = None
                self._woken(breaker.key)

    def probe_passed(self, who: object) -> None:
        """It went through: what it tried goes on."""
        if self._open:
            for breaker in [each for each in self._open.values() if each.probe is who]:
                self._close(breaker)

    def probe_ended(self, who: object) -> None:
        """It has no verdict: another one, after a moment."""
        if self._open:
            for breaker in [each for each in self._open.values() if each.probe is who]:
                breaker.give_up(self._clock.monotonic())
                self._set(breaker)

    def is_probe(self, who: object, key: StopKey) -> bool:
        """Whether that is what it tries."""
        breaker = self._open.get(key)
        return breaker is not None and breaker.probe is who

    # What was told.

    def trip(self, trouble: Trouble, reach: Reach, sender: bytes, reason: str = "") -> None:
        """The scope of the trouble stops. `reason` where more is known than the reply says."""
        key = reach.key(trouble.scope, sender)
        now, wall = self._clock.monotonic(), self._clock.now()
        breaker = self._open.get(key)
        until = now + self._rest_s(trouble, 1 if breaker is None else breaker.trips + 1)
        reason = _filled(reason or explain(trouble.reply), key)
        if breaker is None:
            breaker = Breaker(key, reason, until, wall)
        elif not breaker.trip(reason, until, now, wall):
            return
        self._set(breaker)
        self._tell(breaker, trouble, reach)
        self._write(key)

    def _rest_s(self, trouble: Trouble, trips: int) -> float:
        match trouble.action:
            case RetryLater(least, most) | ReduceConnections(least, most) | ReduceRate(least, most):
                return least + (most - least) * self._rng()
            case OpenBreaker(interval) | LogInAgain(interval) if interval:
                return interval
            case Stop():
                return math.inf
        options = self._options
        return delay(trips, options.fault_backoff_first_s, 2, options.fault_backoff_max_s, self._rng)

    def _tell(self, breaker: Breaker, trouble: Trouble, reach: Reach) -> None:
        until = (
            0.0 if breaker.until == math.inf else self._clock.now() + breaker.until - self._clock.monotonic()
        )
        needs_somebody = trouble.row is None or trouble.row.needs_somebody
        level: trace.Level = "error" if needs_somebody else "warning"
        scope = breaker.key.scope.value
        self._record(
            trace.BreakerOpened(scope, str(breaker.key), reach.route.name, breaker.reason, until, level)
        )

    def mended(self, concerns: Callable[[StopKey], bool]) -> list[StopKey]:
        """Somebody's word that these are mended: one mail of each tries at once, whatever the time says."""
        found = [breaker for breaker in self._open.values() if concerns(breaker.key)]
        for breaker in found:
            if breaker.probe is None:
                breaker.until = min(breaker.until, self._clock.monotonic())
                self._set(breaker)
                self._write(breaker.key)
        return [breaker.key for breaker in found]

    # Keeping.

    def _set(self, breaker: Breaker) -> None:
        key = breaker.key
        if (timer := self._timers.pop(key, None)) is not None:
            timer.cancel()
        now = self._clock.monotonic()
        if key.scope is Scope.SENDER_AS and breaker.until <= now:
            # The first mail proves whether he may (`proofs`).
            self._open[key] = breaker
            self._close(breaker)
            return
        self._open[key] = breaker
        self.any = True
        if key.scope is Scope.SENDER_AS:
            self._denials.deny(key.key, bytes_of(key.sender))
        elif key.scope is Scope.SENDER_DOMAIN and breaker.until > now:
            self._denials.deny_domain(bytes_of(key.key))
        if breaker.until != math.inf:
            wait_s = max(0.0, breaker.until - now) + TIMER_SLACK_S
            self._timers[key] = self._later(wait_s, partial(self._due, key))

    def _due(self, key: StopKey) -> None:
        self._timers.pop(key, None)
        breaker = self._open.get(key)
        if breaker is None:
            return
        if key.scope is Scope.SENDER_AS:
            self._close(breaker)
            return
        if key.scope is Scope.SENDER_DOMAIN:
            # Its mail goes back to the lanes of others, and one of it tries.
            self._denials.allow_domain(bytes_of(key.key))
        self._woken(key)

    def _close(self, breaker: Breaker) -> None:
        key = breaker.key
        del self._open[key]
        self.any = bool(self._open)
        if (timer := self._timers.pop(key, None)) is not None:
            timer.cancel()
        if key.scope is Scope.SENDER_AS:
            self._denials.allow(key.key, bytes_of(key.sender))
        elif key.scope is Scope.SENDER_DOMAIN:
            self._denials.allow_domain(bytes_of(key.key))
        self._record(trace.BreakerClosed(key.scope.value, str(key), self._clock.now() - breaker.opened_at))
        self._write(key)
        self._woken(key)

    def _write(self, key: StopKey) -> None:
        breaker = self._open.get(key)
        row: Row = (row_key(key), None)
        if breaker is not None:
            row = row_of(breaker, self._clock.monotonic(), self._clock.now())
        self._submit(Budget((row,)), partial(self._written, key))

    def _written(self, key: StopKey, error: SpoolError | None) -> None:
        if error is not None:
            self._later(self._options.settle_retry_s, partial(self._write, key))

    def close(self) -> None:
        """Wait for nothing any more."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()


def _filled(advice: str, key: StopKey) -> str:
    """The catalogue's next step, ready to be pasted."""
    if key.scope in (Scope.SENDER, Scope.SENDER_AS):
        advice = advice.replace("<mailbox>", key.key)
    sender = bytes_of(key.sender).decode("utf-8", "backslashreplace")
    return advice.replace("<address>", sender) if sender else advice


def _whatever(error: SpoolError | None) -> None:
    """A row that stays is dropped at the next start."""
