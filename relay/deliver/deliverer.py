"""The deliverer: receivers' hints and the spool on one side, next hops on the other.

At start the hand-over socket is bound first, then the queue is rebuilt from the
spool, then hints are read and mail flows. From then on everything happens in
callbacks: a hint pushes a job to its lane, the lane's pool puts it on a connection,
a reply settles it, a commit lets go of it. One tick a second looks at deadlines.

A spool that cannot be read ends the deliverer with an error (`wait` raises it):
whoever keeps the process alive starts it again, which reads everything anew.
"""

import asyncio
from collections.abc import Callable, Sequence

from relay.clock import Clock
from relay.deliver.book import Book
from relay.deliver.budgets import Budgets
from relay.deliver.gate import CallLater
from relay.deliver.handover import HandoverServer
from relay.deliver.login import Tokens
from relay.deliver.opening import Opener
from relay.deliver.options import DelivererOptions
from relay.deliver.pool import Pool
from relay.deliver.register import Register
from relay.deliver.settlement import Committer, Settlement
from relay.deliver.work import Bench, Later, Work
from relay.errors import RecordDamaged, SpoolError
from relay.queue.job import Job
from relay.queue.lane import Lane
from relay.queue.queue import Queue
from relay.route.route import Route
from relay.route.table import RouteTable
from relay.smtp.reply import Reply
from relay.spool.handover import Queued
from relay.spool.spool import Spool
from relay.trace import event as trace

DRAIN_POLL_S = 0.01
"""How often a drain looks whether all is done: it happens once in a process's life."""
ABORT_DEADLINE_S = 1.0
"""How long a drain waits, once it has hung up, for the last outcomes to be committed."""


ASIDE_MAX = 256
"""Mails that stand aside, looked at in one go: about 10 ms; the rest in the next turn."""


