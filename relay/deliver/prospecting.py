"""Prospecting: once a second it is foreseen for another lane and priority when mail that comes now would leave.

Receivers tell it to those whose mail has a deadline (`relay.receive.late`). Where several
clients or campaigns take turns, the mail that comes is taken for one of them, and not for
the last of all; where one has a lane for itself, the mail that comes is behind all of his.
So what is told errs to the early side: who hears that his mail will be late can be sure.
"""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from zoneinfo import ZoneInfo

from msgspec import structs

from relay.clock import Clock
from relay.deliver.outlook import Outlook
from relay.deliver.slices import in_slices
from relay.message.priority import Priority
from relay.queue.forecast import foreseeing
from relay.queue.lane import Lane
from relay.queue.party import NEW
from relay.queue.situation import Kind
from relay.spool import prospect
from relay.spool.prospect import PROSPECTS_MAX, Key, Prospect, Prospects

EVERY_S = 1.0
NOTABLE_S = 5.0
"""Less is no wait: a session may have to be opened first."""


class Prospecting:
    """Of one process."""

    def __init__(
        self, path: Path, lanes: Callable[[], Iterable[Lane]], outlook: Outlook, clock: Clock
    ) -> None:
        self._path = path
        self._lanes = lanes
        self._outlook = outlook
        self._clock = clock
        self._turns: list[tuple[Lane, Priority]] = []
        self._found: dict[Key, float] = {}
        self._look_at = 0.0
        self._is_told = True
        """The file says something; so does one that an earlier process has left, perhaps."""

    async def watch(self, tick_s: float) -> None:
        """Foresee one and tell all, once a second, for ever; what is long gives way to mail."""
        while True:
            await asyncio.sleep(tick_s)
            now = self._clock.monotonic()
            if now >= self._look_at:
                self._look_at = now + EVERY_S
                await self._look()
                self._tell()

    def _tell(self) -> None:
        if self._found or self._is_told:
            each = tuple(Prospect(key, leaves_at) for key, leaves_at in self._found.items())
            prospect.write(self._path, Prospects(self._clock.now(), each))
            self._is_told = bool(each)

    async def _look(self) -> None:
        if not self._turns:
            open_lanes = [lane for lane in self._lanes() if lane.logins]
            turns = [(lane, priority) for lane in open_lanes for priority in Priority][:PROSPECTS_MAX]
            self._turns = turns[::-1]
            keys = {_key(*turn) for turn in turns}
            self._found = {key: at for key, at in self._found.items() if key in keys}
        if self._turns:
            lane, priority = self._turns.pop()
            leaves_at = await self._foreseen(lane, priority)
            if leaves_at is None or leaves_at < self._clock.now() + NOTABLE_S:
                self._found.pop(_key(lane, priority), None)
            else:
                self._found[_key(lane, priority)] = leaves_at

    async def _foreseen(self, lane: Lane, priority: Priority) -> float | None:
        situation, errand = self._outlook.of_lane(lane, priority, *whose(lane, priority))
        kind = Kind(1.0, self._outlook.external(lane))
        steps = foreseeing(situation, structs.replace(errand, kind=kind), ZoneInfo)
        told = await in_slices(steps, self._clock.monotonic)
        return None if told.first_s is None else situation.at + told.first_s


def whose(lane: Lane, priority: Priority) -> tuple[str, str]:
    """The client and campaign for whose a mail that comes now is taken."""
    client = lane.only_client(priority)
    if client is None:
        return NEW, ""
    parties = lane.parties(priority, client)
    return client, parties[0].campaign if len(parties) == 1 else NEW


def _key(lane: Lane, priority: Priority) -> Key:
    return lane.key.route, lane.key.identities, int(priority)
