"""Mails found in the spool become jobs: all of them at start, some after a receiver died.

Read in slices, with a turn of the loop between, so that a million mails cost
seconds and never hold the loop for long. What cannot be read is moved aside.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from relay.clock import Clock
from relay.deliver.options import DelivererOptions
from relay.deliver.work import Bench
from relay.message.queue_id import format_id, slot_of
from relay.queue.job import Job
from relay.queue.lane import Lane
from relay.queue.queue import Queue
from relay.spool.change import HELD, QUEUED, UNCERTAIN, RecipientState, Remove
from relay.spool.entry import Damaged, Entry, Mail
from relay.spool.handover import Queued
from relay.spool.spool import Spool
from relay.trace import event as trace

Came = Callable[[Queued, tuple[RecipientState, ...] | None, Sequence[Lane]], None]


@dataclass(slots=True)
class Found:
    """What a scan added."""

    queued: int = 0
    held: int = 0
    damaged: int = 0


class Register:
    """The one place where mails enter the queue."""

    def __init__(
        self,
        spool: Spool,
        queue: Queue,
        bench: Bench,
        options: DelivererOptions,
        record: trace.Record,
        clock: Clock,
        told_to: int | None,
    ) -> None:
        """`told_to`: a scan tells the history only of mails with a higher id; None: nobody keeps one."""
        self._told_to = told_to
        self.doubted: Callable[[int], None] = _nobody_decides
        """Told of mails with recipients that are uncertain."""
        self.came: Came = lambda mail, states, lanes: None
        """Told of mails of campaigns that were not known."""
        self._spool = spool
        self._queue = queue
        self._bench = bench
        self._options = options
        self._record = record
        self._clock = clock
        self.watch: Callable[[int, float], None] = _nobody
        """Told of mails with a deadline of their own."""

    def enter(
        self,
        mail: Queued,
        state: tuple[RecipientState, ...] | None = None,
        *,
        is_found: bool = False,
        is_back: bool = False,
    ) -> list[Job]:
        """The jobs of a mail that may be new; none when it is known, or held. Found: by a scan; back: from an order."""
        queue = self._queue
        if mail.id in queue:
            return []
        waiting = None if state is None else [s for s in state if s.status is QUEUED]
        if state is not None and any([s.status is UNCERTAIN for s in state]):
            self.doubted(mail.id)
        if state is not None and not waiting:
            if any(s.status.is_left for s in state):
                queue.hold(mail.id)
                if mail.campaign and not is_back:
                    self.came(mail, state, ())
            else:
                # What was cancelled under way, in a process that ended before the mail was settled.
                self._spool.apply([Remove(mail.id, mail.chunks)])
            return []
        if state is None and self._told_to is not None:
            self._tell(mail, is_found=is_found)
        if len(mail.routes) > 1:
            self._bench.expect(mail.id, len(mail.routes))
        if mail.deadline:
            self.watch(mail.id, mail.deadline)
        at, attempts = mail.not_before, 0
        if waiting is not None:
            attempts = max([s.attempts for s in waiting])
            at = max(at, min([s.next_attempt for s in waiting]))
        jobs = []
        for route in mail.routes:
            job = queue.add(
                mail.id,
                route,
                sender=mail.sender,
                priority=mail.priority,
                attempts=attempts,
                has_state=state is not None,
                client=mail.source,
                campaign=mail.campaign,
                size=mail.size,
            )
            self._place(job, at)
            jobs.append(job)
        if mail.campaign and not is_back:
            self.came(mail, state, [job.lane for job in jobs])
        return jobs

    def enter_again(self, mail: Mail) -> list[Job]:
        """The jobs of a mail that was withdrawn: those that a start would make of what the disk has."""
        envelope, states = mail.envelope, mail.states
        routes = [
            recipient.route
            for recipient, state in zip(envelope.recipients, states, strict=True)
            if state.status is QUEUED
        ]
        self._queue.forget(envelope.id)
        statuses = [state.status for state in states]
        if not routes and HELD in statuses and UNCERTAIN not in statuses:
            self._queue.hold(envelope.id)
            return []
        queued = Queued.of(envelope, tuple(routes) if len(routes) < 2 else tuple(dict.fromkeys(routes)))
        return self.enter(queued, states if mail.has_state else None, is_back=True)

    def _tell(self, mail: Queued, *, is_found: bool) -> None:
        """The history knows most of what a start finds."""
        if is_found and mail.id <= (self._told_to or 0):
            return
        self._record(
            trace.MailQueued(
                format_id(mail.id),
                _text(mail.message_id),
                _text(mail.sender),
                tuple(map(_text, mail.recipients)),
                mail.size,
                mail.client,
                mail.account,
                mail.priority.word,
                mail.campaign,
                mail.received_at,
                mail.not_before,
                mail.subject,
            )
        )

    def _place(self, job: Job, at: float) -> None:
        if not at or at <= self._clock.now():
            job.lane.push(job)
        else:
            self._queue.defer(job, at)

    async def scan(
        self, after: int, slot: int | None = None, pushed: Callable[[], None] | None = None
    ) -> Found:
        """Enter every mail with an id above `after`, of one slot or of all; SpoolError.

        `pushed` is called after each slice.
        """
        found = Found()
        while True:
            entries = self._spool.scan(after, self._options.rebuild_slice)
            if not entries:
                return found
            for entry in entries:
                self._sort(entry, slot, found)
            last = entries[-1]
            after = last.id if isinstance(last, Damaged) else last.queued.id
            if pushed is not None:
                pushed()
            await asyncio.sleep(0)

    def _sort(self, entry: Entry | Damaged, slot: int | None, found: Found) -> None:
        if isinstance(entry, Damaged):
            found.damaged += 1
            self.set_aside(entry.id, entry.table, entry.reason)
            return
        mail = entry.queued
        if (slot is None or slot_of(mail.id) == slot) and mail.id not in self._queue:
            if self.enter(mail, entry.state, is_found=True):
                found.queued += 1
            else:
                found.held += 1

    def set_aside(self, id: int, table: str, reason: str) -> None:
        """Quarantine what cannot be read; SpoolError."""
        self._spool.quarantine(id, reason)
        self._record(trace.RecordQuarantined(table, format_id(id), reason))


def _nobody_decides(id: int) -> None:
    """Nothing decides about them."""


def _nobody(id: int, at: float) -> None:
    pass


def _text(wire: bytes) -> str:
    return wire.decode("utf-8", "backslashreplace")
