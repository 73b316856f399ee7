"""What is computed for long gives way."""

import asyncio

from relay.deliver.slices import in_slices
from relay.queue.forecast import Steps
from relay.queue.situation import Forecast
from tests.fakes.clock import FakeClock
from tests.fakes.loop import in_loop


@in_loop
async def test_what_takes_long_gives_way_to_the_loop_every_few_milliseconds() -> None:
    clock = FakeClock()
    turns: list[float] = []

    def steps() -> Steps:
        for _ in range(20):
            clock.advance(0.002)
            yield
        return Forecast(7.0)

    async def others() -> None:
        while True:
            turns.append(clock.monotonic())
            await asyncio.sleep(0)

    began = clock.monotonic()
    beside = asyncio.create_task(others())
    await asyncio.sleep(0)
    told = await in_slices(steps(), clock.monotonic)
    beside.cancel()
    assert told.done_s == 7.0
    assert [round((turn - began) * 1000) for turn in turns] == [0, 6, 12, 18, 24, 30, 36]
