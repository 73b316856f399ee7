"""Delays: mail that comes of age without having gone, and the one notice its sender gets.

Ids rise with time, so the mails that pass an age are the next ones of the spool: for each
route a cursor says up to which id everything was looked at. It lies in the spool
(`05 64 <route>`) and moves in the commit that puts a notice there; so a mail is told of once,
over restarts and changes of `delay_after` too, whatever it waits for: the next hop, a limit,
or somebody who mends a login. What is bulk or not to be sent before some time is passed over.
"""

import asyncio
import math
from collections.abc import Callable, Iterable

from relay.budget.row import MAX_KEY_BYTES, REPORT, Row, number, read_number
from relay.clock import Clock
from relay.deliver.reporter import Notice, Reporter
from relay.deliver.settlement import Committer
from relay.errors import RecordDamaged, SpoolError
from relay.message.envelope import Envelope
from relay.message.priority import Priority
from relay.message.queue_id import EPOCH_MS
from relay.route.route import Route
from relay.route.table import RouteTable
from relay.spool.change import Budget, RecipientState, Report, Status
from relay.spool.entry import Damaged, Entry
from relay.spool.handover import Queued
from relay.spool.spool import Spool

INTERVAL_S = 60.0
"""Between two looks: a notice after hours need not be exact to the second."""
SLICE = 500
"""Mails looked at between two turns of the loop, about 5 ms."""
_CURSOR = REPORT + b"d"


class Delays:
    """Of one spool."""

    def __init__(
        self,
        spool: Spool,
        routes: RouteTable,
        delay_after_s: float,
        reporter: Reporter,
        committer: Committer,
        clock: Clock,
        rows: Iterable[tuple[bytes, bytes]],
        born: Callable[[Queued], None],
    ) -> None:
        """`delay_after_s` is for routes that say nothing else; `rows` those of the spool, of whatever kind;
        `born` is told of notices that are in the spool."""
        self._spool = spool
        self._reporter = reporter
        self._committer = committer
        self._clock = clock
        self._born = born
        self._routes: dict[float, list[Route]] = {}
        for route in routes.routes:
            delay_s = delay_after_s if route.delay_after_s is None else route.delay_after_s
            if delay_s:
                self._routes.setdefault(delay_s, []).append(route)
        kept = {key: value for key, value in rows if key.startswith(_CURSOR)}
        self._cursors = {key: _read(kept.get(key)) for key in map(_key, routes.routes)}
        """By the key of their row."""

    async def watch(self) -> None:
        """Look every minute, until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL_S)
            try:
                await self.sweep()
            except SpoolError:
                # Full or failing: the cursor stands where it was, and the committer tells people.
                continue

    async def sweep(self) -> None:
        """Tell of what has come of age since the last time; SpoolError."""
        now = self._clock.now()
        for delay_s, routes in self._routes.items():
            last = (int((now - delay_s) * 1000) - EPOCH_MS) << 22
            first = min(self._cursors[_key(route)] for route in routes)
            if first < last:
                await self._sweep(routes, first, last, now)

    async def _sweep(self, routes: list[Route], after: int, last: int, now: float) -> None:
        while True:
            entries = self._spool.scan(after, SLICE)
            for entry in entries:
                id = entry.id if isinstance(entry, Damaged) else entry.queued.id
                if id > last:
                    break
                # Only to mails that are there: a clock that was years ahead must not silence the years to come.
                after = id
                if isinstance(entry, Entry) and (notice := self._notice(entry, routes, now)) is not None:
                    await self._commit(Report(None, notice.mail, (*notice.rows, *self._move(routes, after))))
            else:
                if len(entries) == SLICE:
                    await asyncio.sleep(0)
                    continue
            break
        if rows := self._move(routes, after):
            await self._commit(Budget(tuple(rows)))

    def _notice(self, entry: Entry, routes: list[Route], now: float) -> Notice | None:
        mail, states = entry.queued, entry.state
        if mail.priority is Priority.BULK or mail.not_before > mail.received_at:
            return None
        due = {
            route.name: until
            for route in routes
            if route.name in mail.routes
            and self._cursors[_key(route)] < mail.id
            and (until := min(mail.received_at + route.expire_s, mail.deadline or math.inf)) > now
        }
        found = self._read(mail.id) if due else None
        if found is None:
            return None
        envelope, head = found
        standing: tuple[RecipientState | None, ...] = states or (None,) * len(envelope.recipients)
        waiting = [
            i
            for i, (recipient, state) in enumerate(zip(envelope.recipients, standing, strict=True))
            if recipient.route in due and (state is None or state.status is Status.QUEUED)
        ]
        if not waiting:
            return None
        until = min(due[envelope.recipients[i].route] for i in waiting)
        return self._reporter.delayed(envelope, head, standing, waiting, until, now)

    def _read(self, id: int) -> tuple[Envelope, bytes] | None:
        try:
            return self._spool.read(id)
        except RecordDamaged:
            # Whoever delivers it moves it aside.
            return None

    def _move(self, routes: list[Route], to: int) -> list[Row]:
        return [(key, number(to)) for key in map(_key, routes) if self._cursors[key] < to]

    async def _commit(self, change: Report | Budget) -> None:
        """Returns when it is durable, and the cursors are where it says; SpoolError."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._committer.submit(change, lambda error: _resolve(future, error))
        await future
        self._cursors |= {key: _read(value) for key, value in change.rows if key in self._cursors}
        if isinstance(change, Report) and change.mail is not None:
            self._born(Queued.of(change.mail.envelope))


def _resolve(future: asyncio.Future[None], error: SpoolError | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)


def _key(route: Route) -> bytes:
    return _CURSOR + route.name.encode()[: MAX_KEY_BYTES - len(_CURSOR)]


def _read(value: bytes | None) -> int:
    """Where a cursor stands; at the beginning when there is none, or none that can be read."""
    try:
        return 0 if value is None else read_number(value)
    except ValueError:
        return 0
