"""Verdicts: what an answer changes beyond its mail.

A trouble that more mail shares opens a breaker; "too much" lowers what is learnt; a mail
that went through closes what it was the probe of. What had its connection cut before its
reply is uncertain, and becomes what its sender or its route wants.
"""

from collections.abc import Sequence
from typing import Protocol

from relay.deliver.breakers import Breakers
from relay.deliver.connection import Connection
from relay.deliver.desk import Desk
from relay.deliver.learner import Learner
from relay.deliver.outcome import Outcome, Trouble, Verdict, judge_reply
from relay.deliver.reach import Reach
from relay.deliver.settlement import Settlement, Via
from relay.deliver.sharing import Sharing
from relay.deliver.work import Work
from relay.m365.row import LogInAgain, OpenBreaker, Scope, Stop, UseIpv4
from relay.message.queue_id import format_id
from relay.message.uncertain import Uncertain
from relay.queue.job import Job
from relay.queue.queue import Queue
from relay.smtp.reply import Reply
from relay.smtp.transaction import Phase
from relay.trace import event as trace

SUSPICIONS_MAX = 3
"""One mail with a sender the next hop does not know must not stop the others; three in a row are the route's fault."""


_OF_SOME_MAIL = frozenset({Scope.SENDER_AS, Scope.SENDER_DOMAIN, Scope.TENANT_EXTERNAL})


class Judged(Protocol):
    """A pool, as far as verdicts need it."""

    @property
    def reach(self) -> Reach: ...
    def via(self, connection: Connection) -> Via: ...
    def use_ipv4(self) -> None: ...
    def logs_in_again(self, connection: Connection, reply: Reply) -> bool: ...


class Verdicts:
    """Of one process."""

    def __init__(
        self,
        queue: Queue,
        desk: Desk,
        settlement: Settlement,
        breakers: Breakers,
        learner: Learner,
        sharing: Sharing,
        record: trace.Record,
        losses_max: int,
    ) -> None:
        self._queue = queue
        self._desk = desk
        self._settlement = settlement
        self._breakers = breakers
        self._learner = learner
        self._sharing = sharing
        self._record = record
        self._losses_max = losses_max
        self._suspicions: dict[Judged, int] = {}
        """Replies in a row that may speak of the whole route."""

    def completed(self, pool: Judged, connection: Connection, work: Work, replies: Sequence[Reply]) -> None:
        """Every recipient has its reply: settle the mail, and stop what is in trouble."""
        outcome = self._settlement.settle(work, replies, pool.via(connection))
        if outcome.is_clean and not self._breakers.any and pool not in self._suspicions:
            self._learner.accepted(pool.reach, replies[0])
            return
        sender = work.envelope.sender
        troubles = self._believed(pool, outcome, work)
        for trouble in troubles:
            self._stop(pool, connection, trouble, sender)
        if not outcome.says_something:
            # Nothing was counted against it: it waits where its sender may still send.
            self.give_back(work.job, sender)
        if not troubles:
            if outcome.delivered:
                self._breakers.probe_passed(work)
                self._learner.accepted(pool.reach, replies[0])
            else:
                # What is wrong with this mail alone proves nothing.
                self._breakers.probe_ended(work)
            return
        # Troubles of their own kind close what was probed, and open it again.
        self._breakers.probe_ended(work)
        reason = f"refuses mail of ours: {troubles[0].reply}"
        if connection.can_be_cut and any(_stops_at_once(trouble) for trouble in troubles):
            # What stands behind it on the wire has sent no content: it cannot have been taken.
            connection.cut(reason)
        elif connection.is_open:
            connection.retire(reason)

    def refused(self, pool: Judged, reply: Reply, reason: str) -> bool:
        """The next hop would not open a session, or ended it; whether the pool's mail has stopped by that."""
        verdict, trouble, row = judge_reply(reply, is_microsoft=pool.reach.is_microsoft)
        if trouble is None or row is None:
            return False
        self._learner.crowded(trouble, pool.reach)
        self._sharing.trim(pool.reach)
        if verdict not in (Verdict.FAULT, Verdict.SUSPECTED) or trouble.scope in _OF_SOME_MAIL:
            # No mail was tried: what speaks of some mail only says that there is no session now.
            return False
        self._breakers.trip(trouble, pool.reach, b"", reason)
        return self._breakers.stopping(pool.reach, pool) is not None

    def interrupted(self, pool: Judged, connection: Connection, work: Work, reason: str) -> None:
        """Was the mail the cause, and may it have arrived?"""
        transaction, job = work.transaction, work.job
        if transaction.phase is Phase.WAITING or (
            connection.was_asked_to_leave and not transaction.content_begun
        ):
            # Its charge was still on the way to the disk, or it is we who hung up.
            self.give_back(job, work.envelope.sender)
            return
        reply = Reply(451, "4.4.2", f"no reply: {reason}")
        if transaction.phase is Phase.VERDICT and transaction.may_have_been_taken:
            decision = work.envelope.uncertain or job.lane.route.on_uncertain
            route = job.lane.key.route
            self._record(trace.Uncertain(format_id(job.id), route, connection.host, reason, decision.value))
            if decision is not Uncertain.RETRY:
                self._settlement.doubt(work, reply, pool.via(connection))
                return
        elif not transaction.content_begun and job.losses < self._losses_max:
            job.losses += 1
            self.give_back(job, work.envelope.sender)
            return
        self._settlement.settle(work, (reply,) * len(work.indices), pool.via(connection))

    def give_back(self, job: Job, sender: bytes) -> None:
        """The job was not tried: back to where its sender's mail waits now."""
        if self._queue.denials:
            job.lane = self._queue.lane(job.lane.key.route, sender)
        self._settlement.give_back(job)

    def _believed(self, pool: Judged, outcome: Outcome, work: Work) -> list[Trouble]:
        """The troubles; a suspicion when it is one of several in a row, or what a probe was to find out."""
        troubles = list(outcome.troubles)
        if outcome.delivered:
            self._suspicions.pop(pool, None)
        elif outcome.suspicion is not None:
            count = self._suspicions[pool] = self._suspicions.get(pool, 0) + 1
            key = pool.reach.key(outcome.suspicion.scope, work.envelope.sender)
            if count >= SUSPICIONS_MAX or self._breakers.is_probe(work, key):
                troubles.append(outcome.suspicion)
        return troubles

    def _stop(self, pool: Judged, connection: Connection, trouble: Trouble, sender: bytes) -> None:
        match trouble.action:
            case UseIpv4():
                pool.use_ipv4()
                return
            case LogInAgain() if pool.logs_in_again(connection, trouble.reply):
                # The token was good when the session began: revoked since, or the server has lost the session.
                return
        self._learner.crowded(trouble, pool.reach)
        self._sharing.trim(pool.reach)
        if trouble.scope in (Scope.CONNECTION, Scope.MESSAGE, Scope.RECIPIENT):
            return
        if trouble.scope is Scope.SENDER_AS:
            self._desk.doubt(pool.reach, sender)
        self._breakers.trip(trouble, pool.reach, sender)


def _stops_at_once(trouble: Trouble) -> bool:
    """Each further mail would make it worse."""
    return isinstance(trouble.action, Stop | OpenBreaker) and trouble.scope is not Scope.TENANT_EXTERNAL
