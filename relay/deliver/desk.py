"""The desk: which mail goes next through a login, and what its end means for the others.

    next_work ──► the mail leaves ──► ended

Asked when a connection is free. It looks at what has stopped, at whose turn it is, and
at the ledger; a mail that may go is charged, taken out of its lane and handed out. What
may not go waits where it stands, or aside, until the moment that is known; nothing is
counted against it.
"""

import math
from collections.abc import Callable

from relay.budget.answer import Taken, TooLarge, Wait
from relay.budget.limit import Place, Scope, Unit
from relay.budget.turn import Turn
from relay.clock import Clock
from relay.deliver.breakers import Breakers
from relay.deliver.budgets import Budgets
from relay.deliver.gate import CallLater, Gate, words
from relay.deliver.heads import OUTSIDE, Aside, Heads
from relay.deliver.proofs import Proofs
from relay.deliver.reach import Reach
from relay.deliver.settlement import TOO_LATE, Settlement, Via
from relay.deliver.spill import Spill
from relay.deliver.suspended import Suspended, place_of
from relay.deliver.timetable import Timetable
from relay.deliver.waits import Waits
from relay.deliver.work import Bench, Later, Work
from relay.errors import RecordDamaged, SpoolError
from relay.m365.row import Scope as Stopped
from relay.message.priority import Priority
from relay.queue.breaker import StopKey
from relay.queue.job import Job
from relay.queue.lane import Lane
from relay.queue.queue import Queue
from relay.queue.suspension import Suspension
from relay.route.tenant import Tenant
from relay.smtp.reply import Reply
from relay.spool.spool import Spool

ROUNDS_MAX = 64
"""Questions for one mail: cuts to fit, mail that spills over; more is taken up in the next turn."""


