"""Group commit: order, failure of a whole batch, and when mail is refused."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Event as Gate

from relay.clock import SystemClock
from relay.errors import SpoolBroken, SpoolError, SpoolFull
from relay.spool.change import Abandon, Change, Remove, Stream
from relay.spool.commit import Committer
from relay.spool.memory import MemoryStore
from relay.spool.prepared import Prepared
from relay.trace.event import Committed, Event, SpoolAccepting, SpoolRefusing, SpoolTrouble
from tests.fakes.clock import FakeClock
from tests.spool.sample import accept, options


class Disk(MemoryStore):
    """A spool whose commits wait at a gate, and fail when told to."""

    def __init__(self, floor: int = 0) -> None:
        super().__init__(options(Path("/nowhere"), floor=floor))
        self.gate = Gate()
        self.gate.set()
        self.failure: Exception | None = None
        self.batches: list[list[int]] = []

    def commit(self, batch: Sequence[Prepared]) -> None:
        assert self.gate.wait(10)
        if self.failure is not None:
            raise self.failure
        super().commit(batch)
        self.batches.append([prepared.id for prepared in batch])


class Bench:
    """A committer on a fake disk, with what it recorded and answered."""

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self.clock = FakeClock()
        self.events: list[Event] = []
        self.answers: list[tuple[int, SpoolError | None]] = []
        self.broken: list[str] = []
        loop = asyncio.get_running_loop()
        self.committer = Committer(disk, loop, self.events.append, self.clock, self.broken.append)

    def submit(self, change: Change, number: int) -> None:
        self.committer.submit(change, lambda error: self.answers.append((number, error)))

    async def answered(self, count: int) -> list[SpoolError | None]:
        """The errors of the first `count` answers."""
        await self.until(lambda: len(self.answers) >= count)
        return [error for _, error in self.answers]

    async def until(self, condition: "Condition") -> None:
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.002)


class Condition:
    def __call__(self) -> bool: ...
