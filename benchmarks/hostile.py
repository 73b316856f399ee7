"""Normal load beside a crowd: 10,000 idle connections and 500 hostile ones. Are the good ones still served, in bounded memory?

    python -m benchmarks.hostile [--idle 10000] [--hostile 500] [--mails 4000] [--rounds 2] [--output FILE]

`source → relay → sink` as in benchmarks.throughput (W2), by turns without and with the crowd
(benchmarks.crowd), on a relay with default brakes. The exit status is 1 when the good ones
get less than half of what they get alone, when one of their mails is refused or lost, or
when receivers take more than a bound for each connection.
"""

import argparse
import json
import resource
import secrets
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks import rivals, tools
from benchmarks.facts import facts
from benchmarks.meter import tree
from relay.identity.password import hash_password

SHARE_LEAST = 0.5
KIB_PER_CONNECTION_MAX = 24.0
"""An idle session has a buffer of 4 KiB, its objects, and what the interpreter rounds up to."""
SPARE_MIB = 64.0
"""For the load itself, and for what 500 hostile ones hold."""
EXTRA = """
[limits]
connections = 20000
"""
LISTENER = 'auth = "optional"\nauth_without_tls = true\nauth_without_tls_networks = ["127.0.0.0/8"]\n'
ROUTE = 'tls = "none"\nrecipients = ["load.example"]\n'
CLIENT = """
[[client]]
name = "erp"
username = "erp"
password_hash = "{hash}"
"""


@contextmanager
def crowd(port: int, idle: int, hostile: int, kinds: Sequence[str]) -> Iterator[dict[str, object]]:
    """A crowd for the time of the block; what it did stands in the dictionary afterwards."""
    told: dict[str, object] = {}
    command = [sys.executable, "-m", "benchmarks.crowd", str(port), str(idle), str(hostile), *kinds]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            if process.stdout.readline() != "ready\n":
                raise RuntimeError("the crowd could not connect")
            yield told
            process.stdin.close()
            told.update(json.loads(process.stdout.readline()))
        finally:
            process.kill()
            process.wait(10)


def receivers_mib(root: int) -> float:
    """Resident memory of all receivers."""
    found = 0.0
    for pid in tree(root):
        if b"relay.process.receiver" in Path(f"/proc/{pid}/cmdline").read_bytes():
            found += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize() / 2**20
    return found


def load(running: rivals.Running, sink: tools.Sink, mails: int) -> tuple[float, float]:
    """Accepted mails a second, and the 99th percentile from MAIL to the last reply in ms; RuntimeError when one is missing."""
    sink.expect(mails)
    sent = tools.send(running.port, tools.WORKLOADS["W2"], mails, timeout_s=180.0)
    taken = sink.wait(120.0)
    if sent.acknowledged != mails or sent.refused or taken.unique != mails or taken.altered:
        raise RuntimeError(f"mails of good clients are missing: {sent} {taken}")
    return sent.rate, sent.accept_p99_ms


def main() -> None:
    """Rounds by turns; medians."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--idle", type=int, default=10_000)
    parser.add_argument("--hostile", type=int, default=500)
    parser.add_argument("--mails", type=int, default=4_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--kind", action="append", default=[], help="only these, as in benchmarks.crowd")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # The relay and the crowd inherit it.
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard < options.idle + options.hostile + 500:
        raise SystemExit(f"{hard} descriptors are too few; ulimit -n, or a smaller --idle")
    with tempfile.TemporaryDirectory(prefix="hostile-") as folder, tools.sink() as sink:
        found = measure(Path(folder), sink, options) | {"machine": facts(Path(folder))}
    text = json.dumps(found, indent=2)
    print(text)
    if options.output is not None:
        options.output.write_text(text + "\n")
    raise SystemExit(0 if found["holds"] else 1)


def measure(folder: Path, sink: tools.Sink, options: argparse.Namespace) -> dict[str, object]:
    """All rounds on one relay."""
    alone, beside, p99_alone, p99_beside = [], [], [], []
    crowds: list[dict[str, object]] = []
    with rivals.m365_relay(
        folder, sink.port, None, listener=LISTENER, route=ROUTE, rest=EXTRA + client()
    ) as running:
        load(running, sink, options.mails // 2)
        before_mib = receivers_mib(running.pid)
        peak_mib = before_mib
        for _ in range(options.rounds):
            rate, p99 = load(running, sink, options.mails)
            alone.append(rate)
            p99_alone.append(p99)
            with crowd(running.port, options.idle, options.hostile, options.kind) as told:
                rate, p99 = load(running, sink, options.mails)
                peak_mib = max(peak_mib, receivers_mib(running.pid))
            beside.append(rate)
            p99_beside.append(p99)
            crowds.append(told)
    share = statistics.median(beside) / statistics.median(alone)
    allowed_mib = SPARE_MIB + (options.idle + options.hostile) * KIB_PER_CONNECTION_MAX / 1024
    holds = share >= SHARE_LEAST and peak_mib - before_mib <= allowed_mib
    holds = holds and all(told["idle_alive"] == options.idle for told in crowds)
    return {
        "idle": options.idle,
        "hostile": options.hostile,
        "mails": options.mails,
        "accepted_per_s_alone": [round(rate, 1) for rate in alone],
        "accepted_per_s_beside": [round(rate, 1) for rate in beside],
        "share": round(share, 3),
        "accept_p99_ms_alone": p99_alone,
        "accept_p99_ms_beside": p99_beside,
        "receivers_mib_before": round(before_mib, 1),
        "receivers_mib_peak": round(peak_mib, 1),
        "allowed_growth_mib": round(allowed_mib, 1),
        "crowd": crowds,
        "holds": holds,
    }


def client() -> str:
    """A client whose name is guessed at, with the cost of a real hash."""
    return CLIENT.format(hash=hash_password("sesame", secrets.token_bytes))


if __name__ == "__main__":
    main()
