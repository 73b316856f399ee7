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
from functools import partial

from relay.budget.connection import Connections
from relay.clock import Clock
from relay.deliver.actions import Actions
from relay.deliver.book import Book
from relay.deliver.breakers import Breakers
from relay.deliver.budgets import Budgets
from relay.deliver.campaigns import CampaignBook
from relay.deliver.desk import Desk
from relay.deliver.doubts import Doubts
from relay.deliver.expiry import Expiry
from relay.deliver.gate import CallLater, Gate
from relay.deliver.handover import HandoverServer
from relay.deliver.inquiry import Asks, Inquiry, Namesakes
from relay.deliver.learner import Learner
from relay.deliver.login import Tokens
from relay.deliver.opening import Opener
from relay.deliver.options import DelivererOptions
from relay.deliver.outages import Outages
from relay.deliver.outlook import Outlook
from relay.deliver.pool import Pool
from relay.deliver.prospecting import Prospecting
from relay.deliver.reach import Reach
from relay.deliver.reasons import Reasons
from relay.deliver.register import Register
from relay.deliver.report_options import ReportOptions
from relay.deliver.reporting import Reporting
from relay.deliver.settlement import Committer, Settlement
from relay.deliver.sharing import Sharing
from relay.deliver.spill import Spill
from relay.deliver.suspended import Suspended
from relay.deliver.verdict import Verdicts
from relay.deliver.work import Bench, Work
from relay.errors import RecordDamaged, SpoolError
from relay.message.from_field import author_address
from relay.queue.breaker import StopKey
from relay.queue.job import Job
from relay.queue.lane import Lane
from relay.queue.queue import Queue
from relay.queue.supply import Supply
from relay.queue.suspension import Suspension
from relay.queue.weights import Weights
from relay.route.route import Login, Route
from relay.route.spill import may_spill
from relay.route.table import RouteTable
from relay.route.tariff import Tariff, limits_in_force
from relay.route.tenant import Tenant
from relay.spool import prospect
from relay.spool.change import Budget
from relay.spool.handover import Queued
from relay.spool.spool import Spool
from relay.trace import event as trace

