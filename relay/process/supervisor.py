"""The supervisor: keeps receivers, the deliverer, webhooks and the console alive; touches no mail.

    starting ── all children ready ──► ready ── SIGTERM, SIGINT ──► draining ──► ended
                                        │  ▲
                                 SIGHUP ▼  │ all replaced, or the old ones kept
                                      reloading

Draining goes with the mail: receivers first, and webhooks with them, then the deliverer,
then the console. A second signal ends everything at once; what was acknowledged is in the spool.
"""

import asyncio
import signal
import traceback
from collections.abc import Callable
from pathlib import Path

from relay.clock import Clock
from relay.config.configuration import Configuration
from relay.config.problem import InvalidConfiguration
from relay.errors import ConfigurationError
from relay.process.exits import GIVE_UP, Exit
from relay.process.listen import CannotListen
from relay.process.notify import Notifier
from relay.process.plan import Plan, Sockets
from relay.process.seat import Seat, wait_ready
from relay.trace import snapshot
from relay.trace.event import ConfigurationRead, ConfigurationRefused, Draining, ProcessFailed, Ready, Record
from relay.trace.tally import Counts

TICK_S = 1.0
ROLE = "supervisor"
DELIVERER_SHARE = 0.25
"""Of the drain's time, kept for the deliverer: receivers that take all of theirs must not use up its."""
READY_WITHIN_S = 60.0
"""For new children of a reload. The old ones serve meanwhile, so waiting costs nothing."""

Reread = Callable[[Path], Configuration]


