"""How many mails a second the spool commits, beside an idle and beside a busy loop.

    python -m benchmarks.spool_commit [--folder DIR] [--seconds 2]

Scenes, each in processes of their own with the switch interval given:

    idle     20 sessions in a closed loop: each submits its next mail when the last is committed
    work     as idle, and each mail costs the loop 60 µs of plain Python in a callback of its own
    busy     as idle, and the loop never sleeps: it spins in callbacks of 50 µs of plain Python
    relay    a receiver process (work, adds) and a deliverer process (work, reads and removes)

"busy" is the worst case of the interpreter lock: a thread that returns from a blocking
call waits for the loop to give the lock away. Sessions are 100 for 2 KiB, as in the
workloads the relay is measured with.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import uvloop

from relay.clock import SystemClock
from relay.errors import SpoolError
from relay.message.envelope import Envelope, Recipient
from relay.message.queue_id import QueueIdSource
from relay.spool.change import Accept, Remove
from relay.spool.commit import Committer
from relay.spool.options import MIB, SpoolOptions
from relay.spool.store import Store
from relay.trace.event import Committed, Event

SIZES = {2048: 100, 10240: 20, 102400: 20}
SWITCH_S = (0.005, 0.001, 0.0005, 0.0002, 0.0001, 0.00005)
SPIN_S = 0.00005
WORK_S = 0.00006


@dataclass(slots=True)
class Result:
    mails: int
    commits: int
    seconds: float
    cpu_s: float
    waits: list[float]

    def line(self, **scene: str | int | float) -> str:
        waits = sorted(self.waits) or [0.0]
        return json.dumps(
            scene
            | {
                "mails_per_s": round(self.mails / self.seconds),
                "commits_per_s": round(self.commits / self.seconds),
                "mails_per_commit": round(self.mails / max(1, self.commits), 1),
                "p50_ms": round(1000 * waits[len(waits) // 2], 2),
                "p99_ms": round(1000 * waits[len(waits) * 99 // 100], 2),
                "cpu_us_per_mail": round(1e6 * self.cpu_s / max(1, self.mails)),
            }
        )


class Load:
    """One process's loop, committer and spinning."""

    def __init__(self, path: Path, scene: str, seconds: float) -> None:
        self.store = Store.open(
            SpoolOptions(path, map_size_bytes=8192 * MIB, free_space_floor_bytes=64 * MIB)
        )
        self.loop = asyncio.get_running_loop()
        self.commits = 0
        self.committer = Committer(self.store, self.loop, self.record, SystemClock())
        self.result = Result(0, 0, 0.0, 0.0, [])
        self.end = time.perf_counter() + seconds
        self.is_over = False
        self.work_s = 0.0 if scene == "idle" else WORK_S
        if scene == "busy":
            self.spin()

    def work(self) -> None:
        until = time.perf_counter() + self.work_s
        while time.perf_counter() < until:
            pass

    def record(self, event: Event) -> None:
        self.commits += isinstance(event, Committed)

    def spin(self) -> None:
        until = time.perf_counter() + SPIN_S
        while time.perf_counter() < until:
            pass
        if not self.is_over:
            self.loop.call_soon(self.spin)

    async def finish(self, seconds: float) -> Result:
        began, cpu = time.perf_counter(), time.process_time()
        await asyncio.sleep(seconds)
        self.is_over = True
        result = self.result
        result.commits, result.seconds = self.commits, time.perf_counter() - began
        result.cpu_s = time.process_time() - cpu
        await self.committer.close()
        self.store.close()
        return result


def adding(load: Load, size: int, sessions: int, backlog: Callable[[], int]) -> None:
    """Sessions that add; they pause while the backlog is above 2,000."""
    ids, body = QueueIdSource(0, SystemClock()), bytearray(b"x" * size)

    def send() -> None:
        if load.is_over:
            return
        if backlog() > 2000:
            load.loop.call_later(0.005, send)
            return
        envelope = Envelope(
            ids.next(), b"a@example.org", (Recipient(b"b@example.com", "r"),), 0.0, size, 1, "127.0.0.1"
        )
        began = time.perf_counter()

        def done(error: SpoolError | None) -> None:
            assert error is None, error
            load.result.mails += 1
            load.result.waits.append(time.perf_counter() - began)
            load.loop.call_soon(work)

        load.committer.submit(Accept(envelope, body), done)

    def work() -> None:
        load.work()
        send()

    for _ in range(sessions):
        load.loop.call_soon(send)


def removing(load: Load, sessions: int) -> None:
    """Read what is there and remove it, at most `sessions` unsettled."""
    waiting: list[int] = []
    state = {"last": 0, "open": 0}

    def take() -> None:
        while state["open"] < sessions and not load.is_over:
            if not waiting:
                for entry in load.store.scan(state["last"], 500):
                    waiting.append(getattr(entry, "queued").id)  # noqa: B009 - no damaged mail here
                waiting.reverse()
                if not waiting:
                    load.loop.call_later(0.002, take)
                    return
            id = waiting.pop()
            state["last"] = max(state["last"], id)
            assert load.store.read(id) is not None
            state["open"] += 1
            began = time.perf_counter()

            def done(error: SpoolError | None, began: float = began) -> None:
                assert error is None, error
                state["open"] -= 1
                load.result.mails += 1
                load.result.waits.append(time.perf_counter() - began)
                load.loop.call_soon(work)

            load.committer.submit(Remove(id, 1), done)

    def work() -> None:
        load.work()
        take()

    take()


def receiver(path: Path, size: int, scene: str, seconds: float, switch_s: float) -> Result:
    async def run() -> Result:
        load = Load(path, scene, seconds)

        def backlog() -> int:
            return 0

        if scene == "relay":
            cached = [0.0, 0.0]

            def backlog() -> int:
                now = time.perf_counter()
                if now > cached[0]:
                    cached[:] = [now + 0.02, load.store.count()]
                return int(cached[1])

        adding(load, size, SIZES[size], backlog)
        return await load.finish(seconds)

    sys.setswitchinterval(switch_s)
    return uvloop.run(run())


def deliverer(path: Path, scene: str, seconds: float, switch_s: float) -> Result:
    async def run() -> Result:
        load = Load(path, scene, seconds)
        removing(load, 64)
        return await load.finish(seconds)

    sys.setswitchinterval(switch_s)
    return uvloop.run(run())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--sizes", type=int, nargs="*", default=list(SIZES))
    parser.add_argument("--switch", type=float, nargs="*", default=list(SWITCH_S))
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    print(json.dumps({"cpus": os.cpu_count(), "python": sys.version.split()[0]}), flush=True)
    for size in options.sizes:
        for switch_s in options.switch:
            for scene in ("idle", "work", "busy", "relay"):
                folder = Path(tempfile.mkdtemp(dir=options.folder))
                try:
                    with context.Pool(2) as pool:
                        head = (folder / "spool", size, scene, options.seconds, switch_s)
                        added = pool.apply_async(receiver, head)
                        tags: dict[str, str | int | float] = {
                            "scene": scene,
                            "size": size,
                            "switch_ms": switch_s * 1000,
                        }
                        if scene == "relay":
                            removed = pool.apply_async(
                                deliverer, (folder / "spool", scene, options.seconds, switch_s)
                            )
                            print(removed.get().line(**tags, role="remove"), flush=True)
                        print(added.get().line(**tags, role="add"), flush=True)
                finally:
                    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
