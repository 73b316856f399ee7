"""The history at size: fill it as the deliverer does, then ask what administrators ask.

    python -m benchmarks.history [--steps 2000000] [--folder DIR] [--keep]

Filling goes through the writer with batches of events, as in the relay: mails of a month,
1 in 20 deferred once, 1 in 50 held, 1 in 10 by a Postfix, the others' replies as Microsoft
writes them, each with ids of its own. The questions are asked on a fresh connection, each three times, and the slowest counts;
the page cache is as the filling left it.
"""

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks.facts import facts
from relay.cli.patience import for_a_moment
from relay.message.queue_id import EPOCH_MS, format_id
from relay.trace import event as events
from relay.trace.event import Event
from relay.trace.history import database, erasure, flow, mail
from relay.trace.history.flow import Span
from relay.trace.history.options import FILE, HistoryOptions
from relay.trace.history.question import Wanted, find, search
from relay.trace.history.state import State
from relay.trace.history.writer import Writer
from tests.fakes.clock import FakeClock

BATCH = 2_000
MONTH_S = 2_592_000
END = 1_800_000_000.0
HELD = "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient %s not found by SMTP address lookup"
DEFERRED = "451 4.7.500 Server busy. Please try again later from [203.0.113.%d]. (AS761) [SY%d.prod 2026-11-25T00:00:00.000Z 08DC%012X]"
POSTFIX = "250 2.0.0 Ok: queued as 4X%010X"
TAKEN = "250 2.0.0 OK <%s> [Hostname=SYBP282MB%04d.AUSP282.PROD.OUTLOOK.COM]"


