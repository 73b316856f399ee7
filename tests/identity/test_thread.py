"""What blocks runs in a thread that nobody has to wait for."""

import asyncio
import threading

import pytest

from relay.identity.thread import in_thread
from tests.fakes.loop import in_loop


@in_loop
async def test_what_it_returns_and_raises_comes_back() -> None:
    assert await in_thread(lambda: threading.current_thread().name, "work", 10) == "work"
    with pytest.raises(ZeroDivisionError):
        await in_thread(lambda: 1 // 0, "work", 10)


@in_loop
async def test_who_takes_too_long_is_given_up_and_not_heard_of_again() -> None:
    gate = threading.Event()
    with pytest.raises(TimeoutError):
        await in_thread(lambda: gate.wait(10), "work", 0.02)
    task = asyncio.create_task(in_thread(lambda: gate.wait(10), "work", 10))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.set()
    await asyncio.sleep(0.02)


def test_a_loop_that_ends_does_not_wait_for_the_thread() -> None:
    gate = threading.Event()

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await in_thread(lambda: gate.wait(10), "work", 0.01)

    asyncio.run(main())
    (thread,) = (each for each in threading.enumerate() if each.name == "work")
    assert thread.daemon and thread.is_alive()
    gate.set()
    thread.join(10)
