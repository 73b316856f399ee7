"""Group commit: order, failure of a whole batch, and when mail is refused."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event as Gate

import pytest

from relay.errors import SpoolBroken, SpoolError, SpoolFull
from relay.spool.change import Abandon, Change, Remove, Stream
from relay.spool.commit import Committer
from relay.spool.memory import MemoryStore
from relay.spool.options import MIB
from relay.spool.prepared import Prepared
from relay.spool.store import Store
from relay.trace.event import Committed, Event, SpoolAccepting, SpoolRefusing, SpoolTrouble
from tests.fakes.clock import FakeClock
from tests.spool.sample import accept, options


class Disk(MemoryStore):
    """A spool whose commits wait for their turn to write and then at a gate, and fail when told to."""

    def __init__(self, floor: int = 0) -> None:
        super().__init__(options(Path("/nowhere"), floor=floor))
        self.turn, self.gate = Gate(), Gate()
        self.turn.set()
        self.gate.set()
        self.failure: Exception | None = None
        self.batches: list[list[int]] = []

    def commit(
        self,
        batch: Sequence[Prepared],
        on_written: Callable[[], None] = lambda: None,
        late: Callable[[], Sequence[Prepared]] = tuple,
    ) -> None:
        assert self.turn.wait(10)
        whole = [*batch, *late()]
        assert self.gate.wait(10)
        if self.failure is not None:
            raise self.failure
        super().commit(whole, on_written)
        self.batches.append([prepared.id for prepared in whole])


class Bench:
    """A committer on a fake disk, with what it recorded and answered."""

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self.clock = FakeClock()
        self.events: list[Event] = []
        self.answers: list[tuple[int, SpoolError | None]] = []
        self.broken: list[str] = []
        self.submitted = -1
        loop = asyncio.get_running_loop()
        self.committer = Committer(disk, loop, self.events.append, self.clock, self.broken.append)

    def submit(self, *changes: Change) -> None:
        """Each is answered under its place in the order of all submissions."""
        for change in changes:
            self.submitted += 1
            self.committer.submit(change, self._answer(self.submitted))

    def _answer(self, number: int) -> Callable[[SpoolError | None], None]:
        return lambda error: self.answers.append((number, error))

    async def errors(self) -> list[SpoolError | None]:
        """What became of all that was submitted; the answers came in order."""
        await self.until(lambda: len(self.answers) > self.submitted)
        assert [number for number, _ in self.answers] == list(range(self.submitted + 1))
        return [error for _, error in self.answers]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110 - what is waited for happens in a thread
                await asyncio.sleep(0.001)

    def kinds(self) -> list[type[Event]]:
        return [type(event) for event in self.events if not isinstance(event, Committed)]


def with_bench(test: Callable[[Bench], Coroutine[None, None, None]]) -> Callable[[], None]:
    """Run a test in a loop, with a bench that is closed after it."""

    async def run() -> None:
        bench = Bench(Disk())
        await test(bench)
        bench.disk.gate.set()
        await bench.committer.close()

    def sync() -> None:
        asyncio.run(run())

    sync.__name__ = test.__name__
    return sync


@with_bench
async def test_what_gathers_during_a_commit_is_committed_together(bench: Bench) -> None:
    bench.disk.gate.clear()
    bench.submit(accept(1))
    await bench.until(lambda: bench.committer._began is not None)
    bench.submit(*(accept(id) for id in range(2, 102)))
    assert bench.committer.waiting_bytes > 0
    bench.disk.gate.set()
    assert await bench.errors() == [None] * 101
    assert bench.disk.batches == [[1], list(range(2, 102))]
    assert bench.committer.waiting_bytes == 0
    assert [event.changes for event in bench.events if isinstance(event, Committed)] == [1, 100]


@with_bench
async def test_what_comes_while_another_process_commits_goes_into_this_commit(bench: Bench) -> None:
    bench.disk.turn.clear()
    bench.submit(accept(1))
    await bench.until(lambda: bench.committer._began is not None)
    bench.submit(*(accept(id) for id in range(2, 12)))
    bench.disk.turn.set()
    assert await bench.errors() == [None] * 11
    assert bench.disk.batches == [list(range(1, 12))]
    assert bench.committer.waiting_bytes == 0


@with_bench
async def test_what_joined_a_commit_fails_with_it(bench: Bench) -> None:
    bench.disk.turn.clear()
    bench.disk.failure = SpoolError("the disk said no")
    bench.submit(accept(1))
    await bench.until(lambda: bench.committer._began is not None)
    bench.submit(accept(2), accept(3))
    bench.disk.turn.set()
    assert [str(error) for error in await bench.errors()] == ["the disk said no"] * 3
    assert not bench.disk.envelope_rows


@with_bench
async def test_with_a_pause_what_gathers_in_it_is_committed_together(bench: Bench) -> None:
    loop = asyncio.get_running_loop()
    answers: list[SpoolError | None] = []
    slow = Committer(bench.disk, loop, bench.events.append, bench.clock, pause_s=0.2)
    slow.submit(accept(1), answers.append)
    await asyncio.sleep(0.01)
    slow.submit(accept(2), answers.append)
    await slow.close()
    assert answers == [None, None]
    assert bench.disk.batches == [[1, 2]]


@with_bench
async def test_nothing_is_answered_before_its_commit(bench: Bench) -> None:
    bench.disk.gate.clear()
    bench.submit(accept(1), accept(2))
    await asyncio.sleep(0.02)
    assert bench.answers == []
    bench.disk.gate.set()
    assert await bench.errors() == [None, None]


@with_bench
async def test_a_batch_is_bounded_in_changes_and_bytes(bench: Bench) -> None:
    bench.disk.options = replace(bench.disk.options, max_batch_bytes=1000, max_batch_changes=5)
    await bench.committer.close()
    bench = Bench(bench.disk)
    bench.disk.gate.clear()
    bench.submit(accept(1))
    await bench.until(lambda: bench.committer._began is not None)
    bench.submit(*(accept(id) for id in range(2, 10)), accept(10, b"x" * 2000), accept(11))
    bench.disk.gate.set()
    await bench.errors()
    assert bench.disk.batches == [[1], [2, 3, 4, 5, 6], [7, 8, 9, 10], [11]]
    await bench.committer.close()


@with_bench
async def test_a_failed_commit_fails_every_change_in_it_and_the_next_may_succeed(bench: Bench) -> None:
    bench.disk.failure = SpoolError("input/output error")
    bench.submit(accept(1), accept(2))
    assert [str(error) for error in await bench.errors()] == ["input/output error"] * 2
    assert bench.disk.scan() == []
    assert bench.kinds() == [SpoolTrouble]
    assert bench.committer.refusing is None
    bench.disk.failure = None
    bench.submit(accept(3))
    assert (await bench.errors())[2:] == [None]


@with_bench
async def test_an_exception_in_one_callback_loses_no_other(bench: Bench) -> None:
    problems: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: problems.append(context["exception"]))

    def fail(error: SpoolError | None) -> None:
        raise ZeroDivisionError

    bench.committer.submit(accept(1), fail)
    bench.submit(accept(2))
    assert await bench.errors() == [None]
    assert [type(problem) for problem in problems] == [ZeroDivisionError]


@with_bench
async def test_when_full_new_mail_fails_and_removals_go_on(bench: Bench) -> None:
    bench.submit(accept(1))
    await bench.errors()
    bench.disk.capacity_bytes = 0
    bench.disk.gate.clear()
    bench.submit(Remove(99, 1))
    await bench.until(lambda: bench.committer._began is not None)
    bench.submit(accept(2), Remove(1, 1), accept(3))
    bench.disk.gate.set()
    errors = await bench.errors()
    assert [type(error) for error in errors[2:]] == [SpoolFull, type(None), SpoolFull]
    assert bench.disk.count() == 0
    assert bench.committer.refusing is not None
    assert bench.kinds() == [SpoolRefusing, SpoolTrouble]


@with_bench
async def test_accepting_resumes_by_itself_when_there_is_room(bench: Bench) -> None:
    bench.disk.capacity_bytes = 0
    bench.submit(accept(1))
    assert isinstance((await bench.errors())[0], SpoolFull)
    bench.disk.capacity_bytes = MIB
    bench.clock.advance(4.9)
    await asyncio.sleep(0.1)
    assert bench.committer.refusing is not None
    bench.clock.advance(0.2)
    await bench.until(lambda: bench.committer.refusing is None)
    bench.submit(accept(2))
    assert (await bench.errors())[1] is None
    assert bench.kinds() == [SpoolRefusing, SpoolTrouble, SpoolAccepting]


@with_bench
async def test_new_mail_is_refused_below_the_floor_and_taken_above_it_again(bench: Bench) -> None:
    await bench.committer.close()
    disk = Disk(floor=4 * MIB)
    disk.capacity_bytes = 3 * MIB
    bench = Bench(disk)
    await bench.until(lambda: bench.committer.refusing is not None)
    assert "3 MiB are free" in (bench.committer.refusing or "")
    bench.submit(accept(1))
    assert isinstance((await bench.errors())[0], SpoolFull)
    assert disk.batches == []
    disk.capacity_bytes = 4 * MIB + 100
    bench.clock.advance(1)
    await asyncio.sleep(0.1)
    assert bench.committer.refusing is not None, "the floor is passed by less than a quarter"
    disk.capacity_bytes = 5 * MIB
    bench.clock.advance(1)
    await bench.until(lambda: bench.committer.refusing is None)
    bench.submit(accept(2))
    assert (await bench.errors())[1] is None
    await bench.committer.close()


@with_bench
async def test_a_mail_that_lost_a_record_is_not_accepted(bench: Bench) -> None:
    bench.disk.failure = SpoolError("input/output error")
    bench.submit(Stream(1, 1, b"lost"))
    await bench.errors()
    bench.disk.failure = None
    bench.submit(Stream(1, 2, b"kept"), accept(1, chunks=3), accept(2))
    errors = await bench.errors()
    assert [type(error) for error in errors[1:]] == [SpoolError, SpoolError, type(None)]
    bench.submit(Abandon(1, 2))
    assert (await bench.errors())[-1] is None
    assert bench.disk.read(1) is None and bench.disk.read(2) is not None
    assert bench.committer._doomed == set()


@with_bench
async def test_too_much_waiting_refuses_new_mail_until_half_of_it_is_done(bench: Bench) -> None:
    bench.disk.options = replace(bench.disk.options, max_waiting_bytes=10_000)
    bench.committer._options = bench.disk.options
    bench.disk.gate.clear()
    bench.submit(accept(1, b"x" * 9000))
    assert bench.committer.refusing is None
    bench.submit(accept(2, b"x" * 9000))
    assert "wait for the disk" in (bench.committer.refusing or "")
    bench.disk.gate.set()
    await bench.errors()
    assert bench.committer.refusing is None
    assert bench.kinds() == [SpoolRefusing, SpoolAccepting]


@with_bench
async def test_a_commit_that_hangs_refuses_new_mail_until_it_ends(bench: Bench) -> None:
    bench.disk.gate.clear()
    bench.submit(accept(1))
    await bench.until(lambda: bench.committer._began is not None)
    bench.clock.advance(10.1)
    await bench.until(lambda: bench.committer.refusing is not None)
    bench.disk.gate.set()
    assert await bench.errors() == [None]
    assert bench.committer.refusing is None
    assert bench.kinds() == [SpoolRefusing, SpoolAccepting]


@pytest.mark.parametrize("failure", [SpoolBroken("gone"), ZeroDivisionError("a fault of ours")])
def test_a_broken_spool_is_told_once_and_takes_nothing_more(failure: Exception) -> None:
    @with_bench
    async def test(bench: Bench) -> None:
        bench.disk.failure = failure
        bench.submit(accept(1))
        assert isinstance((await bench.errors())[0], SpoolBroken)
        bench.disk.failure = None
        bench.submit(accept(2))
        assert isinstance((await bench.errors())[1], SpoolBroken)
        assert len(bench.broken) == 1 and bench.committer.refusing == bench.broken[0]
        assert bench.disk.batches == []

    test()


@with_bench
async def test_close_commits_what_waits(bench: Bench) -> None:
    bench.submit(*(accept(id) for id in range(1, 2000)))
    await bench.committer.close()
    assert await bench.errors() == [None] * 1999
    assert bench.disk.count() == 1999


@with_bench
async def test_a_change_after_close_is_told_so(bench: Bench) -> None:
    await bench.committer.close()
    bench.submit(accept(1))
    assert [str(error) for error in await bench.errors()] == ["the spool is closed"]


def test_two_committers_on_one_store_take_turns(tmp_path: Path) -> None:
    async def run() -> None:
        store, loop, left = Store.open(options(tmp_path / "spool")), asyncio.get_running_loop(), 600
        adding, removing = (Committer(store, loop, lambda _: None, FakeClock()) for _ in range(2))
        over = loop.create_future()

        def removed(error: SpoolError | None) -> None:
            nonlocal left
            assert error is None
            left -= 1
            if left == 0:
                over.set_result(None)

        def accepted(id: int) -> Callable[[SpoolError | None], None]:
            return lambda error: removing.submit(Remove(id, 1), removed)

        for id in range(1, 601):
            adding.submit(accept(id), accepted(id))
        await asyncio.wait_for(over, 30)
        await adding.close()
        await removing.close()
        assert store.count() == 0
        store.close()

    asyncio.run(run())
