"""What a mail costs in the deliverer: spool in memory → deliverer → Postfix's smtp-sink.

    python -m benchmarks.micro.deliver [--mails N] [--bytes N] [--connections N] [--bdat] [--spool DIR]
                                       [--history] [--profile]

CPU is that of this process: queue, connections, settling, the committer's thread
(which has no disk to wait for), with `--history` the history's; then that of the loop alone. smtp-sink runs beside it and is not counted.
"""

import argparse
import asyncio
import cProfile
import gc
import os
import pstats
import random
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import uvloop

from relay.clock import SystemClock
from relay.deliver.deliverer import Deliverer
from relay.deliver.options import DelivererOptions
from relay.message.envelope import Envelope, Recipient
from relay.message.queue_id import QueueIdSource
from relay.route.route import Route, TlsMode
from relay.route.table import RouteTable
from relay.spool.change import Accept
from relay.spool.commit import Committer
from relay.spool.memory import MemoryStore
from relay.spool.options import SpoolOptions
from relay.spool.spool import Spool
from relay.spool.store import Store
from relay.trace.event import Delivered, Event, QueueRebuilt
from relay.trace.history.intake import History
from relay.trace.history.options import FILE, HistoryOptions

SINK = "/usr/sbin/smtp-sink"


def main() -> None:
    """Three runs, each line a run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--mails", type=int, default=10_000)
    parser.add_argument("--bytes", type=int, default=10_240)
    parser.add_argument("--connections", type=int, default=20)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--bdat", action="store_true")
    parser.add_argument("--spool", help="a folder: keep the spool on its disk, durably, instead of in memory")
    parser.add_argument("--history", action="store_true", help="keep one, as the relay does")
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    for _ in range(options.runs):
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(options))


def _filled(folder: Path, mails: int, size: int, on_disk: bool) -> Spool:
    spool_options = SpoolOptions(folder)
    store: Spool = Store.open(spool_options) if on_disk else MemoryStore(spool_options)
    ids = QueueIdSource(0, SystemClock())
    content = b"From: a@sender.test\r\nSubject: bench\r\n\r\n" + b"x" * 70 + b"\r\n"
    content += (b"y" * 76 + b"\r\n") * ((size - len(content)) // 78)
    changes = []
    for number in range(mails):
        to = (Recipient(b"r%d@example.test" % number, "bench"),)
        envelope = Envelope(ids.next(), b"a@sender.test", to, time.time(), len(content), 1, "127.0.0.1")
        changes.append(Accept(envelope, content))
    for start in range(0, mails, 1000):
        store.apply(changes[start : start + 1000])
    return store


async def _run(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(dir=options.spool) as name, socket.socket() as probe:
        folder = Path(name)
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        store = _filled(folder, options.mails, options.bytes, options.spool is not None)
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        command = [SINK, *user, f"127.0.0.1:{port}", "1000"]
        with subprocess.Popen(command) as sink:  # noqa: ASYNC220 (nothing else runs in this loop yet)
            try:
                await _listening(port)
                await _measure(store, folder, port, options)
            finally:
                sink.terminate()
                store.close()


async def _listening(port: int) -> None:
    for _ in range(100):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
    raise SystemExit(f"{SINK} does not listen")


async def _measure(store: Spool, folder: Path, port: int, options: argparse.Namespace) -> None:
    mails = options.mails
    route = Route(
        "bench",
        ("127.0.0.1",),
        port,
        TlsMode.NONE,
        connections=options.connections,
        use_bdat=options.bdat,
    )
    done, delivered = asyncio.get_running_loop().create_future(), 0

    clock = SystemClock()
    history = History(HistoryOptions(folder / FILE), clock, lambda event: None) if options.history else None

    def record(event: Event) -> None:
        nonlocal delivered
        if history is not None:
            history(event)
        if isinstance(event, Delivered):
            delivered += 1
            if delivered == mails:
                done.set_result(None)
        elif isinstance(event, QueueRebuilt):
            print(f"rebuilt {event.queued} in {event.seconds:.3f} s", end="  ")

    committer = Committer(store, asyncio.get_running_loop(), record, clock)
    settings = DelivererOptions("bench.test", folder / "handover")
    told_to = None if history is None else history.start()
    deliverer = Deliverer(
        settings, RouteTable([route]), store, committer, record, clock, random.random, told_to=told_to
    )
    gc.collect()
    gc.freeze()
    profiler = cProfile.Profile() if options.profile else None
    began, began_cpu, began_loop = time.perf_counter(), time.process_time(), time.thread_time()
    if profiler is not None:
        profiler.enable()
    await deliverer.start()
    await asyncio.wait_for(done, 120)
    if profiler is not None:
        profiler.disable()
    cpu, wall = time.process_time() - began_cpu, time.perf_counter() - began
    loop = time.thread_time() - began_loop
    print(
        f"{mails / wall:8.0f} mails/s  {cpu / mails * 1e6:6.1f} µs CPU a mail, {loop / mails * 1e6:6.1f} of the loop"
    )
    await deliverer.drain(5)
    await committer.close()
    if history is not None and not history.close():
        raise SystemExit("the history did not end")
    if profiler is not None:
        pstats.Stats(profiler).sort_stats("tottime").print_stats(40)


if __name__ == "__main__":
    main()