DRAIN_POLL_S = 0.01
"""How often a drain looks whether all is done: it happens once in a process's life."""
ABORT_DEADLINE_S = 1.0
"""How long a drain waits, once it has hung up, for the last outcomes to be committed."""


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
        tenant: Tenant | None = None,
        acted_at: float = 0.0,
        report: ReportOptions | None = None,
        told_to: int | None = None,
        asks: Asks | None = None,
        namesakes: Namesakes | None = None,
    ) -> None:
        """`rng` is uniform in [0, 1), for jitter; `tokens` for routes that log in with one; `book` for
        routes with limits over a time; `later` instead of the loop's timers; `acted_at`: when the
        administrator started or reloaded the relay, seconds since the epoch; without `report` nobody is told of
        anything, and what fails is held; `told_to`: up to which id the history has the mails, None where
        there is no history; `asks`, `namesakes`: what is asked about mail in doubt (`relay.deliver.inquiry`). SpoolError."""
        self._options = options
        self._routes = routes
        self._store = store
        self._record = record
        self._clock = clock
        self._rng = rng
        self._tokens = tokens
        self._later = later or asyncio.get_running_loop().call_later
        self._tenant = tenant or Tenant()
        self._queue = Queue(self._route_named, Weights(options.weights, options.campaign_weights))
        self._bench = Bench(store, options.recipients_max)
        self._settlement = Settlement(options, self._queue, self._bench, committer, record, clock, rng)
        self._settlement.reopened = self._pump_all
        self._settlement.pushed = self._pushed
        self._reporting = None
        if report is not None:
            self._reporting = Reporting(
                report,
                routes,
                store,
                committer,
                record,
                clock,
                self._later,
                options.settle_retry_s,
                self._queue.__contains__,
                lambda mail: self.take((mail,)),
            )
            self._settlement.reports = self._reporting.reports
        self._register = Register(store, self._queue, self._bench, options, record, clock, told_to)
        self._handover = HandoverServer(options.handover_path, options.receivers_max, self)
        self._limits = limits_in_force(routes.routes)
        self._has_book = book is not None
        budgets = None
        if book is not None:
            budgets = Budgets(book, committer.submit, clock, self._later, options.settle_retry_s)
        self._breakers = Breakers(
            self._queue.denials, options, committer.submit, record, clock, rng, self._later, self._woken
        )
        self.suspended = Suspended(
            self._bench, committer.submit, record, clock, self._later, options.settle_retry_s, self._resumed
        )
        self.actions = Actions(
            store, self._queue, self._bench, self._settlement, self._register, routes, committer, record,
            clock, self._reopened,
        )  # fmt: skip
        inquiry = Inquiry(asks, namesakes, record, clock)
        self.doubts = Doubts(store, self.actions.carry_out, routes.get, inquiry, clock)
        self._register.doubted = self._settlement.doubted = self.doubts.add
        connections = Connections(self._limits)
        self._sharing = Sharing(connections)
        ledger = None if budgets is None else budgets.ledger
        learner = Learner(
            self._limits,
            store.budget_rows().rows,
            connections,
            ledger,
            record,
            clock,
            lambda rows: committer.submit(Budget(tuple(rows)), _whatever),
        )
        spill = Spill(self._queue, self._breakers, self._spills_to, record, self._reopened)
        self._desk = Desk(
            store,
            self._queue,
            self._bench,
            self._settlement,
            self._breakers,
            self.suspended,
            spill,
            budgets,
            self._tenant,
            clock,
            self._later,
            self._reopened,
            self._set_aside,
            self._break,
        )
        self._outages = Outages(committer.submit, record, clock, self._later, options.settle_retry_s)
        self._settlement.lost = self._outages.lost_s
        self._expiry = Expiry(
            self._queue, self._bench, self._settlement, self._outages, clock, self._desk.read, self._reason,
            self._reopened, self._break,
        )  # fmt: skip
        self._register.watch = self._expiry.deadlines.add
        self._verdicts = Verdicts(
            self._queue,
            self._desk,
            self._settlement,
            self._breakers,
            learner,
            self._sharing,
            record,
            options.losses_max,
        )
        self._pools: dict[tuple[str, str], Pool] = {}
        self._pools_of: dict[Lane, tuple[Pool, ...]] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._life: asyncio.Task[None] | None = None
        self._trouble: asyncio.Future[None] | None = None
        self._is_draining = False
        self._to_scan: dict[int, int] = {}
        """Receiver slots with the first id to look from."""
        self._is_scanning = False
        self._breakers.restore(store, acted_at)
        self.suspended.restore(store)
        self._outages.restore(store.budget_rows().rows)
        self.outlook = Outlook(
            routes, self._queue, budgets, self._limits, self._tenant, connections, self._breakers, self.suspended,
            self._gate_of, clock,
        )  # fmt: skip
        self._prospecting = Prospecting(
            options.handover_path.with_name(prospect.FILE), lambda: self._queue.lanes, self.outlook, clock
        )
        self.campaigns = CampaignBook(
            store.budget_rows().rows, self.outlook,
            lambda rows, done: committer.submit(Budget(tuple(rows)), done), record, clock,
        )  # fmt: skip
        self._register.came, self._settlement.moved = self.campaigns.came, self.campaigns.moved
        self.reasons = Reasons(
            store,
            self._queue,
            self._breakers,
            self.suspended,
            self._desk.timetable,
            self._pools_for,
            self.outlook,
            clock,
            self.doubts.why,
        )

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

    @property
    def routes(self) -> RouteTable:
        """What is configured."""
        return self._routes

    @property
    def breakers(self) -> Breakers:
        """What has stopped by itself."""
        return self._breakers

    async def wait(self) -> None:
        """Returns when drained; raises what broke the deliverer."""
        assert self._life is not None
        await asyncio.shield(self._life)

    async def drain(self, deadline_s: float) -> None:
        """Start nothing new, let what is in flight end and be committed, at most so long; then hang up."""
        self._is_draining = self._desk.is_draining = self.actions.is_draining = True
        self._handover.close()
        for pool in self._pools.values():
            pool.drain()
        await self._rest(deadline_s)
        for pool in self._pools.values():
            pool.abort()
        # What the hang-ups leave behind is settled before the caller closes the committer.
        await self._rest(ABORT_DEADLINE_S)
        self.campaigns.write()
        self._desk.close()
        self._breakers.close()
        self.suspended.close()
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
        if self._desk.is_busy or self.actions.is_busy:
            return True
        return self._settlement.unsettled > 0 or any(pool.size for pool in self._pools.values())

    async def _live(self, trouble: asyncio.Future[None], is_up: asyncio.Future[None]) -> None:
        """Own all tasks until drained or broken; SpoolError."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            watching = [
                tasks.create_task(self._tick()),
                tasks.create_task(self.doubts.watch(self._options.tick_s)),
                tasks.create_task(self._prospecting.watch(self._options.tick_s)),
                tasks.create_task(self.campaigns.watch(self._options.tick_s)),
            ]
            if self._reporting is not None:
                watching.append(tasks.create_task(self._reporting.delays.watch()))
                watching.append(tasks.create_task(self._reporting.suppressing.watch()))
            is_up.set_result(None)
            try:
                await asyncio.wait([trouble])
            finally:
                self._is_draining = self._desk.is_draining = True
                for task in watching:
                    task.cancel()
                for pool in self._pools.values():
                    pool.drain()
                    pool.abort()
        trouble.result()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(self._options.tick_s)
            due = self._queue.due(self._clock.now(), self._options.deferred_slice)
            # What stopped its lane may be over since the mail was deferred.
            for lane in {job.lane for job in due if job.lane.key.stopped}:
                self._relane(lane)
            for lane in list(self._queue.lanes):
                if len(lane):
                    self._pump(lane)
            for pool in list(self._pools.values()):
                pool.check()
                self._outages.note(pool.reach, is_out=pool.is_out)
            self._expiry.tick()
            self.campaigns.tick()
            if self._reporting is not None:
                self._reporting.tick()
            self._sample()

    def _sample(self) -> None:
        depth = self._queue.depth()
        connections = sum(pool.open_connections for pool in self._pools.values())
        oldest_seconds = 0.0 if depth.oldest_at is None else max(0.0, self._clock.now() - depth.oldest_at)
        waiting = (depth.ready, depth.deferred, depth.held)
        self._record(
            trace.QueueDepth(
                *waiting,
                connections,
                oldest_seconds,
                self._desk.throttled,
                len(self._breakers),
                len(self.suspended),
                depth.postponed,
            )
        )

    def _reason(self, lane: Lane) -> str:
        """Why nothing of a lane goes."""
        if lane.key.stopped:
            return self._breakers.reason(lane.key.stopped)
        reasons = dict.fromkeys(pool.reason for pool in self._pools_for(lane))
        return lane.reason or "; ".join(reason for reason in reasons if reason)

    # Hints.

    def take(self, mails: Sequence[Queued]) -> None:
        """Mails a receiver has committed."""
        lanes: dict[Lane, None] = {}
        for mail in mails:
            for job in self._register.enter(mail):
                lanes[job.lane] = None
        for lane in lanes:
            self._pump(lane)

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

    # Trouble of the spool.

    def _set_aside(self, job: Job, error: RecordDamaged) -> None:
        try:
            self._register.set_aside(job.id, "content", str(error))
        except SpoolError as trouble:
            self._break(trouble)
        self._settlement.drop(job)

    def _break(self, error: SpoolError) -> None:
        if self._trouble is not None and not self._trouble.done():
            self._trouble.set_exception(error)
        self._is_draining = self._desk.is_draining = True

    # Pools.

    def _route_named(self, name: str) -> Route:
        # A route that is configured no more keeps its mail: a lane that cannot open says so.
        return self._routes.get(name) or Route(name=name, hosts=())

    def _spills_to(self, route: Route, work: Work) -> Route | None:
        """Which route a mail may take while its own has no room; None: none."""
        head = work.transaction.head
        # The job leaves whole: not only with those of its recipients who are meant in the next transaction.
        leaving = [each.address for each in work.envelope.recipients if each.route == work.job.home]
        return may_spill(self._routes, route, work.envelope, leaving, lambda: author_address(head))

    def _pools_for(self, lane: Lane) -> tuple[Pool, ...]:
        """Those that may send the lane's mail; none where it has stopped."""
        pools = self._pools_of.get(lane)
        if pools is None:
            pools = self._pools_of[lane] = tuple(self._pool(lane.route, login) for login in lane.logins)
            for pool in pools:
                pool.gate.supply.lanes.append(lane)
        return pools

    def _pool(self, route: Route, login: Login | None) -> Pool:
        key = (route.name, login.username.lower() if login else "")
        pool = self._pools.get(key)
        if pool is None:
            assert self._tasks is not None
            tariff = Tariff(route, login, self._limits, self._tenant) if self._has_book else None
            reach = Reach(route, login)
            gate = Gate(
                reach, tariff or None, Supply(), self._record, self._clock, self._later,
                partial(self._gate_opened, key),
            )  # fmt: skip
            self._desk.add(gate)
            options, record, clock, rng = self._options, self._record, self._clock, self._rng
            opener = Opener(route, login, options, record, clock, rng, self._tokens)
            pool = self._pools[key] = Pool(
                gate,
                opener,
                self._desk,
                self._verdicts,
                self._sharing,
                options,
                record,
                clock,
                rng,
                self._later,
                self._tasks,
            )
        return pool

    def _gate_of(self, route: str, identity: str) -> Gate | None:
        pool = self._pools.get((route, identity.lower()))
        return None if pool is None else pool.gate

    def _pump(self, lane: Lane) -> None:
        if self._tasks is not None and not self._is_draining:
            for pool in self._pools_for(lane):
                pool.pump()

    def _pump_all(self) -> None:
        for lane in list(self._queue.lanes):
            self._pump(lane)

    def _pushed(self, job: Job) -> None:
        """A job came back to its lane."""
        self._reopened(job.lane)

    def _reopened(self, lane: Lane) -> None:
        """The lane may have work: let it be taken in the next turn, not in the midst of this one."""
        if self._tasks is not None and not self._is_draining:
            asyncio.get_running_loop().call_soon(self._pump, lane)

    def _gate_opened(self, key: tuple[str, str]) -> None:
        if self._tasks is not None and not self._is_draining:
            asyncio.get_running_loop().call_soon(self._pools[key].pump)

    def _woken(self, key: StopKey) -> None:
        """Something that had stopped may go on."""
        self._desk.woken(key)
        if key.stopped:
            for lane in [lane for lane in self._queue.lanes if lane.key.stopped == key.stopped]:
                self._relane(lane)
        if self._tasks is not None and not self._is_draining:
            asyncio.get_running_loop().call_soon(self._pump_all)

    def _resumed(self, suspension: Suspension) -> None:
        """What somebody had stopped may go on."""
        self._desk.going_on(suspension)
        if self._tasks is not None and not self._is_draining:
            asyncio.get_running_loop().call_soon(self._pump_all)

    def mended(self, concerns: Callable[[StopKey], bool]) -> list[StopKey]:
        """Somebody's word that what has stopped is mended: it is tried at once."""
        found = self._breakers.mended(concerns)
        for pool in self._pools.values():
            if any(map(concerns, pool.reach.keys)):
                pool.try_now()
        if self._tasks is not None and not self._is_draining:
            asyncio.get_running_loop().call_soon(self._pump_all)
        return found

    def _relane(self, lane: Lane) -> None:
        """Its mail goes back to where its senders' mail waits; the rest of it in the next turn."""
        for _ in range(self._options.rebuild_slice):
            job = lane.peek()
            if job is None:
                return
            work = self._desk.read(job, 0)
            if work is None:
                break
            proper = self._queue.lane(lane.key.route, work.envelope.sender)
            if proper is lane:
                return
            lane.take(job)
            proper.push(job)
        if self._tasks is not None and not self._is_draining:
            asyncio.get_running_loop().call_soon(self._relane, lane)


def _whatever(error: SpoolError | None) -> None:
    """What was learnt and is lost is learnt again."""
