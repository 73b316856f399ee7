"""source → relay → sink on this machine, ours and Postfix in turns.

    python -m benchmarks.throughput --workload W2 --runs 3 --mails 20000 --peer postfix-tuned

Every run starts its relay afresh, warms it up, measures what source and sink do without a relay
(the ceiling), sends the mails and waits until each is in the sink, once and unaltered. Runs
alternate (ours, peer, ours, peer), because machines drift: only ratios of one session count.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks import meter, rivals, tools
from benchmarks.facts import facts
from benchmarks.rivals import Pem, Running
from benchmarks.tools import WORKLOADS, Sink, Workload
from tests.fakes.certificate import Authority

RESULTS = Path(__file__).parent / "results"
WARM_UP_MAILS = 500
CEILING_MAILS = 20_000
RUN_WITHIN_S = 300.0
Start = Callable[[Path, int, Pem | None], AbstractContextManager[Running]]


class Result(msgspec.Struct, frozen=True):
    """One run."""

    relay: str
    workload: str
    mails: int
    accepted_per_s: float
    delivered_per_s: float
    accept_p50_ms: float
    accept_p99_ms: float
    dot_p99_ms: float
    cpu_ms_per_mail: float
    cpu_ms_by_role: dict[str, float]
    rss_mib: float
    pss_mib: float
    processes: int
    commits_per_mail: float
    connections: int
    """To the sink, at most at once."""
    pipelined_share: float
    """Mails whose final dot came together with the next mail's commands."""
    ceiling_per_s: float
    source_cpu_ms_per_mail: float
    sink_cpu_ms_per_mail: float
    other_cpu_share: float
    """Of the machine's time, used by anybody else meanwhile: above a few percent the run means little."""
    lost: int
    duplicates: int
    altered: int


