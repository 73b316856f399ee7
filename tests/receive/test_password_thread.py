"""Whose password is checked first, and how much of a processor those who guess may have."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from threading import Event

from relay.receive.password_thread import REST, PasswordThread
from tests.receive.harness import run, until

GOOD, EVIL = "192.0.2.1", "198.51.100.7"


class Bench:
    """A thread whose checks wait at a gate, and what became of them."""

    def __init__(self, waiting_max: int = 16, takes_s: float = 0.0) -> None:
        self.gate = Event()
        self.gate.set()
        self.takes_s = takes_s
        self.checked: list[bytes] = []
        self.times: list[float] = []
        self.answers: list[int | None] = []
        self.thread = PasswordThread(asyncio.get_running_loop(), self.matches, waiting_max)

    def matches(self, hash: str, password: bytes) -> bool:
        assert self.gate.wait(10)
        self.times.append(time.monotonic())
        self.checked.append(password)
        time.sleep(self.takes_s)
        return password == b"right"

    def come(self, address: str, password: bytes) -> bool:
        return self.thread.submit(["hash"], password, address, self.answers.append)

    async def answered(self, count: int) -> None:
        await until(lambda: len(self.answers) >= count)


def with_bench(test: Callable[[Bench], Awaitable[None]]) -> None:
    async def main() -> None:
        bench = Bench()
        await test(bench)
        bench.gate.set()
        bench.thread.close()

    run(main)


def test_a_good_one_does_not_stand_behind_those_who_guess() -> None:
    async def test(bench: Bench) -> None:
        bench.come(EVIL, b"guess")
        await bench.answered(1)
        bench.gate.clear()
        for number in range(3):
            assert bench.come(EVIL, b"guess %d" % number)
        await until(lambda: not bench.thread._queue.qsize())
        assert bench.come(GOOD, b"right")
        bench.gate.set()
        await bench.answered(5)
        assert bench.checked.index(b"right") <= 2
        assert bench.answers.count(0) == 1

    with_bench(test)


def test_the_first_of_an_address_is_no_suspect_and_those_that_wait_beside_it_are() -> None:
    async def test(bench: Bench) -> None:
        bench.gate.clear()
        for number in range(3):
            assert bench.come(EVIL, b"guess %d" % number)
        assert bench.come(GOOD, b"right")
        bench.gate.set()
        await bench.answered(4)
        assert bench.checked[:2] == [b"guess 0", b"right"]

    with_bench(test)


def test_between_two_suspects_the_thread_rests() -> None:
    async def main() -> None:
        bench = Bench(takes_s=0.01)
        bench.come(EVIL, b"first")
        await bench.answered(1)
        for number in range(3):
            assert bench.come(EVIL, b"guess %d" % number)
        await bench.answered(4)
        gaps = [later - before for before, later in zip(bench.times[1:], bench.times[2:], strict=False)]
        assert len(gaps) == 2 and min(gaps) >= 0.01 * (1 + REST)
        bench.thread.close()

    run(main)


def test_suspects_have_half_of_the_places_at_most() -> None:
    async def test(bench: Bench) -> None:
        for number in range(6):
            assert bench.come(f"{EVIL}{number}", b"wrong")
        await bench.answered(6)
        bench.gate.clear()
        taken = [bench.come(f"{EVIL}{number % 6}", b"guess %d" % number) for number in range(24)]
        assert taken.count(True) == 8
        assert all(bench.come(f"{GOOD}{number}", b"right") for number in range(8))
        assert not bench.come(GOOD, b"right")

    with_bench(test)


def test_what_waits_is_checked_at_the_end_without_a_rest() -> None:
    async def test(bench: Bench) -> None:
        bench.come(EVIL, b"wrong")
        await bench.answered(1)
        for number in range(4):
            assert bench.come(EVIL, b"guess %d" % number)
        bench.thread.close()
        assert len(bench.checked) == 5

    with_bench(test)
