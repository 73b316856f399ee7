"""Suspensions at work: what somebody has stopped waits, over restarts too, until it goes on.

A route or a mailbox that is suspended begins no mail. Mail of a campaign or a domain
stands aside, and lets the rest of its lane past; of a mail to several domains the
recipients of the others go. What is under way when somebody says so ends as it would have.
"""

from collections.abc import Callable, Iterator
from functools import partial

from relay.budget.limit import Place, Scope, Unit
from relay.budget.row import SUSPENSION, Row
from relay.clock import Clock
from relay.deliver.gate import CallLater, Timer
from relay.deliver.reach import Reach
from relay.deliver.work import Bench, Work
from relay.errors import SpoolError
from relay.queue.denial import domain_of
from relay.queue.suspension import (
    KINDS,
    SUSPENSIONS_MAX,
    Kind,
    Suspension,
    Suspensions,
    from_row,
    row_key,
    row_of,
)
from relay.spool.change import Budget, Change
from relay.spool.spool import Spool
from relay.trace import event as trace

Submit = Callable[[Change, Callable[[SpoolError | None], None]], None]
Done = Callable[[SpoolError | None], None]
TIMER_MAX_S = 86_400.0
"""A wall clock may be set meanwhile: it is looked at once a day at least."""


class TooMany(ValueError):
    """There are as many suspensions as there may be."""


class Suspended:
    """Of one process. Everything happens in the loop's thread."""

    def __init__(
        self,
        bench: Bench,
        submit: Submit,
        record: trace.Record,
        clock: Clock,
        later: CallLater,
        retry_s: float,
        resumed: Callable[[Suspension], None],
    ) -> None:
        """`resumed` is told what may go on."""
        self._bench = bench
        self._submit = submit
        self._record = record
        self._clock = clock
        self._later = later
        self._retry_s = retry_s
        self._resumed = resumed
        self._in_force = Suspensions()
        self._timer: Timer | None = None

    def __bool__(self) -> bool:
        return bool(self._in_force)

    def __len__(self) -> int:
        return len(self._in_force)

    def __iter__(self) -> Iterator[Suspension]:
        return iter(self._in_force)

    def restore(self, spool: Spool) -> None:
        """Take over what an earlier process left; SpoolError."""
        unreadable: list[Row] = []
        for key, value in spool.budget_rows().rows:
            if not key.startswith(SUSPENSION):
                continue
            try:
                self._in_force.put(from_row(value))
            except ValueError as error:
                self._record(trace.RecordQuarantined("budget", key.hex(), f"{error}; it counts as resumed"))
                unreadable.append((key, None))
        if unreadable:
            self._submit(Budget(tuple(unreadable)), _whatever)
        self._look()

    # Asked before anything is tried.

    def stopping(self, reach: Reach) -> Suspension | None:
        """What keeps this login of a route from beginning a mail."""
        if not self._in_force:
            return None
        found = self._in_force.get(Kind.ROUTE, reach.route.name)
        if found is None and reach.login is not None:
            found = self._in_force.get(Kind.MAILBOX, reach.identity.lower())
        return found

    def of(self, work: Work) -> Suspension | None:
        """What keeps this mail back, whoever would send it."""
        if not self._in_force:
            return None
        mail = work.envelope
        found = self._in_force.get(Kind.CAMPAIGN, mail.campaign) if mail.campaign else None
        if found is None:
            found = self._in_force.get(Kind.SENDER_DOMAIN, _text(domain_of(mail.sender)))
        if found is None and self._bench.waits is not None:
            # Where others of its recipients may go, only those are meant now.
            found = self._in_force.get(Kind.RECIPIENT_DOMAIN, _text(domain_of(work.addresses[0])))
        return found

    # What somebody says.

    def suspend(self, suspension: Suspension, done: Done) -> None:
        """From now on; `done` when the disk has it. TooMany."""
        kind = KINDS[suspension.kind]
        if len(self) >= SUSPENSIONS_MAX and self._in_force.get(kind, suspension.name) is None:
            raise TooMany(f"there are {SUSPENSIONS_MAX} suspensions already; resume some of them first")
        self._in_force.put(suspension)
        self._record(
            trace.Suspended(
                suspension.kind, suspension.name, suspension.by, suspension.reason, suspension.until or 0.0
            )
        )
        self._submit(Budget((row_of(suspension),)), done)
        self._look()

    def resume(self, kind: Kind, name: str, by: str, done: Done) -> bool:
        """It goes on; False: it was not suspended. `done` when the disk has it."""
        suspension = self._in_force.end(kind, name)
        if suspension is None:
            return False
        self._end(suspension, by, done)
        self._look()
        return True

    def _end(self, suspension: Suspension, by: str, done: Done) -> None:
        seconds = max(0.0, self._clock.now() - suspension.since)
        self._record(trace.Resumed(suspension.kind, suspension.name, by, seconds))
        self._submit(Budget(((row_key(KINDS[suspension.kind], suspension.name), None),)), done)
        self._sift()
        self._resumed(suspension)

    def _look(self) -> None:
        """End those whose time has come, and look again when the next one's comes."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = self._clock.now()
        for suspension in self._in_force.ended(now):
            self._in_force.end(KINDS[suspension.kind], suspension.name)
            self._end(suspension, "", partial(self._gone, suspension))
        self._sift()
        at = self._in_force.next_end()
        if at is not None:
            self._timer = self._later(min(max(0.0, at - now) + 0.001, TIMER_MAX_S), self._look)

    def _gone(self, suspension: Suspension, error: SpoolError | None) -> None:
        """A row that stays would be ended again by the next start; it is tried until it goes."""
        kind = KINDS[suspension.kind]
        if error is not None and self._in_force.get(kind, suspension.name) is None:
            rows = Budget(((row_key(kind, suspension.name), None),))
            self._later(self._retry_s, partial(self._submit, rows, partial(self._gone, suspension)))

    def _sift(self) -> None:
        """Whether recipients of a mail are to be told apart."""
        any_domain = any(each.kind == Kind.RECIPIENT_DOMAIN.value for each in self._in_force)
        self._bench.waits = self._waits if any_domain else None

    def _waits(self, address: bytes) -> bool:
        return self._in_force.get(Kind.RECIPIENT_DOMAIN, _text(domain_of(address))) is not None

    def close(self) -> None:
        """Wait for nothing any more."""
        if self._timer is not None:
            self._timer.cancel()


def place_of(suspension: Suspension) -> Place:
    """Where its mail stands aside."""
    return Place(Scope.ROUTE, f"{suspension.kind} {suspension.name}, suspended", Unit.MESSAGES)


def _text(domain: bytes) -> str:
    return domain.decode("utf-8", "replace")


def _whatever(error: SpoolError | None) -> None:
    """A row that stays is dropped at the next start."""
