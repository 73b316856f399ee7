"""How fast a webhook tells a history that is there already, to a receiver that answers at once.

    python -m benchmarks.webhooks [--steps 100000]

The history is that of `benchmarks.history`. The receiver stands in the same process and loop, over
TLS on loopback, so its work is counted too. Then a second webhook that wants nothing of it
comes to the end: what it costs to look at steps that are for others.
"""

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import uvloop

from benchmarks.facts import facts
from benchmarks.history import fill
from relay.clock import SystemClock
from relay.trace.history.options import FILE
from relay.webhook.options import WebhookOptions, Webhooks
from relay.webhook.position import Order, PositionFile
from relay.webhook.post import HttpPost
from relay.webhook.webhook import Webhook
from tests.fakes.certificate import Authority
from tests.fakes.http_receiver import HttpReceiver

T = TypeVar("T")


def main() -> None:
    """One run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--steps", type=int, default=100_000)
    steps = parser.parse_args().steps
    with tempfile.TemporaryDirectory(prefix="webhooks-") as name:
        folder = Path(name)
        fill(folder, steps)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            found = runner.run(_tell(folder))
        print(json.dumps({"machine": facts(folder), "steps": steps} | found, indent=2))


async def _tell(folder: Path) -> dict[str, float]:
    authority = Authority(folder)
    async with HttpReceiver(authority.issue("localhost")) as receiver:
        hook = WebhookOptions("all", receiver.url, (b"k" * 32,), ca_file=str(authority.ca_file))
        wall, processor = await _to_the_end(folder, hook)
        events = sum(asked.body.count(b'"sequence"') for asked in receiver.asked)
        size = sum(len(asked.body) for asked in receiver.asked)
        requests = len(receiver.asked)
        idle = replace(hook, name="none", routes=("nobody's",))
        passed, _ = await _to_the_end(folder, idle)
    return {
        "events": events,
        "events_per_second": round(events / wall),
        "processor_us_per_event": round(processor / events * 1e6, 1),
        "bytes_per_event": round(size / events),
        "milliseconds_per_request": round(wall / requests * 1e3, 2),
        "steps_passed_over_per_second": round(events / passed),
    }


async def _to_the_end(folder: Path, options: WebhookOptions) -> tuple[float, float]:
    """Seconds, and those of the processor, until there is nothing more to tell."""
    told = Webhooks("relay.example.com", folder / FILE, folder / "webhooks", (options,))
    executor = ThreadPoolExecutor(1)

    async def in_thread(work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(executor, work)

    hook = Webhook(
        told, options, HttpPost(options), in_thread, lambda event: None, SystemClock(), lambda: 0.5
    )
    PositionFile(told.folder, options.name).leave_order(Order("o", "replay", "benchmark", 0))
    await hook.begin()
    begun_at, used = time.monotonic(), time.process_time()
    while await hook.turn() == 0.0:
        pass
    wall, processor = time.monotonic() - begun_at, time.process_time() - used
    await hook.close()
    executor.shutdown()
    return wall, processor


if __name__ == "__main__":
    main()