def main() -> None:
    """One run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--steps", type=int, default=2_000_000)
    parser.add_argument(
        "--folder", type=Path, help="where the file lies; it is not removed, and one that is there is asked"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="history-") as name:
        folder = options.folder or Path(name)
        filled = {} if (folder / FILE).exists() else fill(folder, options.steps)
        found = {"machine": facts(folder)} | filled | _ask(folder / FILE)
        found |= _purge(folder)
    print(json.dumps(found, indent=2))


def mails(steps: int) -> Iterator[tuple[float, Event]]:
    """Events of mails until there are so many steps."""
    rng = random.Random(5)
    count, number = 0, 0
    total = steps * 100 // 105
    while count < steps:
        number += 1
        at = END - MONTH_S + MONTH_S * number / total
        id = format_id(int(at * 1000 - EPOCH_MS) << 22 | number & 0xFFFF)
        message_id = f"{number}.{rng.getrandbits(48):012x}@mail.example.com"
        to = f"customer{rng.randrange(total // 3)}@{_domain(rng)}"
        yield (
            at,
            events.MailQueued(
                id, f"<{message_id}>", f"team{rng.randrange(200)}@contoso.com", (to,), 10_240,
                f"10.0.0.{rng.randrange(40)}", "", "normal", f"campaign-{number // 20_000}" if number % 3 else "", at,
            ),
        )  # fmt: skip
        route, host = "exchange-online", "smtp.office365.com"
        if number % 20 == 0:
            count += 1
            reply = DEFERRED % (rng.randrange(256), rng.randrange(9), rng.getrandbits(48))
            yield at + 1, events.Deferred(id, (to,), route, host, reply, 1, at + 60, "relay@contoso.com")
        count += 1
        if number % 50 == 7:
            yield at + 2, events.Held(id, (to,), route, host, HELD % to, 1, "relay@contoso.com")
            continue
        if number % 10 == 3:
            taken = POSTFIX % number
            yield at + 2, events.Delivered(id, (to,), "smarthost", "smtp.example.net", taken, 1, 2.0)
            continue
        hostname = rng.randrange(3_000)
        yield (
            at + 2,
            events.Delivered(
                id, (to,), route, host, TAKEN % (message_id, hostname), 1, 2.0, f"relay{number % 9}@contoso.com",
                f"{rng.getrandbits(64):016X}", "", f"SYBP282MB{hostname:04d}.AUSP282.PROD.OUTLOOK.COM",
            ),
        )  # fmt: skip


def _domain(rng: random.Random) -> str:
    return "gmail.com" if rng.random() < 0.3 else f"company{rng.randrange(50_000)}.example"


def fill(folder: Path, steps: int) -> dict[str, object]:
    """Write a history of so many steps; what that took."""
    writer = Writer(HistoryOptions(folder / FILE), FakeClock(END), lambda event: None)
    writer.open()
    began, made = time.perf_counter(), 0.0
    batch: list[tuple[float, Event]] = []
    written = 0
    slowest = cpu = 0.0

    def write() -> None:
        nonlocal slowest, written, cpu
        at, used = time.perf_counter(), time.process_time()
        writer.write(batch)
        slowest, cpu = max(slowest, time.perf_counter() - at), cpu + time.process_time() - used
        written += len(batch)
        batch.clear()

    making = time.perf_counter()
    for entry in mails(steps):
        batch.append(entry)
        if len(batch) >= BATCH:
            made += time.perf_counter() - making
            write()
            making = time.perf_counter()
    write()
    wall = time.perf_counter() - began - made
    writer.close()
    size = (folder / FILE).stat().st_size
    return {
        "steps": steps,
        "events": written,
        "write_us_an_event": round(wall / written * 1e6, 1),
        "cpu_us_an_event": round(cpu / written * 1e6, 1),
        "slowest_batch_ms": round(slowest * 1000, 1),
        "file_mib": round(size / 2**20),
        "bytes_a_step": round(size / steps),
    }


def _ask(path: Path) -> dict[str, object]:
    with database.reading(path) as connection:
        middle = connection.execute(
            "SELECT id FROM mails WHERE id > (SELECT min(id) / 2 + max(id) / 2 FROM mails) LIMIT 1"
        ).fetchone()[0]
        (some,) = mail.read(connection, [middle])
    end = int(END * 1000)
    hour = 3_600_000
    questions: dict[str, Wanted] = {
        "newest": Wanted(),
        "id": Wanted(id=middle),
        "message_id": Wanted(message_id=some.message_id),
        "recipient": Wanted(recipient=some.recipients[0].address),
        "recipient_domain_rare": Wanted(recipient="@company7.example"),
        "recipient_domain_frequent": Wanted(recipient="@gmail.com"),
        "sender": Wanted(sender=some.sender),
        "sender_unknown": Wanted(sender="nobody@contoso.com"),
        "campaign": Wanted(campaign="campaign-3"),
        "last_2h": Wanted(since_ms=end - 2 * hour),
        "a_day_two_weeks_ago": Wanted(since_ms=end - 15 * 24 * hour, until_ms=end - 14 * 24 * hour),
        "held": Wanted(outcome=State.HELD),
        "held_in_a_day": Wanted(
            outcome=State.HELD, since_ms=end - 15 * 24 * hour, until_ms=end - 14 * 24 * hour
        ),
        "held_of_a_sender_in_a_campaign": Wanted(
            outcome=State.HELD, sender=some.sender, campaign="campaign-3"
        ),
        "reply_words": Wanted(reply="server busy"),
        "reply_words_of_a_recipient": Wanted(reply="not found by smtp", recipient=some.recipients[0].address),
        "reply_id_of_the_next_hop": Wanted(reply=(POSTFIX % 10_003).rpartition(" ")[2]),
        "reply_server_of_microsoft": Wanted(reply="SYBP282MB0007"),
        # No index knows these: mail by mail, with the patience of the command.
        "reply_that_nobody_said": Wanted(reply="no such words"),
        "reply_that_nobody_said_in_a_day": Wanted(
            reply="no such words", since_ms=end - 15 * 24 * hour, until_ms=end - 14 * 24 * hour
        ),
        "delivered": Wanted(outcome=State.DELIVERED),
    }
    found: dict[str, object] = {}
    for name, wanted in questions.items():
        found[name] = _slowest(path, wanted)
    spans = {"report_day": 24, "report_month": 24 * 30}
    reports = {name: _timed(path, Span(end - hours * hour, end)) for name, hours in spans.items()}
    return {"answers_ms": found, "report_ms": reports}


def _slowest(path: Path, wanted: Wanted) -> dict[str, float]:
    slowest, count = 0.0, 0
    for _ in range(3):
        began = time.perf_counter()
        with database.reading(path) as connection:
            found = search(connection, wanted, 100, for_a_moment())
            count = len(list(mail.read(connection, found.ids)))
        slowest = max(slowest, time.perf_counter() - began)
    return {"ms": round(slowest * 1000, 1), "mails": count}


def _timed(path: Path, span: Span) -> float:
    began = time.perf_counter()
    with database.reading(path) as connection:
        flow.flow(connection, span)
    return round((time.perf_counter() - began) * 1000, 1)


def _purge(folder: Path) -> dict[str, object]:
    """A day too old, in slices; and one person."""
    options = HistoryOptions(folder / FILE)
    writer = Writer(replace(options, keep_s=MONTH_S - 86_400), FakeClock(END), lambda event: None)
    writer.open()
    slices: list[float] = []
    more = True
    while more and len(slices) < 200:
        more, seconds = _clocked(writer.purge)
        slices.append(seconds)
    writer.close()
    with database.reading(options.path) as connection:
        (some,) = mail.read(connection, find(connection, Wanted(), 1))
    began = time.perf_counter()
    erased = erasure.erase(options.path, some.recipients[0].address, "benchmark", END)
    return {
        "purge": {"slices": len(slices), "slowest_ms": round(max(slices) * 1000, 1)},
        "erase_ms": round((time.perf_counter() - began) * 1000, 1),
        "erased_mails": erased.mails,
    }


def _clocked(work: Callable[[], bool]) -> tuple[bool, float]:
    began = time.perf_counter()
    return work(), time.perf_counter() - began


if __name__ == "__main__":
    main()
