"""`demo`: a relay and a smarthost on this machine, a campaign through them, every mail counted.

The relay is the real one, started as `serve`; the smarthost speaks STARTTLS with a
certificate made on the spot, which the relay's route verifies. The folder with the
configuration, the queue file, the log and the metrics is named and kept unless it is
to be removed.
"""

import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from relay import tls
from relay.cli import demo_certificate
from relay.cli.demo_campaign import Campaign, send
from relay.cli.demo_smarthost import Smarthost
from relay.process.exits import Exit

READY_WITHIN_S = 30.0
QUIET_S = 30.0
"""Without a delivery for so long, what is missing will not come."""
STOP_WITHIN_S = 45.0
"""The relay's own drain is bounded by 30 s."""

CONFIGURATION = """\
[relay]
hostname = "relay.example.com"

[spool]
path = "spool"

[[listener]]
address = "127.0.0.1:0"

[[route]]
name = "smarthost"
host = "127.0.0.1"
port = {port}
tls = "required"
ca_file = "smarthost.pem"

[console]
address = "127.0.0.1:0"
"""


class Line(msgspec.Struct):
    """What the demo reads of the relay's log."""

    event: str
    listeners: tuple[str, ...] = ()
    detail: str = ""
    role: str = ""


def demo(mails: int, *, keep: bool) -> Exit:
    """Run it; OK only when every mail arrived once and unaltered."""
    folder = Path(tempfile.mkdtemp(prefix="m365-relay-demo-"))
    try:
        is_whole = asyncio.run(_demo(folder, mails, keep))
    except BaseException:
        print(f"the demo failed; {folder / 'relay.log'} may say why", file=sys.stderr)
        raise
    if not keep and is_whole:
        shutil.rmtree(folder)
    return Exit.OK if is_whole else Exit.FOUND


async def _demo(folder: Path, mails: int, keep: bool) -> bool:
    certificate, key = demo_certificate.make(folder, "smarthost", "127.0.0.1")
    campaign = Campaign(mails)
    smarthost = Smarthost(tls.server_context(str(certificate), str(key)), campaign.arrived)
    port = await smarthost.listen()
    configuration = folder / "relay.toml"
    configuration.write_text(CONFIGURATION.format(port=port))
    async with _relay(configuration, folder / "relay.log") as (listener, metrics):
        print(f"relay on {listener}, smarthost on 127.0.0.1:{port}, folder {folder}")
        host, _, listening_port = listener.rpartition(":")
        await _watch(campaign, asyncio.create_task(send(campaign, host, int(listening_port))))
        (folder / "metrics.txt").write_bytes(await _fetch(metrics))
    await smarthost.close()
    _summarise(campaign, folder, keep)
    return campaign.is_whole


@asynccontextmanager
async def _relay(configuration: Path, log: Path) -> AsyncIterator[tuple[str, str]]:
    """A relay that runs: where it listens, and where its metrics are."""
    arguments = ("-m", "relay.cli.main", "serve", "--config", str(configuration))
    with open(log, "wb") as log_file:  # noqa: ASYNC230 (a local file, once)
        process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stderr=log_file)
        try:
            async with asyncio.timeout(READY_WITHIN_S):
                addresses = await _ready(process, log)
            yield addresses
        finally:
            await _stop(process)


async def _ready(process: asyncio.subprocess.Process, log: Path) -> tuple[str, str]:
    while process.returncode is None:
        lines = _lines(log)
        listener = next((line.listeners[0] for line in lines if line.event == "ready"), "")
        metrics = next((line.detail for line in lines if line.event == "process_started" and line.detail), "")
        if listener and metrics:
            return listener, metrics
        await asyncio.sleep(0.02)
    raise RuntimeError(f"the relay ended with status {process.returncode} before it was ready")


def _lines(log: Path) -> list[Line]:
    # A line that is being written has no end yet.
    whole, _, _ = log.read_bytes().rpartition(b"\n")
    return [msgspec.json.decode(line, type=Line) for line in whole.splitlines()]


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
        try:
            async with asyncio.timeout(STOP_WITHIN_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def _watch(campaign: Campaign, sending: asyncio.Task[None]) -> None:
    """A live line until all has arrived, or nothing comes any more."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    seen, seen_at = 0, time.monotonic()
    with Progress(*columns) as progress:
        accepted = progress.add_task("accepted ", total=campaign.mails)
        delivered = progress.add_task("delivered", total=campaign.mails)
        while True:
            progress.update(accepted, completed=len(campaign.accept_s))
            progress.update(delivered, completed=campaign.delivered)
            if campaign.delivered != seen or not sending.done():
                seen, seen_at = campaign.delivered, time.monotonic()
            if sending.done() and (
                campaign.delivered >= campaign.mails or time.monotonic() - seen_at > QUIET_S
            ):
                break
            await asyncio.sleep(0.05)
    await sending


async def _fetch(url: str) -> bytes:
    # Counts are written once a second: the last ones should be in it.
    await asyncio.sleep(1.2)
    address, _, _ = url.removeprefix("http://").partition("/")
    host, _, port = address.rpartition(":")
    async with asyncio.timeout(5.0):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        response = await reader.read()
        writer.close()
    return response.partition(b"\r\n\r\n")[2]


def _summarise(campaign: Campaign, folder: Path, keep: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    accepted = len(campaign.accept_s)
    table = Table(show_header=False)
    table.add_row(
        "accepted", f"{accepted:,} of {campaign.mails:,}; {accepted / campaign.sending_s:,.0f} a second"
    )
    table.add_row(
        "delivered", f"{campaign.delivered:,}; {campaign.delivered / campaign.whole_s:,.0f} a second"
    )
    table.add_row("twice, altered, missing", f"{campaign.twice}, {campaign.altered}, {campaign.missing}")
    table.add_row(
        "answer to the final dot",
        f"p50 {campaign.percentile(50):.1f} ms, p99 {campaign.percentile(99):.1f} ms",
    )
    console = Console(highlight=False, soft_wrap=True)
    console.print(table)
    if keep or not campaign.is_whole:
        console.print(f"queue file  {folder / 'spool' / 'data.mdb'}")
        console.print(f"metrics     {folder / 'metrics.txt'}")
        console.print(f"log         {folder / 'relay.log'}")
        console.print(f"remove them with: rm -r {folder}")
    for reason in campaign.refusals[:5]:
        console.print(f"[red]refused[/]: {reason}")
    verdict = (
        "[green]✓[/] every mail arrived once and unaltered"
        if campaign.is_whole
        else "[red]✗[/] not every mail arrived once and unaltered"
    )
    console.print(verdict)