class Supervisor:
    """`run` is the relay's life."""

    def __init__(
        self,
        configuration: Configuration,
        sockets: Sockets,
        reread: Reread,
        record: Record,
        counts: Counts,
        clock: Clock,
        notifier: Notifier,
        in_force: Callable[[Configuration], None],
    ) -> None:
        """`sockets` are bound already; `reread` reads the configuration anew, or raises InvalidConfiguration.

        `in_force` is told of each configuration that has come into force by a reload.
        """
        self._configuration = configuration
        self._sockets = sockets
        self._reread = reread
        self._record = record
        self._counts = counts
        self._clock = clock
        self._notifier = notifier
        self._in_force = in_force
        self._receivers: list[Seat] = []
        self._deliverer: list[Seat] = []
        self._console: list[Seat] = []
        self._webhooks: list[Seat] = []
        self._was_ready = False
        self._signals = 0
        self._end: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        self._reload_wanted = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None

    async def run(self) -> Exit:
        """Start everything, keep it alive, drain it; the exit status."""
        loop = asyncio.get_running_loop()
        snapshot.clear(self._configuration.relay.run)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_end_signal)
        loop.add_signal_handler(signal.SIGHUP, self._reload_wanted.set)
        self._tick()
        plan = self._plan(self._configuration)
        self._receivers, self._deliverer, self._console = plan.receivers(), plan.deliverer(), plan.console()
        self._webhooks = plan.webhooks()
        for seat in self._seats():
            seat.fill()
        living = asyncio.create_task(self._live())
        await asyncio.wait((self._end, living), return_when=asyncio.FIRST_COMPLETED)
        living.cancel()
        await asyncio.gather(living, return_exceptions=True)
        if self._end.done():
            return await self._drain(self._end.result())
        trail = "".join(traceback.format_exception(living.exception()))
        self._record(ProcessFailed(role=ROLE, reason=trail))
        return await self._drain(Exit.SOFTWARE)

    async def _live(self) -> None:
        for seat in self._seats():
            await seat.ready.wait()
        self._was_ready = True
        self._say_ready()
        while True:
            await self._reload_wanted.wait()
            self._reload_wanted.clear()
            self._notifier.reloading()
            await self._reload()
            self._say_ready()

    def _say_ready(self) -> None:
        names = self._sockets.names(self._configuration)
        self._record(Ready(listeners=names))
        self._notifier.ready(f"Accepting mail on {', '.join(names)}")

    async def _reload(self) -> None:
        """Replace the children by ones with the new configuration; clients and mail notice nothing."""
        path = self._configuration.path
        try:
            new = self._reread(path)
            _check_unchanged(self._configuration, new)
            self._sockets.bind(new)
        except InvalidConfiguration as error:
            self._record(ConfigurationRefused(path=str(path), problems=error.problems))
            return
        except (ConfigurationError, CannotListen) as error:
            self._record(ConfigurationRefused(path=str(path), problems=(str(error),)))
            return
        fresh = self._plan(new).receivers()
        self._receivers += fresh
        for seat in fresh:
            seat.fill()
        if not await wait_ready(fresh, READY_WITHIN_S):
            await self._dismiss(fresh, 0.0)
            self._sockets.keep(self._configuration)
            problem = "new receivers did not become ready; the log says why"
            self._record(ConfigurationRefused(path=str(path), problems=(problem,)))
            return
        self._configuration = new
        await self._dismiss([seat for seat in self._receivers if seat not in fresh], new.relay.drain_s)
        await self._replace_others(new)
        self._sockets.keep(new)
        self._record(ConfigurationRead(path=str(path), warnings=new.warnings))
        self._in_force(new)

    async def _replace_others(self, new: Configuration) -> None:
        """One spool has one deliverer, so the old one ends first; mail waits in the spool for a moment."""
        plan = self._plan(new)
        others = [*self._deliverer, *self._console, *self._webhooks]
        await self._dismiss(others, new.relay.drain_s)
        self._deliverer, self._console, self._webhooks = plan.deliverer(), plan.console(), plan.webhooks()
        others = [*self._deliverer, *self._console, *self._webhooks]
        for seat in others:
            seat.fill()
        await wait_ready(others, READY_WITHIN_S)

    async def _dismiss(self, seats: list[Seat], within_s: float) -> bool:
        """Drain these, all at once; False when one had to be killed or failed."""
        ends = await asyncio.gather(*(seat.stop(within_s) for seat in seats))
        self._receivers = [seat for seat in self._receivers if seat not in seats]
        return all(ends)

    async def _drain(self, status: Exit) -> Exit:
        self._record(Draining(role=ROLE))
        self._notifier.stopping()
        # Nobody new: the kernel refuses what knocks from now on.
        self._sockets.close()
        drain_s = self._configuration.relay.drain_s
        ends_at = self._clock.monotonic() + drain_s
        # What the deliverer does last is told after the next start.
        is_clean = await self._dismiss([*self._receivers, *self._webhooks], drain_s * (1 - DELIVERER_SHARE))
        for seats in (self._deliverer, self._console):
            is_clean &= await self._dismiss(seats, max(ends_at - self._clock.monotonic(), 1.0))
        if self._timer is not None:
            self._timer.cancel()
        return status if is_clean or status is not Exit.OK else Exit.FOUND

    def _on_end_signal(self) -> None:
        self._signals += 1
        if not self._end.done():
            self._end.set_result(Exit.OK)
        elif self._signals > 1:
            for seat in self._seats():
                seat.kill()

    def _on_child_end(self, seat: Seat, pid: int, status: int) -> None:
        snapshot.retire(self._configuration.relay.run, pid)
        if not self._was_ready and status in GIVE_UP and not self._end.done():
            self._record(
                ProcessFailed(role=ROLE, reason=f"{seat.role} cannot begin; the line before says why")
            )
            self._end.set_result(Exit(status))

    def _tick(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(TICK_S, self._tick)
        for seat in self._seats():
            seat.kill_if_hung()
        snapshot.write(self._configuration.relay.run, ROLE, self._counts)
        self._notifier.watchdog()

    def _plan(self, configuration: Configuration) -> Plan:
        return Plan(configuration, self._sockets, self._record, self._clock, self._on_child_end)

    def _seats(self) -> tuple[Seat, ...]:
        return (*self._receivers, *self._deliverer, *self._console, *self._webhooks)


def _check_unchanged(old: Configuration, new: Configuration) -> None:
    """What children of the old and the new configuration share while they overlap."""
    for key, before, after in (
        ("spool.path", old.spool.path, new.spool.path),
        ("spool.map_size", old.spool.map_size_bytes, new.spool.map_size_bytes),
        ("relay.run", old.relay.run, new.relay.run),
    ):
        if before != after:
            raise ConfigurationError(f"{key}: changed from {before} to {after}, which takes a restart")
    if old.spool.keys != new.spool.keys:
        raise ConfigurationError("spool.key_file: holds other keys now, which takes a restart")
    if old.audit != new.audit:
        raise ConfigurationError("audit: was changed (the path, the key, a bound), which takes a restart")
