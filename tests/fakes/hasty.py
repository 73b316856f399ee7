"""A loop whose time passes as fast as nothing happens: a week of waiting takes seconds.

All of asyncio's time is the fake clock's. When no socket has anything to read and no thread
works for the loop, the clock is moved to the next timer instead of waiting for it.
"""

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine

from tests.fakes.clock import FakeClock

KERNEL_S = 0.00005
"""What was written to the loopback is there to be read by then; nearly always it is at once."""
THREAD_S = 30.0
"""No commit takes longer; a test that waits for a thread in vain ends."""


class _Selector(selectors.DefaultSelector):
    """Waits for time of the fake clock to pass, not for ours."""

    def __init__(self, clock: FakeClock, is_awaited: Callable[[], bool]) -> None:
        super().__init__()
        self._clock = clock
        self._is_awaited = is_awaited

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready; or nothing, and the clock has moved by the timeout."""
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if self._is_awaited() or timeout is None:
            ready = super().select(THREAD_S)
            assert ready, "the thread that works for the loop does not end"
            return ready
        # epoll counts in milliseconds.
        time.sleep(KERNEL_S)
        ready = super().select(0)
        if not ready:
            self._clock.advance(timeout)
        return ready


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, clock: FakeClock, is_awaited: Callable[[], bool]) -> None:
        super().__init__(_Selector(clock, is_awaited))
        self._fake = clock

    def time(self) -> float:
        return self._fake.monotonic()


def run_hastily(story: Coroutine[None, None, None], clock: FakeClock, is_awaited: Callable[[], bool]) -> None:
    """Run the story to its end; an error in a callback fails it.

    `is_awaited`: a thread works for the loop, so that no time passes.
    """
    troubles: list[dict[str, object]] = []
    with asyncio.Runner(loop_factory=lambda: _Loop(clock, is_awaited)) as runner:
        runner.get_loop().set_exception_handler(lambda _, context: troubles.append(context))
        runner.run(story)
    assert not troubles, troubles
