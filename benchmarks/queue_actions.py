"""How long orders for a whole queue take, and what mail that flows meanwhile feels of them.

    python -m benchmarks.queue_actions [--folder DIR] [--mails 1000000] [--save FILE]

Fills a spool, starts a deliverer on it, and gives one order after the other for all mails of
a campaign that has half of them. Nobody takes the mails. All the while a timer is set every
millisecond: how late it comes at worst is what a reply, or the next mail, would wait.
Then the orders are given for all mails. Before, `queue list --campaign` is run as people run
it, for the first mails of a campaign and for one that has none, which looks at all.

`rss_mib` is the most there was, with the mapped file's pages; `heap_mib` what the process has
of its own at that moment.
"""

import argparse
import asyncio
import gc
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import uvloop

from benchmarks.facts import facts
from benchmarks.queue_rebuild import COMMIT, options
from relay.clock import SystemClock
from relay.deliver.actions import Count
from relay.deliver.deliverer import Deliverer
from relay.deliver.options import DelivererOptions
from relay.deliver.order import Cancel, Hold, Order, Prioritize, Rebind, Release, Retry, word
from relay.message.envelope import Envelope, Recipient
from relay.message.priority import Priority
from relay.message.queue_id import QueueIdSource
from relay.queue.suspension import Kind, Suspension
from relay.route.route import Route, TlsMode
from relay.route.table import RouteTable
from relay.spool.change import Accept, Change
from relay.spool.commit import Committer
from relay.spool.selection import Selection
from relay.spool.store import Store
from relay.trace.event import Event

BY = "benchmark"
MAY = Selection(campaign="May")
ALL = Selection(all=True)
ORDERS: tuple[Order, ...] = (
    Hold(by=BY, reason="the list was wrong"),
    Release(by=BY),
    Prioritize(by=BY, priority=Priority.BULK),
    Rebind(by=BY, route="other"),
    Retry(by=BY),
    Cancel(by=BY),
)
CONFIGURATION = """
[relay]
hostname = "relay.example.org"
[spool]
path = "{spool}"
[[listener]]
address = "127.0.0.1:2525"
[[route]]
name = "smarthost"
host = "127.0.0.1"
tls = "none"
"""
FOUND: list[dict[str, object]] = []
"""What was said, for `--save`."""


def fill(folder: Path, mails: int) -> None:
    """Mails of two campaigns, one after the other."""
    store, ids = Store.open(options(folder)), QueueIdSource(0, SystemClock())
    for start in range(0, mails, COMMIT):
        changes: list[Change] = []
        for number in range(start, min(start + COMMIT, mails)):
            changes.append(Accept(_envelope(ids.next(), number), b"x" * 512))
        store.apply(changes)
    store.close()


def _envelope(id: int, number: int) -> Envelope:
    recipients = (Recipient(b"someone.%d@customer.example.com" % number, "smarthost"),)
    sender, campaign = b"bounces@campaigns.example.org", ("May", "June")[number % 2]
    return Envelope(id, sender, recipients, time.time(), 512, 1, "192.0.2.17", campaign=campaign)


class Lateness:
    """How late a timer comes at worst, in milliseconds."""

    def __init__(self) -> None:
        self.worst = 0.0

    async def watch(self) -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.001)
            self.worst = max(self.worst, (time.perf_counter() - began - 0.001) * 1000)


async def measure(folder: Path) -> None:
    steered = 0

    def record(event: Event) -> None:
        nonlocal steered
        steered += 1

    loop, clock, store = asyncio.get_running_loop(), SystemClock(), Store.open(options(folder))
    committer = Committer(store, loop, record, clock, pause_s=0.002)
    # Nobody listens there.
    one = Route("smarthost", ("127.0.0.1",), port=1, tls=TlsMode.NONE)
    deliverer = Deliverer(
        DelivererOptions("relay.example.org", folder / "handover.sock"),
        RouteTable((one, replace(one, name="other"))),
        store,
        committer,
        record,
        clock,
        lambda: 0.5,
    )
    began = time.perf_counter()
    await deliverer.start()
    say("start", time.perf_counter() - began, 0.0, rss_mib=rss_mib(), heap_mib=heap_mib())
    # As the process does when it is ready (relay.process.life).
    gc.collect()
    gc.freeze()
    gc.enable()
    late = Lateness()
    watching = asyncio.create_task(late.watch())
    await suspending(deliverer, late)
    for selection in (MAY, ALL):
        for order in ORDERS:
            late.worst = 0.0
            began, cpu = time.perf_counter(), time.process_time()
            count = await deliverer.actions.carry_out(order, selection)
            seconds = time.perf_counter() - began
            cpu_s = time.process_time() - cpu
            say(f"{word(order)}, {selection}", seconds, late.worst, **shown(count, seconds, cpu_s))
    watching.cancel()
    await deliverer.drain(1.0)
    await committer.close()
    store.close()


async def suspending(deliverer: Deliverer, late: Lateness) -> None:
    late.worst = 0.0
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    began = time.perf_counter()
    suspension = Suspension(Kind.CAMPAIGN.value, "May", "", BY, time.time())
    deliverer.suspended.suspend(suspension, lambda error: done.set_result(None))
    await done
    say("suspend campaign", time.perf_counter() - began, late.worst)


def listing(folder: Path) -> None:
    """The disk alone is asked: no relay runs."""
    configuration = folder / "relay.toml"
    configuration.write_text(CONFIGURATION.format(spool=folder / "spool"))
    for campaign in ("May", "July"):
        began = time.perf_counter()
        command = ("queue", "list", "--campaign", campaign, "--limit", "50", "--config", str(configuration))
        subprocess.run(
            [Path(sys.executable).with_name("m365-relay"), *command], check=True, capture_output=True
        )
        say(f"queue list --campaign {campaign}", time.perf_counter() - began, 0.0)


def shown(count: Count, seconds: float, cpu_s: float) -> dict[str, object]:
    return {
        "cpu_s": round(cpu_s, 2),
        "cpu_us_a_mail_changed": round(cpu_s / count.changed * 1e6, 1) if count.changed else None,
        "looked_at": count.looked_at,
        "changed": count.changed,
        "unchanged": count.unchanged,
        "mails_per_s": round(count.looked_at / seconds),
        "rss_mib": rss_mib(),
        "heap_mib": heap_mib(),
    }


def say(what: str, seconds: float, late_ms: float, **more: object) -> None:
    line = {"what": what, "seconds": round(seconds, 2), "loop_late_max_ms": round(late_ms, 1), **more}
    FOUND.append(line)
    print(json.dumps(line), flush=True)


def rss_mib() -> int:
    """The most there was, the mapped file's pages too."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def heap_mib() -> int:
    """Memory of the process's own, at this moment."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) // 1024
    return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--mails", type=int, default=1_000_000)
    parser.add_argument("--save", type=Path)
    chosen = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=chosen.folder))
    loop: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    try:
        began = time.perf_counter()
        fill(folder, chosen.mails)
        say("fill", time.perf_counter() - began, 0.0)
        listing(folder)
        gc.disable()
        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(measure(folder))
        if chosen.save:
            found = {"machine": facts(folder), "mails": chosen.mails, "found": FOUND}
            chosen.save.write_text(json.dumps(found, indent=1) + "\n")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
