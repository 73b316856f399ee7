"""A seat and its children, which here are one-line programs."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from relay.clock import SystemClock
from relay.process import seat as seats
from relay.process.child import HUNG_AFTER_S, Child
from relay.process.seat import Seat, wait_ready
from relay.trace.event import Event, ProcessEnded, Waiting
from tests.fakes.clock import FakeClock

TELL = "import os, sys, time\nos.write(0, b'r')\n"


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Makes a module of that text, which children can import."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def write(text: str) -> str:
        (tmp_path / "program.py").write_text(text)
        return "program"

    return write


class Watch:
    """A seat, and what was recorded of it."""

    def __init__(self, module: str, clock: FakeClock | SystemClock | None = None) -> None:
        self.events: list[Event] = []
        self.ends: list[tuple[int, int]] = []
        clock = clock or SystemClock()

        def start(on_ready: Callable[[], None]) -> Child:
            return Child("role", module, b"{}", (), (), clock, on_ready)

        self.seat = Seat(
            "role", start, self.events.append, clock, lambda _, pid, status: self.ends.append((pid, status))
        )

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not is_so():  # noqa: ASYNC110 (a process ends when it ends)
                await asyncio.sleep(0.01)

    def pauses(self) -> list[float]:
        return [event.restart_in for event in self.events if isinstance(event, ProcessEnded)]


def test_pauses_grow_while_children_do_not_last(
    program: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seats, "BACKOFF_MAX_S", 0.3)

    async def run() -> None:
        watch = Watch(program("raise SystemExit(3)"))
        watch.seat.fill()
        await watch.until(lambda: len(watch.ends) == 4)
        watch.seat.kill()
        assert watch.pauses() == [0.1, 0.2, 0.3, 0.3]
        assert [status for _, status in watch.ends] == [3] * 4

    asyncio.run(run())


def test_a_child_that_lasted_is_replaced_at_once(program: Callable[[str], str]) -> None:
    async def run() -> None:
        clock = FakeClock()
        watch = Watch(program("raise SystemExit(3)"), clock)
        watch.seat.fill()
        await watch.until(lambda: len(watch.ends) == 2)
        await watch.until(lambda: watch.seat.child is not None)
        clock.advance(seats.HEALTHY_AFTER_S)
        await watch.until(lambda: len(watch.ends) == 3)
        watch.seat.kill()
        assert watch.pauses()[:3] == [0.1, 0.2, 0.1]

    asyncio.run(run())


def test_a_child_says_when_it_is_ready_and_drains(program: Callable[[str], str]) -> None:
    async def run() -> None:
        ends = "import signal\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
        watch = Watch(program("import sys\n" + ends + TELL + "time.sleep(60)"))
        watch.seat.fill()
        assert await wait_ready([watch.seat], 20)
        assert await watch.seat.stop(20)
        assert watch.pauses() == [-1.0]

    asyncio.run(run())


def test_a_child_that_is_stopped_before_it_is_ready_has_ended_well(program: Callable[[str], str]) -> None:
    """It knows of no signal yet, as while its interpreter starts, and had nothing in hand that could be cut short."""

    async def run() -> None:
        watch = Watch(program("import time\ntime.sleep(60)"))
        watch.seat.fill()
        assert await watch.seat.stop(20)
        await watch.until(lambda: bool(watch.ends))
        assert watch.ends[0][1] == -15
        (ended,) = [event for event in watch.events if isinstance(event, ProcessEnded)]
        assert ended.level == "info"

    asyncio.run(run())


def test_a_child_that_was_ready_and_knows_no_signal_was_cut_short(program: Callable[[str], str]) -> None:
    async def run() -> None:
        watch = Watch(program(TELL + "time.sleep(60)"))
        watch.seat.fill()
        assert await wait_ready([watch.seat], 20)
        assert not await watch.seat.stop(20)
        await watch.until(lambda: bool(watch.ends))
        (ended,) = [event for event in watch.events if isinstance(event, ProcessEnded)]
        assert ended.level == "warning"

    asyncio.run(run())


def test_a_child_that_does_not_drain_is_killed(program: Callable[[str], str]) -> None:
    async def run() -> None:
        deaf = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        watch = Watch(program(deaf + TELL + "time.sleep(60)"))
        watch.seat.fill()
        assert await wait_ready([watch.seat], 20)
        assert not await watch.seat.stop(0.05)
        await watch.until(lambda: bool(watch.ends))
        assert watch.ends[0][1] == -9

    asyncio.run(run())


def test_a_child_that_is_never_ready_is_not_waited_for_for_ever(program: Callable[[str], str]) -> None:
    async def run() -> None:
        watch = Watch(program("import time\ntime.sleep(60)"))
        watch.seat.fill()
        assert not await wait_ready([watch.seat], 0.05)
        watch.seat.kill()
        await watch.until(lambda: bool(watch.ends))

    asyncio.run(run())


def test_a_silent_child_is_killed_and_replaced(program: Callable[[str], str]) -> None:
    async def run() -> None:
        clock = FakeClock()
        watch = Watch(program(TELL + "time.sleep(60)"), clock)
        watch.seat.fill()
        assert await wait_ready([watch.seat], 20)
        clock.advance(HUNG_AFTER_S - 1)
        watch.seat.kill_if_hung()
        assert watch.seat.child is not None and not watch.seat.child.ended.done()
        clock.advance(2)
        watch.seat.kill_if_hung()
        await watch.until(lambda: len(watch.ends) == 1 and watch.seat.child is not None)
        watch.seat.kill()
        await watch.until(lambda: len(watch.ends) == 2)

    asyncio.run(run())


def test_a_machine_without_room_is_asked_again(
    program: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        watch = Watch(program(TELL + "time.sleep(60)"))
        with monkeypatch.context() as patched:
            patched.setattr(sys, "executable", "/nonexistent/python")
            watch.seat.fill()
        assert isinstance(watch.events[0], Waiting)
        assert await wait_ready([watch.seat], 20)
        watch.seat.kill()
        await watch.until(lambda: bool(watch.ends))

    asyncio.run(run())
