"""The connections of one lane: opened as demand asks, lent out, closed when worn.

There are never more than the route allows. As long as it is not known that the
next hop takes us, one connection tries alone: a host that is down, or a password
that is wrong, sees one try, not twenty. When a try fails, no other begins until a
pause is over that grows with each failure; mail waits meanwhile and nothing is
counted against it. Connections that still work go on.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from relay.clock import Clock
from relay.deliver.connection import Connection
from relay.deliver.opening import Opener, OpeningFailed
from relay.deliver.options import DelivererOptions
from relay.deliver.settlement import Settlement
from relay.deliver.work import Work
from relay.errors import SpoolError
from relay.m365.classify import explain
from relay.message.queue_id import format_id
from relay.queue.lane import Lane
from relay.queue.retry import delay
from relay.smtp.reply import Reply
from relay.smtp.transaction import Phase
from relay.trace import event as trace

SUSPICIONS_MAX = 3
"""One mail with a sender the next hop does not know must not stop the others; three in a row are the route's fault."""


class Desk(Protocol):
    """Where a pool gets its work: jobs of a lane, made ready from the spool."""

    def next_work(self, lane: Lane, recipients_max: int) -> Work | None: ...
    def content(self, work: Work, index: int) -> bytes: ...
    def damaged(self, work: Work, error: SpoolError) -> None: ...
    def when_durable(self, work: Work, go: Callable[[], None]) -> None: ...
    def ended(self, work: Work) -> None: ...


