"""What blocks runs in a thread that nobody has to wait for."""

import asyncio
import threading

import pytest

from relay.identity import blocking
from tests.fakes.loop import in_loop


@in_loop
async def test_what_it_returns_and_raises_comes_back() -> None:
    assert await blocking.call(lambda: threading.current_thread().name, 10, "work") == "work"
    with pytest.raises(ZeroDivisionError):
        await blocking.call(lambda: 1 // 0, 10, "work")


@in_loop
async def test_who_takes_too_long_is_given_up_and_not_heard_of_again() -> None:
    gate = threading.Event()
    with pytest.raises(TimeoutError):
        await blocking.call(lambda: gate.wait(10), 0.02, "work")
    task = asyncio.create_task(blocking.call(lambda: gate.wait(10), 10, "work"))
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
            await blocking.call(lambda: gate.wait(10), 0.01, "work")

    asyncio.run(main())
    (thread,) = (each for each in threading.enumerate() if each.name == "work")
    assert thread.daemon and thread.is_alive()
    gate.set()
    thread.join(10)