class Desk:
    """Of one process."""

    def __init__(
        self,
        store: Spool,
        queue: Queue,
        bench: Bench,
        settlement: Settlement,
        breakers: Breakers,
        suspended: Suspended,
        spill: Spill,
        budgets: Budgets | None,
        tenant: Tenant,
        clock: Clock,
        later: CallLater,
        reopened: Callable[[Lane], None],
        set_aside: Callable[[Job, RecordDamaged], None],
        broken: Callable[[SpoolError], None],
    ) -> None:
        """`reopened` is told of lanes that may ask again; `broken` of a spool that cannot be read."""
        self.breakers = breakers
        self.suspended = suspended
        self.timetable = Timetable(clock)
        self.is_draining = False
        self.spill = spill
        self._store = store
        self._queue = queue
        self._bench = bench
        self._settlement = settlement
        self._budgets = budgets
        self._tenant = tenant
        self._waits = Waits(clock, later, reopened, spill.gates_of)
        self._clock = clock
        self._reopened = reopened
        self._set_aside = set_aside
        self._broken = broken
        self._proofs = Proofs()

    # What goes next.

    def next_work(self, gate: Gate, recipients_max: int, who: object) -> Work | None:
        """The mail whose turn it is, charged; None when none may go now. `who` may be a probe."""
        if self.is_draining or (gate.until and gate.is_closed):
            return None
        if self.suspended.stopping(gate.reach) is not None:
            return None
        if self.breakers.any and self.has_stopped(gate, who):
            return None
        heads = Heads(self, self._waits, gate, recipients_max)
        for _ in range(ROUNDS_MAX):
            waiting = gate.supply.waiting()
            if not waiting:
                if any([lane.unpark() for lane in gate.supply.lanes]):
                    continue
                return None
            turn = self._turn(gate, waiting, heads)
            match turn:
                case Turn(priority, Taken() as taken):
                    return self._handed_out(gate, heads.works[priority], taken, who)
                case Turn(priority, TooLarge() as answer):
                    self._cut(heads, priority, answer)
                case Wait():
                    if self._spilled(gate, heads, turn):
                        continue
                    until = self.wait_until(turn)
                    self._waits.close_gate(gate, until, waiting, turn.limit, turn.key)
                    return None
                case _ if heads.is_tired:
                    break
                case _ if gate.supply.waiting() == waiting:
                    # Outcomes wait for their commit: no more may start just now.
                    return None
        for lane in gate.supply.lanes:
            self._reopened(lane)
        return None

    def has_stopped(self, gate: Gate, who: object) -> bool:
        """Whether something keeps the login from sending; then what may take another route does."""
        if self.suspended.stopping(gate.reach) is not None:
            # What somebody has stopped waits; it takes no other route.
            return True
        stopped = self.breakers.stopping(gate.reach, who)
        if stopped is None:
            return False
        if not self.is_draining:
            self.spill.out_of(gate, stopped.reason, self.read, self._stay)
        return True

    def _turn(self, gate: Gate, waiting: list[Priority], heads: Heads) -> Turn | Wait | None:
        if self._budgets is not None and gate.tariff is not None:
            return gate.turns.next(self._budgets.ledger, waiting, heads, self._budgets.now())
        for priority in gate.turns.order(waiting):
            if heads.charges(priority) is not None:
                gate.turns.went(priority, waiting)
                return Turn(priority, _FREE)
        return None

    def _handed_out(self, gate: Gate, work: Work, taken: Taken, who: object) -> Work:
        job, size = work.job, work.envelope.size
        lane = job.lane
        gate.supply.charge(job, size)
        lane.take(job)
        if job.flow.is_large:
            gate.supply.large += 1
        if lane.sidings:
            lane.unpark()
        work.gate, work.began_at, work.handed_out_at = gate, self._clock.now(), self._clock.monotonic()
        if taken is not _FREE:
            assert self._budgets is not None
            work.taken, work.serial = taken, self._budgets.needed(taken.serial)
        if gate.reach.wants_proofs and self._proofs.is_needed(gate.reach, work.envelope.sender):
            work.is_proof = True
            self._proofs.begin(gate.reach, work.envelope.sender)
        if self.breakers.any:
            aside = gate.reach.aside(work.envelope.sender, is_external=self._is_external(work))
            self.breakers.begin_probe(gate.reach, who, work, aside)
        return work

    def _cut(self, heads: Heads, priority: Priority, answer: TooLarge) -> None:
        """What is more than a limit allows in all is cut, or held when that cannot be."""
        limit, work = answer.limit, heads.works[priority]
        if limit.unit in (Unit.RECIPIENTS, Unit.EXTERNAL_RECIPIENTS):
            work.cut(answer.count)
            return
        del heads.works[priority]
        lane = work.job.lane
        lane.take(work.job)
        what = f"{work.envelope.size} bytes are more than {words(limit, answer.key)}"
        reply = Reply(552, "5.3.4", f"not sent: {what}")
        self._settlement.settle(work, (reply,) * len(work.indices), Via(lane.route.next_hop))

    def _spilled(self, gate: Gate, heads: Heads, wait: Wait) -> bool:
        """Mail that finds its route's budget used up takes the next route."""
        if not wait.short or not gate.reach.route.spill:
            return False
        until, reason = self.wait_until(wait), words(wait.limit, wait.key)
        moved = False
        for priority, work in list(heads.works.items()):
            if self.spill.may_leave(gate, work.job.lane):
                del heads.works[priority]
                if not self.spill.move(work, priority, reason):
                    self._stay(work.job.lane, priority, work.job, until)
                moved = True
        return moved

    def _stay(self, lane: Lane, priority: Priority, job: Job, until: float | None) -> None:
        """It may not take another route: it waits for its own, and lets the others past."""
        lane.take(job)
        lane.park(STAYS, priority, job)
        reason = "its route has no room, and it may take no other"
        if until is None:
            self._waits.close_until_told(lane, STAYS, priority, reason)
        else:
            self._waits.close_siding(lane, STAYS, priority, until, reason)

    # For the heads.

    def read(self, job: Job, recipients_max: int) -> Work | None:
        """A job made ready; None when it is gone from its lane, or none may start."""
        if not self._settlement.may_start() or self.is_draining:
            return None
        try:
            work = self._bench.work(job, self._clock.now(), recipients_max)
        except RecordDamaged as error:
            job.lane.take(job)
            self._set_aside(job, error)
            return None
        except SpoolError as error:
            self._broken(error)
            return None
        match work:
            case Work() if 0 < work.envelope.deadline <= self._clock.now():
                job.lane.take(job)
                via = Via(job.lane.route.next_hop)
                self._settlement.settle(work, (TOO_LATE,) * len(work.indices), via)
            case Work():
                return work
            case Later(at):
                job.lane.take(job)
                self._queue.defer(job, at)
            case None:
                # A hint for a mail that is gone, or a route with nobody left to write to.
                job.lane.take(job)
                self._settlement.drop(job)
        return None

    def relane(self, job: Job, lane: Lane, sender: bytes) -> bool:
        """Its sender was denied there since it came: it waits where he may send, or for that."""
        if not self._queue.denials:
            return False
        proper = self._queue.lane(lane.key.route, sender)
        if proper is lane:
            return False
        lane.take(job)
        proper.push(job)
        self._reopened(proper)
        return True

    def stops_aside(self, gate: Gate, work: Work) -> Aside | None:
        """What has stopped mail of its kind and lets others past, and why; None: nothing."""
        if (suspension := self.suspended.of(work)) is not None:
            return Aside(place_of(suspension), str(suspension))
        mail = work.envelope
        closed = self.timetable.closed(gate.reach.route, mail.priority, mail.campaign)
        if closed is not None:
            until = self._clock.monotonic() + self.timetable.wait_s(closed)
            return Aside(closed.place, closed.reason, until, closed.hours)
        if not self.breakers.any:
            return None
        for key in gate.reach.aside(work.envelope.sender):
            stopped = self.breakers.aside(key, work)
            if stopped is not None and (key is not gate.reach.outside or self._is_external(work)):
                return Aside(stop_place(key), stopped.reason)
        return None

    def proof_place(self, gate: Gate, sender: bytes) -> Place | None:
        """Where a mail waits whose sender is not known to the mailbox, while another one is proved."""
        proofs, reach = self._proofs, gate.reach
        if not reach.wants_proofs:
            return None
        waits = proofs.is_needed(reach, sender) and proofs.is_under_way(reach)
        return _new_senders(reach) if waits else None

    def wait_until(self, wait: Wait) -> float:
        """Monotonic; infinity when only an end can tell."""
        assert self._budgets is not None
        return math.inf if wait.until is None else self._budgets.monotonic(wait.until)

    def _is_external(self, work: Work) -> bool:
        return not all(map(self._tenant.is_inside, work.addresses))

    # Ends.

    def content(self, work: Work, index: int) -> bytes:
        """A further record of the mail; SpoolError."""
        return self._store.content(work.envelope.id, index)

    def when_durable(self, work: Work, go: Callable[[], None]) -> None:
        """Call `go` when the charge of the mail is on the disk."""
        assert self._budgets is not None
        self._budgets.when_durable(work, go)

    def ended(self, work: Work) -> None:
        """The end of a mail, so or so, before its outcome is settled."""
        gate = work.gate
        assert gate is not None
        if work.job.flow.is_large:
            gate.supply.large -= 1
        is_busy = not gate.until and len(gate.supply) > 0
        gate.measure.ended(work, self._clock.monotonic(), is_busy=is_busy)
        freed: frozenset[Place] = frozenset()
        if work.taken is not None:
            assert self._budgets is not None
            freed = self._budgets.ended(work)
        if work.is_proof:
            final = work.transaction.final
            self._proofs.end(gate.reach, is_proved=final is not None and final.is_positive)
            self._waits.told(_new_senders(gate.reach))
        self._waits.ended(freed)

    def doubt(self, reach: Reach, sender: bytes) -> None:
        """The mailbox may not send as him after all."""
        self._proofs.doubt(reach.mailbox, sender)

    def woken(self, key: StopKey) -> None:
        """Something that had stopped may go on: mail that stood aside for it asks again."""
        self._waits.told(stop_place(key))

    def going_on(self, suspension: Suspension) -> None:
        """What was suspended is so no more: its mail asks again."""
        self._waits.told(place_of(suspension))

    def damaged(self, work: Work, error: SpoolError) -> None:
        """The mail's content cannot be read: moved aside when the record is to blame, else the spool is."""
        self.ended(work)
        self.breakers.probe_ended(work)
        if isinstance(error, RecordDamaged):
            self._set_aside(work.job, error)
        else:
            self._broken(error)

    # As a whole.

    def add(self, gate: Gate) -> None:
        """A gate that takes mail of lanes."""
        self.spill.gates.append(gate)

    @property
    def throttled(self) -> int:
        """Lanes in which mail waits for a limit."""
        return self._waits.throttled

    @property
    def is_busy(self) -> bool:
        """Something of the budgets is on its way to the disk."""
        return self._budgets is not None and self._budgets.is_busy

    def close(self) -> None:
        """Wait for nothing any more."""
        self._waits.stop()


def stop_place(key: StopKey) -> Place:
    """Where mail stands aside for it."""
    match key.scope:
        case Stopped.TENANT_EXTERNAL:
            return OUTSIDE
        case Stopped.SENDER_DOMAIN:
            return Place(Scope.ROUTE, f"senders of {key.key}", Unit.MESSAGES)
    return STAYS


def _new_senders(reach: Reach) -> Place:
    return Place(Scope.MAILBOX, f"{reach.mailbox}, new senders", Unit.MESSAGES)


STAYS = Place(Scope.ROUTE, "mail that takes no other route", Unit.MESSAGES)
_FREE = Taken([], 0)
"""Of mail that nothing is charged for."""
