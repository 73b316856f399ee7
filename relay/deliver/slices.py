"""Slices: what is computed for long beside mail, a few milliseconds at a time."""

import asyncio
from collections.abc import Callable

from relay.queue.forecast import Steps
from relay.queue.situation import Forecast

SLICE_S = 0.005
"""A turn of the loop should not be longer than 10 ms; mail waits meanwhile."""


async def in_slices(steps: Steps, monotonic: Callable[[], float]) -> Forecast:
    """What comes of the steps; the loop does what else is due whenever they have taken `SLICE_S`."""
    began = monotonic()
    while True:
        try:
            next(steps)
        except StopIteration as end:
            told: Forecast = end.value
            return told
        if monotonic() - began >= SLICE_S:
            await asyncio.sleep(0)
            began = monotonic()
