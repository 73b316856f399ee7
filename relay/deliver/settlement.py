"""The end of a transaction: its replies become states, events and a change in the spool.

A report of what failed is part of that change, so that neither is ever without the other.

Nothing leaves the spool before its end is known, and a job goes on only when its
outcome is committed. Outcomes that wait for their commit are counted: a crash would
repeat these deliveries, so no further mail is started while there are too many.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from msgspec import structs

from relay.clock import Clock
from relay.deliver import age
from relay.deliver.age import base_of
from relay.deliver.awaited import Awaited
from relay.deliver.options import DelivererOptions
from relay.deliver.order import Order
from relay.deliver.outcome import Outcome, delay_within, judge
from relay.deliver.work import Bench, Work
from relay.errors import SpoolError
from relay.m365.acceptance import Acceptance
from relay.m365.acceptance import parse as parse_acceptance
from relay.m365.preset import Kind
from relay.m365.row import Row, Stage
from relay.message.envelope import Envelope
from relay.message.queue_id import format_id
from relay.queue.job import Job
from relay.queue.lane import Lane
from relay.queue.queue import Queue
from relay.queue.retry import next_attempt, within
from relay.smtp.reply import Reply
from relay.smtp.transaction import Transaction
from relay.spool.change import Accept, Change, RecipientState, Record, Remove, Report, Status
from relay.spool.handover import Queued
from relay.trace import event as trace

TOO_LATE = Reply(554, "5.4.7", "its deadline (X-Relay-Deadline) has passed")
"""RFC 3463 section 3.5: delivery time expired; for good, since its sender has said so."""
Moved = Callable[[Envelope, Sequence[RecipientState], Sequence[RecipientState]], None]


class Committer(Protocol):
    """The part of the spool's committer that is needed here."""

    def submit(self, change: Change, done: Callable[[SpoolError | None], None]) -> None: ...


@dataclass(frozen=True, slots=True)
class Via:
    """How a mail went, or was tried."""

    host: str
    identity: str = ""
    """The mailbox that sent it."""
    session: str = ""
    """The next hop's id of the session."""
    is_ipv6: bool = False
    offers_dsn: bool = True
    """The next hop tells the sender itself what becomes of it (RFC 3461)."""


@dataclass(frozen=True, slots=True)
class Told:
    """Recipients have failed, and that is dealt with."""

    mail: Accept | None
    """The report, to be committed with the end of the mail; None: there is none."""
    rows: tuple[tuple[bytes, bytes | None], ...] = ()
    why: str = ""
    """Who is told, or why nobody; for the log."""


@dataclass(slots=True)
class Reports:
    """Who tells senders; nobody, unless these are set."""

    of_failures: Callable[[Work, Outcome, Via, float], Told | None] = field(
        default=lambda work, outcome, via, now: None
    )
    of_deliveries: Callable[[Work, Outcome, Via, float], None] = field(
        default=lambda work, outcome, via, now: None
    )
    of_order: Callable[[Order, Envelope, Callable[[], bytes], Sequence[int], float], Told | None] = field(
        default=lambda order, envelope, head, indices, now: None
    )
    """Of recipients that an order is the end of; `head` reads the first content record, RecordDamaged."""
    born: Callable[[Queued], None] = field(default=lambda mail: None)
    """A report is in the spool."""