class Deliverer:
    """One a process, one a spool."""

    def __init__(
        self,
        options: DelivererOptions,
        routes: RouteTable,
        store: Spool,
        committer: Committer,
        record: trace.Record,
        clock: Clock,
        rng: Callable[[], float],
        tokens: Tokens | None = None,
        book: Book | None = None,
        later: CallLater | None = None,
    ) -> None:
        """`rng` is uniform in [0, 1), for jitter; `tokens` for routes that log in with one; `book` for
        routes with limits; `later` instead of the loop's timers."""
        self._options = options
        self._routes = routes
        self._store = store
        self._record = record
        self._clock = clock
        self._rng = rng
        self._tokens = tokens
        self._queue = Queue(self._route_named)
        self._bench = Bench(store, options.recipients_max)
        self._settlement = Settlement(options, self._queue, self._bench, committer, record, clock, rng)
        self._settlement.reopened = self._pump_all
        self._settlement.pushed = self._pushed
        self._register = Register(store, self._queue, self._bench, options, record, clock)
        self._handover = HandoverServer(options.handover_path, options.receivers_max, self)
        self._budgets: Budgets | None = None
        if book is not None:
            later = later or asyncio.get_running_loop().call_later
            parts = (record, clock, later, options.settle_retry_s, self._reopened)
            self._budgets = Budgets(book, committer.submit, self._settlement, *parts)
        self._pools: dict[Lane, Pool] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._life: asyncio.Task[None] | None = None
        self._trouble: asyncio.Future[None] | None = None
        self._is_draining = False
        self._to_scan: dict[int, int] = {}
        """Receiver slots with the first id to look from."""
        self._is_scanning = False

    async def start(self) -> None:
        """Returns when the queue is rebuilt and mail flows; SpoolError, OSError."""
        loop = asyncio.get_running_loop()
        await self._handover.listen()
        began_at = self._clock.monotonic()
        found = await self._register.scan(0)
        seconds = self._clock.monotonic() - began_at
        self._record(trace.QueueRebuilt(found.queued, found.held, found.damaged, seconds))
        self._trouble = loop.create_future()
        is_up = loop.create_future()
        self._life = loop.create_task(self._live(self._trouble, is_up))
        await is_up
        self._handover.read()
        self._pump_all()

    async def wait(self) -> None:
        """Returns when drained; raises what broke the deliverer."""
        assert self._life is not None
        await asyncio.shield(self._life)

    async def drain(self, deadline_s: float) -> None:
        """Start nothing new, let what is in flight end and be committed, at most so long; then hang up."""
        self._is_draining = True
        self._handover.close()
        for pool in self._pools.values():
            pool.drain()
        await self._rest(deadline_s)
        for pool in self._pools.values():
            pool.abort()
        # What the hang-ups leave behind is settled before the caller closes the committer.
        await self._rest(ABORT_DEADLINE_S)
        if self._budgets is not None:
            self._budgets.close()
        if self._trouble is not None and not self._trouble.done():
            self._trouble.set_result(None)
        if self._life is not None:
            await asyncio.wait([self._life])

    async def _rest(self, deadline_s: float) -> None:
        """Wait until nothing is under way, at most so long."""
        ends_at = self._clock.monotonic() + deadline_s
        while self._is_busy and self._clock.monotonic() < ends_at:  # noqa: ASYNC110 (three places make it busy)
            await asyncio.sleep(DRAIN_POLL_S)

    @property
    def _is_busy(self) -> bool:
        if self._budgets is not None and self._budgets.is_busy:
            return True
        return self._settlement.unsettled > 0 or any(pool.size for pool in self._pools.values())

    async def _live(self, trouble: asyncio.Future[None], is_up: asyncio.Future[None]) -> None:
        """Own all tasks until drained or broken; SpoolError."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            ticking = tasks.create_task(self._tick())
            is_up.set_result(None)
            try:
                await asyncio.wait([trouble])
            finally:
                self._is_draining = True
                ticking.cancel()
                for pool in self._pools.values():
                    pool.drain()
                    pool.abort()
        trouble.result()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(self._options.tick_s)
            for _ in self._queue.due(self._clock.now(), self._options.deferred_slice):
                pass
            for pool in list(self._pools.values()):
                pool.check()
                if pool.is_stuck:
                    self._expire(pool.lane)
            self._sample()

    def _sample(self) -> None:
        depth = self._queue.depth()
        connections = sum(pool.open_connections for pool in self._pools.values())
        oldest_seconds = 0.0 if depth.oldest_at is None else max(0.0, self._clock.now() - depth.oldest_at)
        throttled = 0 if self._budgets is None else self._budgets.throttled
        waiting = (depth.ready, depth.deferred, depth.held)
        self._record(trace.QueueDepth(*waiting, connections, oldest_seconds, throttled))

    def _expire(self, lane: Lane) -> None:
        """Jobs of a stuck lane that are too old are held; the oldest stand first."""
        for _ in range(self._options.deferred_slice):
            job = lane.peek()
            if job is None or job.queued_at + lane.route.expire_s > self._clock.now():
                return
            work = self._oldest(lane, 0)
            if work is None:
                return
            reply = Reply(451, "4.4.7", f"too old, and the route is stuck: {lane.pause_reason}")
            self._settlement.settle(work, (reply,) * len(work.indices), ", ".join(lane.route.hosts))

    # Hints.

    def take(self, mails: Sequence[Queued]) -> None:
        """Mails a receiver has committed."""
        lanes: set[Lane] = set()
        for mail in mails:
            if self._register.enter(mail):
                lanes.update(map(self._queue.lane, mail.routes))
        for lane in lanes:
            self._pool(lane).pump()

    def rescan(self, slot: int, first_id: int) -> None:
        """Look for mails of a receiver that may have come without a hint.

        One scan runs at a time: a receiver that comes and goes asks for many, and the next covers them all.
        """
        if self._tasks is None or self._is_draining:
            return
        self._to_scan[slot] = min(first_id, self._to_scan.get(slot, first_id))
        if not self._is_scanning:
            self._is_scanning = True
            self._tasks.create_task(self._rescan())

    async def _rescan(self) -> None:
        try:
            while self._to_scan:
                # Taken out first: what is asked for while it runs may lie behind where it is, and runs after it.
                slot, first_id = self._to_scan.popitem()
                await self._register.scan(first_id - 1, slot, self._pump_all)
        except SpoolError as error:
            self._break(error)
        finally:
            self._is_scanning = False

    # Work for the pools.

    def next_work(self, lane: Lane, recipients_max: int) -> Work | None:
        """The lane's oldest job that may start, read from the spool and charged; None when there is none."""
        gate = None if self._budgets is None else self._budgets.gate(lane)
        if gate is None:
            return self._oldest(lane, recipients_max)
        for _ in range(ASIDE_MAX):
            if lane.throttled_until:
                return None
            work = self._oldest(lane, recipients_max)
            if work is None:
                if not gate.refill():
                    return None
            elif gate.admit(work):
                return work
        asyncio.get_running_loop().call_soon(self._reopened, lane)
        return None

    def _oldest(self, lane: Lane, recipients_max: int) -> Work | None:
        while len(lane) and self._settlement.may_start() and not self._is_draining:
            job = lane.pop()
            try:
                work = self._bench.work(job, self._clock.now(), recipients_max)
            except RecordDamaged as error:
                self._set_aside(job, error)
                continue
            except SpoolError as error:
                self._break(error)
                return None
            match work:
                case Work():
                    return work
                case Later(at):
                    self._queue.defer(job, at)
                case None:
                    # A hint for a mail that is gone, or a route with nobody left to write to.
                    self._settlement.drop(job)
        return None

    def content(self, work: Work, index: int) -> bytes:
        """A further record of the mail; SpoolError."""
        return self._store.content(work.envelope.id, index)

    def when_durable(self, work: Work, go: Callable[[], None]) -> None:
        """Call `go` when the charge of the mail is on the disk."""
        assert self._budgets is not None
        self._budgets.when_durable(work, go)

    def ended(self, work: Work) -> None:
        """The end of a mail that was charged."""
        assert self._budgets is not None
        self._budgets.ended(work)

    def damaged(self, work: Work, error: SpoolError) -> None:
        """The mail's content cannot be read: moved aside when the record is to blame, else the spool is."""
        if work.taken is not None:
            self.ended(work)
        if isinstance(error, RecordDamaged):
            self._set_aside(work.job, error)
        else:
            self._break(error)

    def _set_aside(self, job: Job, error: RecordDamaged) -> None:
        try:
            self._register.set_aside(job.id, "content", str(error))
        except SpoolError as trouble:
            self._break(trouble)
        self._settlement.drop(job)

    def _break(self, error: SpoolError) -> None:
        if self._trouble is not None and not self._trouble.done():
            self._trouble.set_exception(error)
        self._is_draining = True

    # Pools.

    def _route_named(self, name: str) -> Route:
        # A route that is configured no more keeps its mail: a lane that cannot open says so.
        return self._routes.get(name) or Route(name=name, hosts=())

    def _pool(self, lane: Lane) -> Pool:
        pool = self._pools.get(lane)
        if pool is None:
            assert self._tasks is not None
            opener = Opener(lane.route, self._options, self._record, self._clock, self._rng, self._tokens)
            parts = (self._options, self._record, self._clock, self._rng, self._tasks)
            pool = self._pools[lane] = Pool(lane, opener, self, self._settlement, *parts)
        return pool

    def _pump_all(self) -> None:
        if self._tasks is not None and not self._is_draining:
            for lane in list(self._queue.lanes):
                self._pool(lane).pump()

    def _pushed(self, job: Job) -> None:
        """A job came back to its lane."""
        self._reopened(job.lane)

    def _reopened(self, lane: Lane) -> None:
        """The lane may have work: let it be taken in the next turn, not in the midst of this one."""
        if self._tasks is not None and not self._is_draining:
            asyncio.get_running_loop().call_soon(self._pool(lane).pump)
