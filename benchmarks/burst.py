"""A burst through the relay into a simulated tenant, over a SIGKILL and a restart: is all used, and nothing exceeded?

    python -m benchmarks.burst [--mailboxes 10] [--mails 50000] [--speed 20] [--priorities] [--output FILE]

The tenant's clock runs `speed` times as fast: with 20 a minute of its passes in 3 seconds,
and 50,000 mails of 10 mailboxes, which take 2 hours 47 minutes at 30 a minute, take eight
and a half minutes. What a mail costs is not faster: a commit of 5 ms is 0.1 s of the tenant's
time. So the share of the allowed rate that is used is below what it is at the pace of the
world; the time in which no deliverer is at work (the kill, the restart) likewise counts
`speed` times, and is left out in the second figure.
"""

import argparse
import json
import statistics
import tempfile
from pathlib import Path

from benchmarks.facts import facts
from tests.simulator.burst import MINUTE, Plan, Result, run


def main() -> None:
    """One run; the exit status is 1 when a limit was exceeded or a mail was lost."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--mailboxes", type=int, default=10)
    parser.add_argument("--mails", type=int, default=50_000)
    parser.add_argument("--speed", type=int, default=20, choices=[1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60])
    parser.add_argument("--priorities", action="store_true", help="bulk, normal, and resets in between")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    plan = Plan(options.mailboxes, options.mails, options.speed, has_priorities=options.priorities)
    with tempfile.TemporaryDirectory(prefix="burst-") as folder:
        found = summary(run(Path(folder), plan), plan) | {"machine": facts(Path(folder))}
    text = json.dumps(found, indent=2)
    print(text)
    if options.output is not None:
        options.output.write_text(text + "\n")
    raise SystemExit(0 if not found["refusals"] and not found["violations"] and not found["lost"] else 1)


def summary(result: Result, plan: Plan) -> dict[str, object]:
    """What is to be kept of a run. Times are the tenant's but for `seconds`."""
    report, resets = result.report, result.resets()
    ids = {str(mail["message_id"]) for mail in result.mails}
    waits = sorted(waited for waited, _ in resets)
    found: dict[str, object] = {
        "mailboxes": plan.mailboxes,
        "mails": result.sent,
        "speed": plan.speed,
        "seconds": round(result.seconds, 1),
        "refusals": dict(report.refusals),
        "violations": dict(report.violations),
        "lost": result.sent - len(ids),
        "repeated": report.duplicates,
        "most_in_a_minute": max(each.peak_messages for each in report.mailboxes.values()),
        "allowed_in_a_minute": MINUTE,
        "most_connections": max(each.peak_connections for each in report.mailboxes.values()),
        "no_deliverer_s": round(result.down_s, 1),
        "used": round(result.used(), 4),
        "used_while_there_was_a_deliverer": round(result.used_while_up(), 4),
    }
    if waits:
        found["resets"] = {
            "count": len(waits),
            "waited_s_p50": round(statistics.median(waits), 2),
            "waited_s_max": round(waits[-1], 2),
            "others_before_max": max(before for _, before in resets),
        }
    return found


if __name__ == "__main__":
    main()
