"""A job while it is worked on: its mail as read from the spool, and what is meant now.

A mail whose recipients take several routes is several jobs, but its recipients'
states are one spool record. Their list is shared here while any of those jobs
lives, so that one job's outcome never overwrites another's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from relay.budget.answer import Taken
from relay.errors import RecordDamaged
from relay.message.envelope import Envelope
from relay.queue.job import Job
from relay.route.cut import cut
from relay.smtp.transaction import Transaction
from relay.spool.change import RecipientState, Status
from relay.spool.spool import Spool

if TYPE_CHECKING:
    from relay.deliver.gate import Gate


@dataclass(slots=True, eq=False)
class Work:
    """One transaction's worth of a job."""

    job: Job
    envelope: Envelope
    states: list[RecipientState]
    """Of all recipients of the mail."""
    indices: list[int]
    """The recipients meant now."""
    transaction: Transaction
    taken: Taken | None = None
    """What it was charged, until its end is known; None where no limit holds."""
    serial: int = 0
    """Nothing of it may leave before this batch of the ledger is on the disk; 0: at once."""
    gate: Gate | None = None
    """Which login sends it."""
    is_uncertain: bool = False
    """Its reply was lost, and its recipients are kept for that."""
    handed_out_at: float = 0.0
    """When it was handed out, monotonic."""
    is_proof: bool = False
    """The first mail of its sender through this mailbox: it proves that the mailbox may send as him."""
    began_at: float = 0.0
    """When it was handed out, seconds since the epoch; 0: it was not."""

    def cut(self, recipients: int) -> None:
        """Mean only the first so many of the recipients."""
        del self.indices[recipients:]
        self.transaction.recipients = self.transaction.recipients[:recipients]

    def narrow(self, indices: list[int]) -> None:
        """Mean only these."""
        self.indices = indices
        self.transaction.recipients = [self.envelope.recipients[index] for index in indices]

    @property
    def client(self) -> str:
        """Whose mail it is."""
        return self.envelope.account or self.envelope.client

    @property
    def addresses(self) -> list[bytes]:
        """Of the recipients meant now."""
        return [recipient.address for recipient in self.transaction.recipients]


@dataclass(slots=True)
class Later:
    """Recipients are left, but their time has not come."""

    at: float


@dataclass(slots=True)
class Shared:
    """The states of a mail with several jobs."""

    jobs: int
    states: list[RecipientState] = field(default_factory=list)
    """Empty until the first of the jobs is worked on."""


_QUEUED = RecipientState()


class Bench:
    """Makes work of jobs; keeps what jobs of one mail share."""

    def __init__(self, spool: Spool, recipients_max: int) -> None:
        self._spool = spool
        self._recipients_max = recipients_max
        self._shared: dict[int, Shared] = {}
        self.waits: Callable[[bytes], bool] | None = None
        """Whether a recipient has to wait, though others of his mail may go."""

    def expect(self, id: int, jobs: int) -> None:
        """The mail has several jobs."""
        self._shared[id] = Shared(jobs)

    def forget(self, id: int) -> None:
        """Its jobs are withdrawn; nothing of it is worked on."""
        self._shared.pop(id, None)

    def is_last(self, job: Job) -> bool:
        """A job is over: was it the last of its mail?"""
        shared = self._shared.get(job.id)
        if shared is None:
            return True
        shared.jobs -= 1
        if shared.jobs:
            return False
        del self._shared[job.id]
        return True

    def work(self, job: Job, now: float, recipients_max: int) -> Work | Later | None:
        """The job's next transaction; None when the mail or its recipients are gone.

        `recipients_max` is what the connection allows, 0 for no limit. RecordDamaged, SpoolError.
        """
        found = self._spool.read(job.id)
        if found is None:
            return None
        envelope, head = found
        states = self._states(job, len(envelope.recipients))
        indices = _meant(envelope, states, job.home)
        due = [i for i in indices if states[i].next_attempt <= now]
        if not due:
            return Later(min(states[i].next_attempt for i in indices)) if indices else None
        if self.waits is not None:
            # Those who may go do; a mail of which nobody may is for the caller to set aside.
            due = [i for i in due if not self.waits(envelope.recipients[i].address)] or due
        ours = job.lane.route.recipients_per_message or self._recipients_max
        addresses = [envelope.recipients[i].address for i in due]
        due = [
            due[i]
            for i in cut(addresses, min(ours, recipients_max or ours), job.lane.route.recipients_per_domain)
        ]
        recipients = [envelope.recipients[i] for i in due]
        return Work(job, envelope, states, due, Transaction(envelope, recipients, head, envelope.chunks))

    def left(self, job: Job) -> Work | None:
        """All that is left of the job, whenever it is to be tried; None: nothing is. RecordDamaged, SpoolError."""
        found = self._spool.read(job.id)
        if found is None:
            return None
        envelope, head = found
        states = self._states(job, len(envelope.recipients))
        indices = _meant(envelope, states, job.home)
        recipients = [envelope.recipients[i] for i in indices]
        transaction = Transaction(envelope, recipients, head, envelope.chunks)
        return Work(job, envelope, states, indices, transaction) if indices else None

    def waiting(self, work: Work) -> float | None:
        """When the job's recipients that are left are to be tried; None when none is."""
        indices = _meant(work.envelope, work.states, work.job.home)
        return min((work.states[i].next_attempt for i in indices), default=None)

    def _states(self, job: Job, recipients: int) -> list[RecipientState]:
        shared = self._shared.get(job.id)
        if shared is not None and shared.states:
            return shared.states
        recorded = self._spool.state(job.id) if job.has_state else None
        states = list(recorded) if recorded is not None else [_QUEUED] * recipients
        if len(states) != recipients:
            raise RecordDamaged(f"{len(states)} states for {recipients} recipients")
        if shared is not None:
            shared.states = states
        return states


def _meant(envelope: Envelope, states: list[RecipientState], route: str) -> list[int]:
    return [
        i
        for i, (recipient, state) in enumerate(zip(envelope.recipients, states, strict=True))
        if state.status is Status.QUEUED and recipient.route == route
    ]
