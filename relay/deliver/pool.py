"""The connections of one login of a route: opened as demand asks, lent out, closed when worn.

There are never more than the route allows, nor than the mailbox, the host or the tenant
may have over all routes. As long as it is not known that the next hop takes us, one
connection tries alone: a host that is down, or a password that is wrong, sees one try,
not twenty. When a try fails, no other begins until a pause is over that grows with each
failure; mail waits meanwhile and nothing is counted against it. Connections that still
work go on.
"""

import asyncio
import math
from collections.abc import Callable, Sequence

from relay.clock import Clock
from relay.deliver.connection import Connection
from relay.deliver.desk import Desk
from relay.deliver.gate import CallLater, Gate, Timer
from relay.deliver.opening import Opener, OpeningFailed
from relay.deliver.options import DelivererOptions
from relay.deliver.outcome import delay_within, judge_reply
from relay.deliver.reach import Reach
from relay.deliver.settlement import Via
from relay.deliver.sharing import Sharing
from relay.deliver.verdict import Verdicts
from relay.deliver.work import Work
from relay.errors import SpoolError
from relay.queue.retry import delay
from relay.smtp.reply import Reply
from relay.trace import event as trace

AHEAD_MAX_S = 15.0
"""How long before its use a connection is opened at most; Microsoft's AUTH was seen to take ten seconds."""