class Settlement:
    """Settles work; calls `reopened` when mail may be started again, `pushed` when a lane got a job back."""

    def __init__(
        self,
        options: DelivererOptions,
        queue: Queue,
        bench: Bench,
        committer: Committer,
        record: trace.Record,
        clock: Clock,
        rng: Callable[[], float],
    ) -> None:
        self._options = options
        self._queue = queue
        self._bench = bench
        self._committer = committer
        self._record = record
        self._clock = clock
        self._rng = rng
        self._is_blocked = False
        self.reports = Reports()
        self.unsettled = 0
        self.awaited = Awaited(queue, bench)
        self.lost: Callable[[Lane, float, float], float] = _none_lost
        """How much of a time a lane's next hop could not be reached (relay.deliver.outages)."""
        self.reopened: Callable[[], None] = _nothing
        self.pushed: Callable[[Job], None] = _nothing_for
        self.doubted: Callable[[int], None] = _nothing_for
        """Told of a mail with recipients that are uncertain, once the disk knows of them."""
        self.moved: Moved = _nobody_counts
        """Told how the recipients of a campaign's mail stand before and after."""

    def may_start(self) -> bool:
        """Is there room for one more outcome? When not, `reopened` will be called."""
        if self.unsettled < self._options.unsettled_max:
            return True
        self._is_blocked = True
        return False

    def settle(self, work: Work, replies: Sequence[Reply], via: Via) -> Outcome:
        """Enter the replies; what they mean is returned, so that a trouble can stop more than this mail."""
        job, envelope, route = work.job, work.envelope, work.job.lane.route
        before = tuple(work.states) if envelope.campaign else ()
        now = self._clock.now()
        attempts = job.attempts + 1
        is_taken = all([reply.is_positive for reply in replies])
        counted_s = {} if is_taken else self._counted_s(work, now)
        left_s = {} if is_taken else self.left_s(work, now)

        def again_at(row: Row | None) -> float:
            plain = next_attempt(route, attempts, now, self._rng)
            expires_at = now + min((each for each in left_s.values() if each > 0), default=0.0)
            return within(now + delay_within(row, plain - now), now, expires_at, envelope.deadline)

        def is_expired(index: int) -> bool:
            return 0 < envelope.deadline <= now or left_s[index] <= 0

        outcome = judge(
            work.states,
            work.indices,
            replies,
            attempts=attempts,
            again_at=again_at,
            is_expired=is_expired,
            stages=_stages(work.transaction, replies),
            is_microsoft=route.kind is not Kind.SMTP,
            is_ipv6=via.is_ipv6,
        )
        job.losses = 0
        if not outcome.says_something:
            # Where it waits is for the caller to say: its lane may have stopped.
            return outcome
        job.attempts = attempts if outcome.deferred else job.attempts
        for index in (*outcome.deferred, *outcome.held):
            work.states[index] = structs.replace(work.states[index], aged_s=counted_s[index], as_of=now)
        told = self.reports.of_failures(work, outcome, via, now) if outcome.failures else None
        if outcome.delivered and not via.offers_dsn:
            self.reports.of_deliveries(work, outcome, via, now)
        self._tell(work, outcome, via, attempts, now, told)
        self._submit(work, before, told)
        return outcome

    def doubt(self, work: Work, reply: Reply, via: Via) -> None:
        """Keep its recipients until it is known whether they have the mail."""
        before = tuple(work.states) if work.envelope.campaign else ()
        attempts, now = work.job.attempts + 1, self._clock.now()
        sent_at, sent_by = _moment(work.states, now), work.job.lane.key.route
        for index, aged_s in self._counted_s(work, now).items():
            work.states[index] = RecipientState(
                Status.UNCERTAIN, attempts, 0.0, str(reply), aged_s, now, sent_at=sent_at, sent_by=sent_by
            )
        work.is_uncertain = True
        self._tell(work, Outcome(held=list(work.indices)), via, attempts, now)
        self._submit(work, before)

    def left_s(self, work: Work, now: float) -> dict[int, float]:
        """Until the recipients meant now come of age, as the route counts; not more than 0: they have."""
        route, counted_s = work.job.lane.route, self._counted_s(work, now)
        if route.waiting_ages:
            return dict.fromkeys(counted_s, route.expire_s - (now - base_of(work.envelope)))
        return {index: route.expire_s - each for index, each in counted_s.items()}

    def _counted_s(self, work: Work, now: float) -> dict[int, float]:
        """Of the recipients meant now, what counts of their time; what was under way does."""
        base, began_at = base_of(work.envelope), work.began_at or now
        lost = partial(self.lost, work.job.lane)
        return {
            index: age.counted_s(work.states[index], base, began_at, lost) + max(0.0, now - began_at)
            for index in work.indices
        }

    def give_back(self, job: Job) -> None:
        """The job was not tried: it goes back to its place in its lane."""
        if self.awaited.back(job):
            return
        job.lane.push(job)
        self.pushed(job)

    def drop(self, job: Job, *, is_held: bool = False) -> None:
        """The job is over; the last one of a mail takes the mail out of the queue."""
        if self.awaited.back(job):
            return
        if not self._bench.is_last(job):
            self._queue.part(job)
        elif is_held:
            self._queue.hold(job.id)
        else:
            self._queue.forget(job.id)

    def _submit(self, work: Work, before: Sequence[RecipientState], told: Told | None = None) -> None:
        self.awaited.settles(work)
        if work.envelope.campaign:
            self.moved(work.envelope, before, work.states)
        settled: Record | Remove
        if not any(state.status.is_left for state in work.states):
            settled = Remove(work.envelope.id, work.envelope.chunks)
        else:
            settled = Record(work.envelope.id, tuple(work.states))
        change = settled if told is None else Report(settled, told.mail, told.rows)
        self.unsettled += 1
        self._committer.submit(change, partial(self._committed, work, change))

    def _committed(self, work: Work, change: Change, error: SpoolError | None) -> None:
        if error is not None:
            # The next hop has answered; that must reach the disk, or the mail would go out again.
            loop = asyncio.get_running_loop()
            retry = partial(self._committer.submit, change, partial(self._committed, work, change))
            loop.call_later(self._options.settle_retry_s, retry)
            return
        self.unsettled -= 1
        self._go_on(work)
        if isinstance(change, Report) and change.mail is not None:
            self.reports.born(Queued.of(change.mail.envelope))
        self.awaited.settled(work.job.id)
        if self._is_blocked and self.unsettled <= self._options.unsettled_max // 2:
            self._is_blocked = False
            self.reopened()

    def _go_on(self, work: Work) -> None:
        job = work.job
        at = self._bench.waiting(work)
        if work.is_uncertain:
            self.doubted(job.id)
        if self.awaited.back(job):
            return
        if at is None:
            self.drop(job, is_held=any(state.status.is_kept for state in work.states))
            return
        job.has_state = True
        if at <= self._clock.now():
            self.give_back(job)
        else:
            self._queue.defer(job, at)

    def _tell(
        self,
        work: Work,
        outcome: Outcome,
        via: Via,
        attempts: int,
        now: float,
        told: Told | None = None,
    ) -> None:
        """Events: one for each kind of outcome and each reply text."""
        id, route = format_id(work.envelope.id), work.job.lane.key.route
        if outcome.delivered:
            seconds = now - work.envelope.received_at
            taken = _acceptance(work)
            for reply, names in _by_reply(work, outcome.delivered):
                self._record(
                    trace.Delivered(
                        id, names, route, via.host, reply, attempts, seconds,
                        via.identity, via.session, taken.internal_id, taken.host,
                    )
                )  # fmt: skip
        if outcome.deferred:
            for reply, names in _by_reply(work, outcome.deferred):
                again_at = min(work.states[i].next_attempt for i in outcome.deferred)
                self._record(
                    trace.Deferred(
                        id, names, route, via.host, reply, attempts, again_at, via.identity, via.session
                    )
                )
        if outcome.held:
            for reply, names in _by_reply(work, outcome.held):
                self._record(
                    trace.Held(id, names, route, via.host, reply, attempts, via.identity, via.session)
                )
        if outcome.failed and told is not None:
            for is_expired in (False, True):
                failed = [i for i in outcome.failed if _is_expired(outcome, i) is is_expired]
                for reply, names in _by_reply(work, failed):
                    self._record(
                        trace.Failed(
                            id, names, route, via.host, reply, attempts, told.why,
                            via.identity, via.session, is_expired,
                        )
                    )  # fmt: skip


