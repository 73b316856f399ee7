"""A seat: a role that one child after another fills.

A child that ends is replaced, at once at first and after longer and longer pauses
while replacements do not last: a fault that stays must not eat the machine.
"""

import asyncio
import contextlib
import signal
from collections.abc import Callable

from relay.clock import Clock
from relay.process.child import Child
from relay.trace.event import ProcessEnded, Record, Waiting

BACKOFF_FIRST_S = 0.1
BACKOFF_MAX_S = 30.0
HEALTHY_AFTER_S = 60.0
"""A child that lived so long ended by something new."""
KILLED_WITHIN_S = 5.0
"""SIGKILL works at once, unless the process hangs in the kernel on a dead disk."""

Start = Callable[[Callable[[], None]], Child]
"""Starts a child; the argument is called when it is ready."""


class Seat:
    """Keeps one child in a role alive until told to stop."""

    def __init__(
        self,
        role: str,
        start: Start,
        record: Record,
        clock: Clock,
        on_end: Callable[["Seat", int, int], None],
    ) -> None:
        """`on_end` learns pid and status of each child that ended."""
        self.role = role
        self.child: Child | None = None
        self.ready = asyncio.Event()
        self._start = start
        self._record = record
        self._clock = clock
        self._on_end = on_end
        self._backoff_s = BACKOFF_FIRST_S
        self._timer: asyncio.TimerHandle | None = None
        self._is_stopping = False

    def fill(self) -> None:
        """Start a child; when the machine has no room for it, later."""
        self._timer = None
        try:
            self.child = self._start(self.ready.set)
        except OSError as error:
            self._record(Waiting(role=self.role, reason=f"cannot be started: {error}"))
            self._timer = asyncio.get_running_loop().call_later(self._next_backoff_s(0.0), self.fill)
        else:
            self.child.ended.add_done_callback(self._ended)

    def kill_if_hung(self) -> None:
        """A child that stands still is ended; its end starts the next."""
        if self.child is not None and self.child.is_hung():
            self.child.kill()

    def retire(self) -> None:
        """Start none again: the end of the child, whenever it comes, is as it should be."""
        self._is_stopping = True
        if self._timer is not None:
            self._timer.cancel()

    def kill(self) -> None:
        """End it now, and start none again."""
        self.retire()
        if self.child is not None:
            self.child.kill()

    async def stop(self, within_s: float) -> bool:
        """Drain the child and start none again; False when it had to be killed."""
        self.retire()
        child = self.child
        if child is None:
            return True
        child.drain()
        done, _ = await asyncio.wait((child.ended,), timeout=within_s)
        if done:
            return _is_clean(child, child.ended.result())
        child.kill()
        await asyncio.wait((child.ended,), timeout=KILLED_WITHIN_S)
        return False

    def _ended(self, ended: asyncio.Future[int]) -> None:
        child, self.child = self.child, None
        if child is None or ended.cancelled():
            return
        status = ended.result()
        self.ready.clear()
        delay = -1.0
        if not self._is_stopping:
            delay = self._next_backoff_s(child.lived_s)
            self._timer = asyncio.get_running_loop().call_later(delay, self.fill)
        self._record(
            ProcessEnded(
                role=self.role,
                status=status,
                restart_in=delay,
                level="info" if self._is_stopping and _is_clean(child, status) else "warning",
            )
        )
        self._on_end(self, child.pid, status)

    def _next_backoff_s(self, lived_s: float) -> float:
        if lived_s >= HEALTHY_AFTER_S:
            self._backoff_s = BACKOFF_FIRST_S
        delay, self._backoff_s = self._backoff_s, min(self._backoff_s * 2, BACKOFF_MAX_S)
        return delay


def _is_clean(child: Child, status: int) -> bool:
    """Did it end as it was told to?"""
    # Until it listens for signals, SIGTERM ends it as it would any program. It was not ready, so it had nothing in hand.
    return status == 0 or (status == -signal.SIGTERM and not child.is_ready)


async def wait_ready(seats: list[Seat], within_s: float) -> bool:
    """Are all of them ready within that time?"""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            for seat in seats:
                await seat.ready.wait()
    return all(seat.ready.is_set() for seat in seats)
