"""A busy loop steps aside for the thread that commits.

uvloop lets go of the interpreter between any two callbacks and takes it again within
microseconds. A thread that waits for it is woken each time, comes too late each time,
and, because it was woken, never gets as far as asking for it: the switch interval does
not help. Measured beside a loop that never sleeps: 1 to 40 commits a second, whatever
the interval, and single ones took 1.5 s.

So the loop looks each millisecond whether the thread has gone on. If it has not for a
while, the loop waits, blocked, until the thread has done its next step. A thread that
gets on, which is the rule, costs the loop one timer callback a millisecond.
"""

import asyncio
from collections.abc import Callable
from threading import Lock

_LOOK_S = 0.001
_PATIENCE = 2
"""Looks without a step before the loop steps aside: a commit on a fast disk is done by then."""
_STEP_ASIDE_S = 0.0005
"""At most so long at once. A step needs some 10 µs an LMDB call without a rival; a sync on a slow disk takes
longer, and then this costs the loop a sixth of its time at worst."""


class Yielding:
    """`watch` and the rest in the loop, `step` in the thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, is_waiting: Callable[[], bool]) -> None:
        """`is_waiting`: something is submitted and not committed yet."""
        self._loop = loop
        self._is_waiting = is_waiting
        self._is_watching = False
        self._steps = 0
        self._seen = 0
        self._looks = 0
        # Held but for the instant between a step and the loop that waits for it.
        self._hand = Lock()
        self._hand.acquire()

    def step(self) -> None:
        """The thread has gone on: it has written and now syncs, or it has reported."""
        self._steps += 1
        if self._hand.locked():
            self._hand.release()

    def watch(self) -> None:
        """Something waits from now on."""
        if not self._is_watching:
            self._is_watching = True
            self._looks = 0
            self._loop.call_later(_LOOK_S, self._look)

    def _look(self) -> None:
        if not self._is_waiting():
            self._is_watching = False
            return
        self._loop.call_later(_LOOK_S, self._look)
        if self._steps != self._seen:
            self._seen, self._looks = self._steps, 0
            return
        self._looks += 1
        if self._looks > _PATIENCE:
            self._step_aside()

    def _step_aside(self) -> None:
        self._hand.acquire(blocking=False)
        if self._steps == self._seen and self._hand.acquire(timeout=_STEP_ASIDE_S):
            self._looks = 0
