"""The handover: hints leave in batches, and what could not leave is asked for by a scan."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from relay.receive.handover import Handover
from relay.spool.handover import Frame, FrameReader, Hello, Queued
from tests.fakes.clock import FakeClock
from tests.receive.harness import run, until


def mail(number: int) -> Queued:
    return Queued((10**9 + number) << 22, 0.0, 100, 1, ("smarthost",))


class Deliverer:
    """The other end: reads frames, or does not."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.reading = asyncio.Event()
        self.reading.set()
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        frames = FrameReader()
        self.writers.append(writer)
        while True:
            await self.reading.wait()
            data = await reader.read(65536)
            if not data:
                break
            self.frames.extend(frames.feed(data))
        writer.close()

    @property
    def ids(self) -> list[int]:
        return [queued.id for frame in self.frames if isinstance(frame, list) for queued in frame]

    @property
    def hellos(self) -> list[Hello]:
        return [frame for frame in self.frames if isinstance(frame, Hello)]


@asynccontextmanager
async def listening(path: Path, deliverer: Deliverer) -> AsyncIterator[None]:
    server = await asyncio.start_unix_server(deliverer.serve, str(path), limit=4096)
    try:
        yield
    finally:
        server.close()
        for writer in deliverer.writers:
            writer.close()
        path.unlink(missing_ok=True)  # noqa: ASYNC240  a local file, in a test
        await asyncio.sleep(0)


@asynccontextmanager
async def handing_over(path: Path, backlog_bytes: int = 1 << 20) -> AsyncIterator[Handover]:
    handover = Handover(path, 3, FakeClock(), open_mails_s=60, backlog_bytes=backlog_bytes)
    await handover.start()
    try:
        yield handover
    finally:
        await handover.close()


def test_hints_of_one_turn_leave_as_one_frame(tmp_path: Path) -> None:
    async def main() -> None:
        deliverer = Deliverer()
        async with listening(tmp_path / "s", deliverer), handing_over(tmp_path / "s") as handover:
            await until(lambda: handover.is_connected)
            for number in range(100):
                handover.announce(mail(number))
            await until(lambda: len(deliverer.ids) == 100)
            assert deliverer.ids == [mail(number).id for number in range(100)]
            assert len(deliverer.frames) == 2
            (hello,) = deliverer.hellos
            assert hello.slot == 3 and hello.first_id > 0

    run(main)


def test_hints_without_a_deliverer_are_asked_for_when_it_comes(tmp_path: Path) -> None:
    async def main() -> None:
        deliverer = Deliverer()
        async with handing_over(tmp_path / "s") as handover:
            for number in (7, 5, 9):
                handover.announce(mail(number))
            await asyncio.sleep(0.1)
            async with listening(tmp_path / "s", deliverer):
                await until(lambda: bool(deliverer.hellos))
                (hello,) = deliverer.hellos
                assert hello.first_id <= mail(5).id
                handover.announce(mail(10))
                await until(lambda: deliverer.ids == [mail(10).id])

    run(main)


def test_it_finds_a_deliverer_that_starts_again(tmp_path: Path) -> None:
    async def main() -> None:
        first, second = Deliverer(), Deliverer()
        async with handing_over(tmp_path / "s") as handover:
            async with listening(tmp_path / "s", first):
                await until(lambda: handover.is_connected)
            await until(lambda: not handover.is_connected)
            handover.announce(mail(1))
            async with listening(tmp_path / "s", second):
                await until(lambda: bool(second.hellos))
                assert second.hellos[0].first_id <= mail(1).id

    run(main)


def test_a_deliverer_that_does_not_read_costs_no_more_than_the_backlog(tmp_path: Path) -> None:
    async def main() -> None:
        deliverer = Deliverer()
        async with listening(tmp_path / "s", deliverer), handing_over(tmp_path / "s", 10_000) as handover:
            await until(lambda: bool(deliverer.hellos))
            deliverer.reading.clear()
            handover.announce(mail(0))
            for start in range(1, 200_000, 1000):
                for number in range(start, start + 1000):
                    handover.announce(mail(number))
                await asyncio.sleep(0)
            deliverer.reading.set()
            await until(lambda: len(deliverer.hellos) == 2)
            seen = set(deliverer.ids)
            missing = [number for number in range(200_000) if mail(number).id not in seen]
            assert missing, "the test did not fill the backlog"
            assert deliverer.hellos[1].first_id <= mail(missing[0]).id

    run(main)


def test_what_waits_is_sent_at_the_end(tmp_path: Path) -> None:
    async def main() -> None:
        deliverer = Deliverer()
        async with listening(tmp_path / "s", deliverer):
            async with handing_over(tmp_path / "s") as handover:
                await until(lambda: handover.is_connected)
                handover.announce(mail(1))
            await until(lambda: deliverer.ids == [mail(1).id])

    run(main)