def _is_expired(outcome: Outcome, index: int) -> bool:
    failure = outcome.failures.get(index)
    return failure is not None and failure.is_expired


def _acceptance(work: Work) -> Acceptance:
    """Where the mail is at Microsoft; nothing of other servers."""
    final = work.transaction.final
    if work.job.lane.route.kind is Kind.SMTP or final is None:
        return _NOWHERE
    return parse_acceptance(final) or _NOWHERE


_NOWHERE = Acceptance("", "", 0)


def _stages(transaction: Transaction, replies: Sequence[Reply]) -> Sequence[Stage | None]:
    """What each recipient's reply answered; None where we said it ourselves, or where nobody asks."""
    if all([reply.is_positive for reply in replies]):
        return ()
    if transaction.mail_reply is not None and not transaction.mail_reply.is_positive:
        return [Stage.MAIL] * len(replies)
    if len(transaction.rcpt_replies) != len(replies):
        return [None] * len(replies)
    end = Stage.CONTENT if transaction.content_begun else Stage.DATA
    return [end if reply.is_positive else Stage.RCPT for reply in transaction.rcpt_replies]


def _by_reply(work: Work, indices: list[int]) -> list[tuple[str, tuple[str, ...]]]:
    """Recipients with the same reply together, in order."""
    groups: dict[str, list[str]] = {}
    for index in indices:
        address = work.envelope.recipients[index].address.decode("utf-8", "backslashreplace")
        groups.setdefault(work.states[index].reply, []).append(address)
    return [(reply, tuple(names)) for reply, names in groups.items()]


def _none_lost(lane: Lane, since: float, until: float) -> float:
    return 0.0


def _nobody_counts(
    envelope: Envelope, before: Sequence[RecipientState], after: Sequence[RecipientState]
) -> None:
    pass


def _nothing() -> None:
    pass


def _moment(states: Sequence[RecipientState], now: float) -> float:
    """When this transaction was lost; another one of the same mail was at another moment."""
    taken = {state.sent_at for state in states}
    while now in taken:
        now += 0.000_001
    return now


def _nothing_for(_: object) -> None:
    pass