class Pool:
    """Owner of a lane's connections."""

    def __init__(
        self,
        lane: Lane,
        opener: Opener,
        desk: Desk,
        settlement: Settlement,
        options: DelivererOptions,
        record: trace.Record,
        clock: Clock,
        rng: Callable[[], float],
        tasks: asyncio.TaskGroup,
    ) -> None:
        self.lane = lane
        self._opener = opener
        self._desk = desk
        self._settlement = settlement
        self._options = options
        self._record = record
        self._clock = clock
        self._rng = rng
        self._tasks = tasks
        self._connections: set[Connection] = set()
        self._idle: list[Connection] = []
        self._opening: set[asyncio.Task[None]] = set()
        self._failures = 0
        self._is_trusted = False
        """The last try to open a connection succeeded."""
        self._suspicions = 0
        """Replies in a row that may speak of the whole route."""
        self._is_draining = False

    @property
    def size(self) -> int:
        """Connections there are or will be; never above the route's cap."""
        return len(self._connections) + len(self._opening)

    @property
    def open_connections(self) -> int:
        """Connections that are ready."""
        return len(self._connections)

    @property
    def is_stuck(self) -> bool:
        """Nothing moves: no connection, and a pause before the next try."""
        return not self._connections and self._clock.monotonic() < self.lane.paused_until

    def pump(self) -> None:
        """Put waiting jobs on idle connections; open more where those do not suffice."""
        if self.lane.throttled_until:
            return
        while self._idle and len(self.lane):
            connection = self._idle.pop()
            connection.start()
            if self._idle and self._idle[-1] is connection:
                # It came back without work: no more may start just now.
                return
        if not self._is_draining:
            self._open_more()

    def _open_more(self) -> None:
        if self.lane.throttled_until or self._clock.monotonic() < self.lane.paused_until:
            return
        cap = self.lane.route.connections if self._is_trusted else 1
        wanted = min(len(self.lane) - len(self._opening), cap - self.size)
        for _ in range(wanted):
            task = self._tasks.create_task(self._open())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _open(self) -> None:
        try:
            connection = await self._opener.open(self)
        except OpeningFailed as error:
            self._failed(str(error), is_fault=error.is_fault)
            return
        if not connection.is_open:
            self._failed("the next hop closed the connection as soon as it was open", is_fault=False)
            return
        task = asyncio.current_task()
        assert task is not None
        # From here on it counts as a connection, not as one to come.
        self._opening.discard(task)
        self._connections.add(connection)
        self._is_trusted = True
        if self._is_draining:
            connection.leave("draining")
            return
        connection.start()
        self._open_more()

    def _failed(self, reason: str, *, is_fault: bool) -> None:
        """No new connection for a while. Of several tries that fail together the first one speaks."""
        self._is_trusted = False
        if self._clock.monotonic() < self.lane.paused_until:
            return
        self._failures += 1
        options = self._options
        first_s, max_s = options.lane_backoff_first_s, options.lane_backoff_max_s
        if is_fault:
            first_s, max_s = options.fault_backoff_first_s, options.fault_backoff_max_s
        wait_s = delay(self._failures, first_s, 2, max_s, self._rng)
        self.lane.pause(self._clock.monotonic() + wait_s, reason)
        host = ", ".join(self.lane.route.hosts)
        text = f"{reason}; next try in {wait_s:.0f} seconds"
        level: trace.Level = "error" if is_fault else "warning"
        self._record(trace.ConnectionFailed(self.lane.key.route, host, text, level))

    # What connections ask and say.

    def next_work(self, connection: Connection) -> Work | None:
        """The lane's next mail for this connection; None: nothing may start, or it is worn."""
        if not len(self.lane) or self._is_draining or connection.is_worn:
            return None
        if self._idle and not connection.client.is_idle:
            # Another one rests: better there at once than here behind a verdict that may take long.
            return None
        return self._desk.next_work(self.lane, connection.client.offer.recipients_max)

    def content(self, work: Work, index: int) -> bytes:
        """A further record of a mail."""
        return self._desk.content(work, index)

    def completed(self, connection: Connection, work: Work, replies: Sequence[Reply]) -> None:
        """Every recipient has its reply."""
        self._failures = 0
        if work.taken is not None:
            self._desk.ended(work)
        outcome = self._settlement.settle(work, replies, connection.host)
        if outcome.delivered:
            self._suspicions = 0
        elif outcome.suspicion is not None:
            self._suspicions += 1
        fault = outcome.fault
        if fault is None and self._suspicions >= SUSPICIONS_MAX:
            fault = outcome.suspicion
        if fault is not None:
            # Not cut off: what stands behind it on the wire may be taken, and would go out twice.
            self._failed(f"refuses mail of ours: {explain(fault)}", is_fault=True)
            connection.retire(f"refuses mail of ours: {fault}")

    def became_idle(self, connection: Connection) -> None:
        """It has nothing under way; called at most once for each time it is idle."""
        if self._is_draining:
            connection.leave("draining")
        elif connection.is_worn:
            connection.leave(connection.retired_for or "age")
        elif connection not in self._idle:
            self._idle.append(connection)

    def when_durable(self, work: Work, go: Callable[[], None]) -> None:
        """`go` when the charge of the mail is on the disk."""
        self._desk.when_durable(work, go)

    def damaged(self, work: Work, error: SpoolError) -> None:
        """A mail's content cannot be read."""
        self._desk.damaged(work, error)

    def lost(self, connection: Connection, works: Sequence[Work], reason: str) -> None:
        """The connection is over; `works` was under way, oldest first."""
        if connection not in self._connections:
            return
        self._connections.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        route = self.lane.key.route
        if not works:
            self._record(trace.ConnectionClosed(route, connection.host, reason, connection.mails))
        elif connection.mails:
            self._record(trace.ConnectionFailed(route, connection.host, reason))
        if not connection.mails and not connection.was_asked_to_leave:
            # It carried nothing: opening the next one at once would go round in circles.
            self._failed(reason, is_fault=False)
        for work in works:
            self._interrupted(work, connection, reason)
        if len(self.lane):
            self.pump()

    def _interrupted(self, work: Work, connection: Connection, reason: str) -> None:
        """Was the mail the cause, and may it have arrived?"""
        transaction, job = work.transaction, work.job
        if work.taken is not None:
            self._desk.ended(work)
        if transaction.phase is Phase.WAITING:
            # Its charge was still on the way to the disk.
            self._settlement.give_back(job)
            return
        if transaction.phase is Phase.VERDICT and transaction.may_have_been_taken:
            id, route = format_id(job.id), self.lane.key.route
            self._record(trace.Uncertain(id, route, connection.host, reason))
        elif not transaction.content_begun and job.losses < self._options.losses_max:
            job.losses += 1
            self._settlement.give_back(job)
            return
        reply = Reply(451, "4.4.2", f"no reply: {reason}")
        self._settlement.settle(work, (reply,) * len(work.indices), connection.host)

    # Once a tick, and at the end.

    def check(self) -> None:
        """Deadlines of all connections; a try to open when a pause is over."""
        now = self._clock.monotonic()
        for connection in list(self._connections):
            connection.check(now, self._options.quit_timeout_s)
        self._idle = [connection for connection in self._idle if connection.is_open]
        if self.lane.paused_until and now >= self.lane.paused_until:
            self.lane.resume()
        self.pump()

    def drain(self) -> None:
        """Start nothing; say goodbye as each connection ends what it does."""
        self._is_draining = True
        for task in list(self._opening):
            task.cancel()
        idle, self._idle = self._idle, []
        for connection in idle:
            if connection.is_open:
                connection.leave("draining")

    def abort(self) -> None:
        """Hang up on all."""
        for connection in list(self._connections):
            connection.abort("the relay ends")