def measure(name: str, start: Start, workload_name: str, mails: int, spool_dir: Path) -> Result:
    """One run of one relay, in a folder that is removed afterwards."""
    workload = WORKLOADS[workload_name]
    with tempfile.TemporaryDirectory(prefix="m365-relay-bench-", dir=spool_dir) as name_of_folder:
        folder = Path(name_of_folder)
        folder.chmod(0o755)  # Postfix's processes look into it as another user.
        certificate = _certificate(folder) if workload.tls else None
        work = folder / "relay"
        work.mkdir()
        with tools.sink(certificate.both if certificate else None) as sink:
            ceiling = tools.ceiling(
                sink, workload, max(1000, min(mails, CEILING_MAILS * 10_240 // workload.size_bytes))
            )
            with start(work, sink.port, certificate) as running:
                return _measure_running(name, running, sink, workload, workload_name, mails, ceiling)


def _measure_running(
    name: str,
    running: Running,
    sink: Sink,
    workload: Workload,
    workload_name: str,
    mails: int,
    ceiling: float,
) -> Result:
    sink.expect(WARM_UP_MAILS)
    tools.send(running.port, workload, WARM_UP_MAILS)
    sink.wait(RUN_WITHIN_S)
    commits_before = rivals.commits(running)
    sink.expect(mails)
    sink_cpu = sink.report().cpu_seconds
    before = meter.read(running.pid)
    began = time.monotonic()
    with meter.Peak(running.pid) as peak:
        sent = tools.send(running.port, workload, mails, first=1_000_000, timeout_s=RUN_WITHIN_S)
        taken = sink.wait(RUN_WITHIN_S)
    wall = time.monotonic() - began
    after = meter.read(running.pid)
    roles = {
        role: (after.by_role_s[role] - before.by_role_s[role]) * meter.TICK_S for role in after.by_role_s
    }
    load_cpu = sent.cpu_seconds + taken.cpu_seconds - sink_cpu
    ours = after.total_s - before.total_s
    others = after.machine_s - before.machine_s - ours - load_cpu
    return Result(
        relay=name,
        workload=workload_name,
        mails=mails,
        accepted_per_s=sent.rate,
        delivered_per_s=taken.unique / max(taken.last_mail - sent.began, 1e-9),
        accept_p50_ms=sent.accept_p50_ms,
        accept_p99_ms=sent.accept_p99_ms,
        dot_p99_ms=sent.dot_p99_ms,
        cpu_ms_per_mail=ours / mails * 1e3,
        cpu_ms_by_role={
            role: round(seconds / mails * 1e3, 4) for role, seconds in roles.items() if seconds > 0
        },
        rss_mib=peak.rss_bytes / 2**20,
        pss_mib=peak.pss_bytes / 2**20,
        processes=peak.processes,
        commits_per_mail=(rivals.commits(running) - commits_before) / mails,
        connections=taken.most_open,
        pipelined_share=taken.pipelined_behind_dot / mails,
        ceiling_per_s=ceiling,
        source_cpu_ms_per_mail=sent.cpu_seconds / mails * 1e3,
        sink_cpu_ms_per_mail=(taken.cpu_seconds - sink_cpu) / mails * 1e3,
        other_cpu_share=max(0.0, others) / wall / meter.CORES,
        lost=mails - taken.unique,
        duplicates=taken.duplicates,
        altered=taken.altered,
    )


def _certificate(folder: Path) -> Pem:
    authority = Authority(folder)
    certificate, key = authority.issue("localhost", "127.0.0.1")
    both = folder / "both.pem"
    both.touch(mode=0o600)
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    return Pem(both, authority.ca_file)


COLUMNS: dict[str, Callable[[Result], float]] = {
    "accepted/s": lambda r: r.accepted_per_s,
    "delivered/s": lambda r: r.delivered_per_s,
    "p50 ms": lambda r: r.accept_p50_ms,
    "p99 ms": lambda r: r.accept_p99_ms,
    "CPU ms/mail": lambda r: r.cpu_ms_per_mail,
    "PSS MiB": lambda r: r.pss_mib,
    "commits/mail": lambda r: r.commits_per_mail,
    "pipelined": lambda r: r.pipelined_share,
    "ceiling/s": lambda r: r.ceiling_per_s,
    "others' CPU": lambda r: r.other_cpu_share,
}


def show(results: list[Result], console: Console) -> None:
    """Medians of each relay and workload, the ratio of deliveries, and what was lost."""
    table = Table("workload", "relay", "runs", *COLUMNS)
    for workload in dict.fromkeys(each.workload for each in results):
        for relay in dict.fromkeys(each.relay for each in results):
            of = [each for each in results if (each.relay, each.workload) == (relay, workload)]
            if of:
                medians = (statistics.median(map(value, of)) for value in COLUMNS.values())
                table.add_row(workload, relay, str(len(of)), *map(_number, medians))
    console.print(table)
    for each in results:
        if each.lost or each.duplicates or each.altered:
            console.print(
                f"[red]{each.relay} {each.workload}: {each.lost} lost, {each.duplicates} twice, {each.altered} altered[/]"
            )
    for workload, ratio in ratios(results).items():
        console.print(f"{workload}: {ratio:.2f} times as many deliveries a second as the peer")


def ratios(results: list[Result]) -> dict[str, float]:
    """For each workload: the median of ours over the median of the peer."""
    found: dict[str, float] = {}
    for workload in dict.fromkeys(each.workload for each in results):
        ours = [r.delivered_per_s for r in results if r.workload == workload and r.relay == OURS]
        peers = [r for r in results if r.workload == workload and not r.relay.startswith(OURS)]
        theirs = [r.delivered_per_s for r in peers]
        if ours and theirs:
            found[workload] = statistics.median(ours) / statistics.median(theirs)
    return found


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


OURS = "m365-relay"
PEERS: dict[str, Start] = {
    "postfix": partial(rivals.postfix, tuned=False),
    "postfix-tuned": partial(rivals.postfix, tuned=True),
}


def arguments() -> argparse.Namespace:
    """What to run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workload", action="append", choices=[*WORKLOADS, "all"], help="default: W2")
    parser.add_argument(
        "--mails", type=int, default=20_000, help="a run, of ours; a peer sends a third of it"
    )
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--peer", choices=[*PEERS, "none"], default="postfix-tuned")
    parser.add_argument(
        "--dkim",
        action="append",
        choices=[*rivals.DKIM],
        help="our relay signs; beside the run that does not",
    )
    parser.add_argument("--only-peer", action="store_true", help="without our relay")
    parser.add_argument("--receivers", type=int, default=0, help="default: as the relay decides")
    parser.add_argument(
        "--spool-dir", type=Path, default=Path(tempfile.gettempdir()), help="on the file system to measure"
    )
    parser.add_argument("--json", action="store_true", help="for programs: one object a run, no table")
    parser.add_argument(
        "--save", metavar="WHAT", help="keep the results as benchmarks/results/<date>-<WHAT>.json"
    )
    return parser.parse_args()


def main() -> int:
    """Run, show, keep; 1 when a mail was lost, altered or came twice."""
    asked = arguments()
    workloads = asked.workload or ["W2"]
    rows: dict[str, Start] = (
        {} if asked.only_peer else {OURS: partial(rivals.m365_relay, receivers=asked.receivers)}
    )
    for kind in asked.dkim or ():
        rows[f"{OURS} {kind}"] = partial(rivals.m365_relay, receivers=asked.receivers, dkim=kind)
    if asked.peer != "none":
        if why := rivals.has_postfix():
            print(f"without a peer: {why}", file=sys.stderr)
        else:
            rows[asked.peer] = PEERS[asked.peer]
    results: list[Result] = []
    for workload in WORKLOADS if "all" in workloads else workloads:
        for _ in range(asked.runs):
            for name, start in rows.items():
                mails = asked.mails if name.startswith(OURS) else max(asked.mails // 3, 300)
                results.append(measure(name, start, workload, mails, asked.spool_dir))
                if asked.json:
                    print(msgspec.json.encode(results[-1]).decode(), flush=True)
    if not asked.json:
        show(results, Console(width=170))
    if asked.save:
        _keep(asked.save, results, asked.spool_dir)
    return int(any(each.lost or each.duplicates or each.altered for each in results))


def _keep(what: str, results: list[Result], spool_dir: Path) -> None:
    path = RESULTS / f"{datetime.now(UTC):%Y-%m-%d}-{what}.json"
    record = {"facts": facts(spool_dir), "ratios": ratios(results), "runs": results}
    path.write_bytes(msgspec.json.format(msgspec.json.encode(record)) + b"\n")
    print(f"kept in {path}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
