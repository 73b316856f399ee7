"""`demo`: a day of a tenant in half a minute, on this machine.

The relay is the real one, started as `serve`; Microsoft 365 is `simulate`, with a clock
that runs 30 times as fast. Four mailboxes, a campaign to inside and outside, password
resets beside it, one right withdrawn: what may leave must leave, all else must wait for
the reason that is expected. The folder with both configurations, the queue file, the
log and the metrics is named and kept unless it is to be removed.
"""

import asyncio
import shutil
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from relay.cli import demo_control, demo_process
from relay.cli.demo_client import Sending, send_all, send_evenly
from relay.cli.demo_log import Log
from relay.cli.demo_plan import (
    A_DAY,
    A_MINUTE,
    BILLING,
    MAILERS,
    ORDERS,
    OUTSIDE_A_DAY,
    SPEED,
    Kind,
    Plan,
    plan,
)
from relay.cli.demo_process import Facts
from relay.cli.demo_setup import relay_toml, simulator_toml
from relay.cli.demo_summary import Summary, summarise
from relay.cli.demo_verdict import Run, count
from relay.cli.queue_list import Line as QueueLine
from relay.process.exits import Exit
from relay.process.told import told_to_end

QUIET_S = 15.0
"""Without a delivery for so long, what is missing will not come."""
SETTLE_S = 60 / SPEED + 1.0
"""A minute of the tenant, and a second until counts are written: what should not leave would have left."""

STORY = f"""\
A Microsoft 365 on this machine, whose clock runs {SPEED} times as fast: its minute passes in {60 / SPEED:g} s.
So its {A_MINUTE} messages a minute for each mailbox stand in relay.toml as {A_MINUTE} in "{60 / SPEED:g}s".
  {", ".join(address.partition("@")[0] for address in MAILERS)} send a campaign and password resets together;
  {ORDERS} sends order confirmations, and invoices as {BILLING}, the right to which was withdrawn;
  the tenant may write to {OUTSIDE_A_DAY:,} recipients outside in 24 hours, a mailbox to {A_DAY:,} in all.
"""


def demo(newsletters: int, *, keep: bool, as_json: bool) -> Exit:
    """Run it; OK only when everything came as it should."""
    day = plan(newsletters)
    folder = Path(tempfile.mkdtemp(prefix="m365-relay-demo-"))
    try:
        summary = asyncio.run(_until_told(folder, day, as_json))
    except BaseException:
        print(f"the demo failed; relay.log and simulator.log in {folder} may say why", file=sys.stderr)
        raise
    if summary is None:
        print(f"stopped; what there is stands in {folder}", file=sys.stderr)
        return Exit.FOUND
    is_kept = keep or not summary.is_as_expected
    if as_json:
        print(msgspec.json.encode(summary).decode())
    else:
        from rich.console import Console

        from relay.cli.demo_show import show

        show(summary, Console(highlight=False), is_kept=is_kept)
    if not is_kept:
        shutil.rmtree(folder)
    return Exit.OK if summary.is_as_expected else Exit.FOUND


async def _until_told(folder: Path, day: Plan, as_json: bool) -> Summary | None:
    """None when a signal came first; then both processes have ended, too."""
    told = asyncio.create_task(told_to_end().wait())
    running = asyncio.create_task(_demo(folder, day, as_json))
    await asyncio.wait((told, running), return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    if not running.done():
        running.cancel()
        await asyncio.wait((running,))
        return None
    return running.result()


async def _demo(folder: Path, day: Plan, as_json: bool) -> Summary:
    if not as_json:
        print(STORY)
    tenant, configuration = folder / "simulator.toml", folder / "relay.toml"
    tenant.write_text(simulator_toml())
    async with demo_process.simulator(folder, tenant) as facts:
        configuration.write_text(relay_toml(facts.route_by_token))
        # After the route was printed: it trusts in what the tenant had granted.
        await demo_control.withdraw_send_as(facts, ORDERS)
        async with demo_process.relay(folder, configuration) as log:
            sending, flows, began_at = Sending(), asyncio.Event(), time.monotonic()
            applications = asyncio.create_task(_send(sending, day, log.listener, flows))
            try:
                await _watch(day, log, sending, applications, flows)
            finally:
                applications.cancel()
            seconds = time.monotonic() - began_at
            await asyncio.sleep(SETTLE_S)
            (folder / "metrics.txt").write_bytes(await demo_control.fetch(log.metrics))
            ended_at, queue = time.time(), await _queue(configuration, len(day.mails))
        run = await _gather(folder, facts, day, sending, log, queue, ended_at, seconds)
    return summarise(run, str(folder))


async def _send(sending: Sending, day: Plan, listener: str, flows: asyncio.Event) -> None:
    """The campaign at once; once it flows, single mails as evenly as they come in life."""
    host, _, text = listener.rpartition(":")
    port = int(text)
    at_once = [*day.of(Kind.NEWSLETTER), *day.of(Kind.INVOICE)]
    for_minutes_s = day.minutes * 60 / SPEED
    async with asyncio.TaskGroup() as applications:
        applications.create_task(send_all(sending, at_once, host, port))
        await flows.wait()
        for kind in (Kind.RESET, Kind.ORDER):
            mails = day.of(kind)
            pause_s = for_minutes_s / (len(mails) + 1)
            applications.create_task(send_evenly(sending, mails, host, port, pause_s))


async def _watch(
    day: Plan, log: Log, sending: Sending, applications: asyncio.Task[None], flows: asyncio.Event
) -> None:
    """A live line until what may leave has left, or nothing comes any more; sets `flows` at the first."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    seen, seen_at = 0, time.monotonic()
    with Progress(*columns, console=Console(stderr=True)) as progress:
        accepted = progress.add_task("accepted ", total=len(day.mails))
        delivered = progress.add_task("delivered", total=day.leave)
        while True:
            arrived = len(log.read().delivered)
            progress.update(accepted, completed=len(sending.accept_s))
            progress.update(delivered, completed=arrived)
            if arrived != seen:
                flows.set()
                seen, seen_at = arrived, time.monotonic()
            is_quiet = time.monotonic() - seen_at > QUIET_S
            if is_quiet or (applications.done() and arrived >= day.leave):
                break
            await asyncio.sleep(0.1)
    if applications.done():
        await applications


async def _queue(configuration: Path, most: int) -> list[QueueLine]:
    """What waits, as `queue list` says."""
    options = ("--config", str(configuration), "--json", "--limit", str(most))
    printed = await demo_process.output_of("queue", "list", *options)
    return [msgspec.json.decode(line, type=QueueLine) for line in printed.splitlines()]


async def _gather(
    folder: Path,
    facts: Facts,
    day: Plan,
    sending: Sending,
    log: Log,
    queue: list[QueueLine],
    ended_at: float,
    seconds: float,
) -> Run:
    contents = [path.read_bytes() for path in sorted((folder / "tenant").glob("*.eml"))]
    kept, report = await demo_control.mails(facts), await demo_control.report(facts)
    return Run(day, sending, count(day, contents), kept, report, log, queue, ended_at, seconds)