class Pool:
    """Owner of a login's connections."""

    def __init__(
        self,
        gate: Gate,
        opener: Opener,
        desk: Desk,
        verdicts: Verdicts,
        sharing: Sharing,
        options: DelivererOptions,
        record: trace.Record,
        clock: Clock,
        rng: Callable[[], float],
        later: CallLater,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self.gate = gate
        self.reach: Reach = gate.reach
        self.paused_until = 0.0
        """Monotonic; 0 is not paused."""
        self.pause_reason = ""
        self.failing_since = 0.0
        """The first of the tries that failed in a row, seconds since the epoch."""
        self._supply = gate.supply
        self._opener = opener
        self._desk = desk
        self._breakers = desk.breakers
        self._verdicts = verdicts
        self._sharing = sharing
        self._options = options
        self._record = record
        self._clock = clock
        self._rng = rng
        self._later = later
        self._tasks = tasks
        self._connections: set[Connection] = set()
        self._vias: dict[Connection, Via] = {}
        self._idle: list[Connection] = []
        self._opening: set[asyncio.Task[None]] = set()
        self._ahead: Timer | None = None
        self._failures = 0
        self._is_trusted = False
        """The last try to open a connection succeeded."""
        self._is_draining = False
        self._supply.reachable = self._reachable
        sharing.add(self)

    @property
    def size(self) -> int:
        """Connections there are or will be; never above the route's cap."""
        return len(self._connections) + len(self._opening)

    @property
    def open_connections(self) -> int:
        """Connections that are ready."""
        return len(self._connections)

    @property
    def staying(self) -> int:
        """Of `size`, those that nothing sends away; the others hold their places until they are gone."""
        open_ones = [each for each in self._connections if each.is_open and not each.retired_for]
        return len(open_ones) + len(self._opening)

    @property
    def is_out(self) -> bool:
        """Its next hop cannot be reached, mail waits for it, and nothing else keeps it from trying."""
        if self._connections or self._is_trusted or not self._failures or not len(self._supply):
            return False
        if self.gate.until and self.gate.is_closed:
            return False
        stops = self._desk.suspended.stopping(self.reach), self._breakers.stopping(self.reach, self)
        return stops == (None, None)

    @property
    def reason(self) -> str:
        """Why nothing goes; a trouble comes before a limit."""
        suspended = self._desk.suspended.stopping(self.reach)
        if suspended is not None:
            return str(suspended)
        stopped = self._breakers.stopping(self.reach, self)
        return (stopped.reason if stopped is not None else "") or self.pause_reason or self.gate.reason

    @property
    def _is_paused(self) -> bool:
        return self._clock.monotonic() < self.paused_until

    def _reachable(self) -> int:
        """Connections there are, or may be for the asking: others may have the rest."""
        return min(self.reach.route.connections, self.size + self._sharing.room(self.reach))

    # Demand.

    def pump(self) -> None:
        """Put waiting jobs on idle connections; open more where those do not suffice."""
        if self.gate.until and self.gate.is_closed:
            self._open_ahead()
            return
        while self._idle and len(self._supply):
            connection = self._idle.pop()
            connection.start()
            if self._idle and self._idle[-1] is connection:
                # It came back without work: no more may start just now.
                self._open_ahead()
                return
        self._open_more()

    def _open_more(self) -> None:
        if self._is_draining or not len(self._supply) or (self.gate.until and self.gate.is_closed):
            return
        if self._is_paused:
            return
        if self._breakers.any and self._desk.has_stopped(self.gate, self):
            return
        cap = self.reach.route.connections if self._is_trusted else 1
        for _ in range(min(len(self._supply) - len(self._opening), cap - self.size)):
            if not self._begin_opening():
                return

    def _begin_opening(self) -> bool:
        if self._desk.suspended.stopping(self.reach) is not None:
            return False
        if not self._sharing.acquire(owner := object(), self):
            return False
        self._breakers.begin_probe(self.reach, self, self)
        task = self._tasks.create_task(self._open(owner))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)
        return True

    def _open_ahead(self) -> None:
        """The gate opens at a moment that is known: a connection should be there by then."""
        until = self.gate.until
        if until in (0.0, math.inf) or self._connections or self._opening or self._ahead is not None:
            return
        lead_s = min(self._opener.seconds * 1.5 + 0.1, AHEAD_MAX_S)
        wait_s = until - lead_s - self._clock.monotonic()
        self._ahead = self._later(max(0.0, wait_s), self._ahead_of_need)

    def _ahead_of_need(self) -> None:
        self._ahead = None
        if self._is_draining or self._is_paused or self.size or not len(self._supply):
            return
        if self._breakers.stopping(self.reach, self) is None:
            self._begin_opening()

    async def _open(self, owner: object) -> None:
        connection: Connection | None = None
        task = asyncio.current_task()
        assert task is not None
        try:
            connection = await self._opener.open(self)
        except OpeningFailed as error:
            # It holds its place until the reply is judged, and is none that could be sent away.
            self._opening.discard(task)
            self._opening_failed(error)
        finally:
            if connection is None or not connection.is_open:
                self._sharing.release(owner)
        if connection is None:
            return
        if not connection.is_open:
            self._breakers.probe_ended(self)
            self._failed("the next hop closed the connection as soon as it was open")
            return
        # From here on it counts as a connection, not as one to come.
        self._opening.discard(task)
        connection.place = owner
        self._connections.add(connection)
        self._is_trusted, self.pause_reason = True, ""
        if self._is_draining:
            connection.leave("draining")
            return
        connection.start()
        self._open_more()

    def _opening_failed(self, error: OpeningFailed) -> None:
        """The mailbox, the route or more has stopped, where the reply says so; else there is a pause."""
        if error.reply is not None and self._verdicts.refused(self, error.reply, str(error)):
            self._is_trusted = False
            self._breakers.probe_ended(self)
            self._desk.has_stopped(self.gate, self)
            return
        self._breakers.probe_ended(self)
        self._failed(str(error), error.reply, is_fault=error.is_fault)

    def _failed(self, reason: str, reply: Reply | None = None, *, is_fault: bool = False) -> None:
        """No new connection for a while. Of several tries that fail together the first one speaks."""
        self._is_trusted = False
        if self._is_paused:
            return
        self._failures += 1
        if self._failures == 1:
            self.failing_since = self._clock.now()
        options = self._options
        first_s, max_s = options.lane_backoff_first_s, options.lane_backoff_max_s
        if is_fault:
            first_s, max_s = options.fault_backoff_first_s, options.fault_backoff_max_s
        row = None if reply is None else judge_reply(reply, is_microsoft=self.reach.is_microsoft)[2]
        wait_s = delay_within(row, delay(self._failures, first_s, 2, max_s, self._rng))
        self.paused_until, self.pause_reason = self._clock.monotonic() + wait_s, reason
        route = self.reach.route
        text = f"{reason}; next try in {wait_s:.0f} seconds"
        level: trace.Level = "error" if is_fault else "warning"
        self._record(trace.ConnectionFailed(route.name, route.next_hop, text, level))

    # What connections ask and say.

    def next_work(self, connection: Connection) -> Work | None:
        """The next mail for this connection; None: nothing may start, or it is worn."""
        if not len(self._supply) and not any(lane.sidings for lane in self._supply.lanes):
            self._breakers.leave_probe(self)
            return None
        if self._is_draining or connection.is_worn:
            self._breakers.probe_ended(self)
            return None
        if self._idle and not connection.client.is_idle:
            # Another one rests: better there at once than here behind a verdict that may take long.
            return None
        if connection.carries_large:
            # What comes behind a large mail would wait until that is through.
            return None
        work = self._desk.next_work(self.gate, connection.client.offer.recipients_max, self)
        if work is None:
            self._breakers.leave_probe(self)
        return work

    def content(self, work: Work, index: int) -> bytes:
        """A further record of a mail."""
        return self._desk.content(work, index)

    def completed(self, connection: Connection, work: Work, replies: Sequence[Reply]) -> None:
        """Every recipient has its reply."""
        self._failures = 0
        self._desk.ended(work)
        self._verdicts.completed(self, connection, work, replies)

    def became_idle(self, connection: Connection) -> None:
        """It has nothing under way; called at most once for each time it is idle."""
        if self._is_draining:
            connection.leave("draining")
        elif connection.is_worn:
            connection.leave(connection.retired_for or "age")
        elif connection not in self._idle:
            self._idle.append(connection)

    def let_go(self, reason: str) -> bool:
        """Give up one connection, as soon as its mail is through; False: there is none to give up."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                connection.leave(reason)
                return True
        for connection in self._connections:
            if connection.is_open and not connection.retired_for:
                connection.retire(reason)
                return True
        return False

    def try_now(self) -> None:
        """Somebody says that what was in its way is mended: no pause before the next connection."""
        self.paused_until, self.pause_reason, self._failures = 0.0, "", 0

    def logs_in_again(self, connection: Connection, reply: Reply) -> bool:
        """Whether the session after this one has another token to try."""
        return self._opener.logs_in_again(connection, reply)

    def use_ipv4(self) -> None:
        """The next hop wants it."""
        self._opener.use_ipv4()

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
        route = self.reach.route.name
        if not works or connection.was_asked_to_leave:
            self._record(trace.ConnectionClosed(route, connection.host, reason, connection.mails))
        elif connection.mails:
            self._record(trace.ConnectionFailed(route, connection.host, reason))
        has_stopped = False
        if connection.ended_by is not None:
            has_stopped = self._verdicts.refused(self, connection.ended_by, reason)
        if not connection.mails and not connection.was_asked_to_leave and not has_stopped:
            # It carried nothing: opening the next one at once would go round in circles.
            self._failed(reason, connection.ended_by)
        for work in works:
            self._desk.ended(work)
            self._breakers.probe_ended(work)
            self._verdicts.interrupted(self, connection, work, reason)
        self._vias.pop(connection, None)
        self._sharing.release(connection.place)
        if len(self._supply):
            self.pump()

    def via(self, connection: Connection) -> Via:
        """How its mails go."""
        via = self._vias.get(connection)
        if via is None:
            offers_dsn = connection.client.offer.dsn
            parts = (connection.host, self.reach.identity, connection.session, connection.is_ipv6, offers_dsn)
            via = self._vias[connection] = Via(*parts)
        return via

    # Once a tick, and at the end.

    def check(self) -> None:
        """Deadlines of all connections; a try to open when a pause is over."""
        now = self._clock.monotonic()
        for connection in list(self._connections):
            connection.check(now, self._options.quit_timeout_s)
        self._idle = [connection for connection in self._idle if connection.is_open]
        if self.paused_until and now >= self.paused_until:
            # The reason stays until a connection is open: what waits may come of age between two tries.
            self.paused_until = 0.0
        self.pump()

    def drain(self) -> None:
        """Start nothing; say goodbye as each connection ends what it does."""
        self._is_draining = True
        if self._ahead is not None:
            self._ahead.cancel()
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
