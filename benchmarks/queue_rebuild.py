"""How long the deliverer takes to learn what the spool holds.

    python -m benchmarks.queue_rebuild [--folder DIR] [--mails 1000000] [--states 0.1]

Fills a spool, drops it from the page cache (as far as the system lets us), and starts a
deliverer on it: it reads ids, times, sizes and routes, and the states of the mails that
were tried before, and makes its queue of them. Content is not touched, so it is small here.
"""

import argparse
import asyncio
import gc
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from relay.clock import SystemClock
from relay.deliver.deliverer import Deliverer
from relay.deliver.options import DelivererOptions
from relay.message.envelope import Envelope, Recipient
from relay.route.route import Route, TlsMode
from relay.route.table import RouteTable
from relay.spool.change import Accept, Change, RecipientState, Record, Status
from relay.spool.commit import Committer
from relay.spool.options import MIB, SpoolOptions
from relay.spool.store import Store
from relay.trace.event import Event, QueueRebuilt

COMMIT = 500


def options(folder: Path) -> SpoolOptions:
    return SpoolOptions(folder / "spool", map_size_bytes=16 * 1024 * MIB)


def fill(folder: Path, mails: int, states: float, content_bytes: int) -> None:
    store, head = Store.open(options(folder)), b"x" * content_bytes
    every = round(1 / states) if states else mails + 1
    tried = (RecipientState(Status.QUEUED, 3, 1.8e9, "451 4.7.500 Server busy. Please try again later"),)
    for start in range(1, mails + 1, COMMIT):
        changes: list[Change] = []
        for id in range(start, min(start + COMMIT, mails + 1)):
            changes.append(Accept(_envelope(id, content_bytes), head))
            if id % every == 0:
                changes.append(Record(id, tried))
        store.apply(changes)
    store.close()


def _envelope(id: int, size: int) -> Envelope:
    recipients = (Recipient(b"someone.%d@customer.example.com" % id, "smarthost"),)
    return Envelope(
        id,
        b"bounces@campaigns.example.org",
        recipients,
        1.8e9,
        size,
        1,
        "192.0.2.17",
        b"app17.example.org",
        message_id=b"<%d.campaign@example.org>" % id,
    )


def rebuild(folder: Path) -> None:
    """The deliverer's start, in a process of its own, so that its memory is its own."""
    # As the process does (relay.process.life): nothing here is garbage.
    gc.disable()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found, seconds, cpu_s, late_ms = runner.run(start(folder))
    print(
        json.dumps(
            {
                "queued": found.queued,
                "held": found.held,
                "damaged": found.damaged,
                "seconds": round(seconds, 2),
                "mails_per_s": round(found.queued / seconds),
                "cpu_s": round(cpu_s, 2),
                "loop_late_max_ms": round(late_ms, 1),
                "rss_growth_mib": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024,
                "note": "RSS counts the mapped file's pages and the whole queue",
            }
        )
    )


async def start(folder: Path) -> tuple[QueueRebuilt, float, float, float]:
    """What was found, seconds, CPU seconds, and how late a timer of the loop was at worst."""
    events: list[Event] = []
    loop, clock, store = asyncio.get_running_loop(), SystemClock(), Store.open(options(folder))
    committer = Committer(store, loop, events.append, clock)
    # Nobody listens there: the queue is full, and no mail leaves.
    route = Route("smarthost", ("127.0.0.1",), port=1, tls=TlsMode.NONE)
    deliverer = Deliverer(
        DelivererOptions("relay.example.org", folder / "handover.sock"),
        RouteTable((route,)),
        store,
        committer,
        events.append,
        clock,
        lambda: 0.5,
    )
    late = asyncio.create_task(lateness())
    began, cpu = time.perf_counter(), time.process_time()
    await deliverer.start()
    seconds, cpu_s = time.perf_counter() - began, time.process_time() - cpu
    late.cancel()
    worst = await late
    await deliverer.drain(1.0)
    await committer.close()
    store.close()
    (found,) = (event for event in events if isinstance(event, QueueRebuilt))
    return found, seconds, cpu_s, worst


async def lateness() -> float:
    """The worst delay of a timer, in milliseconds; ends when it is cancelled."""
    worst = 0.0
    while True:
        began = time.perf_counter()
        try:
            await asyncio.sleep(0.001)
        except asyncio.CancelledError:
            return worst
        worst = max(worst, (time.perf_counter() - began - 0.001) * 1000)


def forget(folder: Path) -> None:
    """Drop the file from the page cache."""
    descriptor = os.open(folder / "spool" / "data.mdb", os.O_RDONLY)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--mails", type=int, default=1_000_000)
    parser.add_argument("--states", type=float, default=0.1)
    parser.add_argument("--content", type=int, default=512)
    parser.add_argument("--rebuild", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.rebuild:
        rebuild(options.rebuild)
        return
    folder = Path(tempfile.mkdtemp(dir=options.folder))
    try:
        began = time.perf_counter()
        fill(folder, options.mails, options.states, options.content)
        print(json.dumps({"filled_s": round(time.perf_counter() - began, 1)}), flush=True)
        for cache in ("cold", "warm"):
            if cache == "cold":
                forget(folder)
            print(cache, end=" ", flush=True)
            subprocess.run(
                [sys.executable, "-m", "benchmarks.queue_rebuild", "--rebuild", str(folder)], check=True
            )
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
