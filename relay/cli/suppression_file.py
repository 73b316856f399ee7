"""`suppression import` and `export`: the list as CSV, so that it can go elsewhere and come back.

    address,since,until,reply
    bob@example.net,2026-11-25T02:00:00Z,2026-12-09T02:00:00Z,550 5.1.1 No such user

A line may end behind the address: then it is suppressed from now on, as by `add`.
"""

import csv
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from relay.cli.audit_note import CommandNote
from relay.cli.suppression_list import changed, checked, duration_s, in_force, moment, opened, reply_of
from relay.config.read import read
from relay.errors import ConfigurationError
from relay.process.exits import Exit
from relay.spool.change import Suppress
from relay.spool.suppressed import Suppressed

HEAD = ["address", "since", "until", "reply"]
SLICE = 1_000
"""Addresses in one commit: a running relay writes in between."""


def export_file(path: Path) -> Exit:
    """Write all that are in force to standard output."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(HEAD)
    with opened(read(path, time.time()), read_only=True) as store:
        for address, found in in_force(store, time.time()):
            writer.writerow([address, moment(found.since), moment(found.until), found.reply])
    return Exit.OK


def import_file(path: Path, file: Path, for_: str | None) -> Exit:
    """Enter all lines whose time is not over; nothing is entered when one of them is wrong."""
    configuration, now = read(path, time.time()), time.time()
    there = _read(file, duration_s(for_, configuration), now)
    rows = [row for row in there if not row[1].is_over(now)]
    note = CommandNote(configuration)
    entered = 0
    try:
        with opened(configuration) as store:
            for start in range(0, len(rows), SLICE):
                store.apply([Suppress(tuple(rows[start : start + SLICE]))])
                entered = min(len(rows), start + SLICE)
    finally:
        # Also what a full disk cut short.
        note.put(changed("import", [key for key, _ in rows[:entered]]) | {"file": str(file)})
    over = len(there) - len(rows)
    print(f"{len(rows)} addresses were entered" + (f", {over} not: their time is over" if over else ""))
    return Exit.OK


def _read(file: Path, for_s: float, now: float) -> list[tuple[bytes, Suppressed]]:
    rows = []
    try:
        with open(file, newline="", encoding="utf-8-sig") as lines:
            for number, line in enumerate(csv.reader(lines), 1):
                if line and line != HEAD:
                    rows.append(_row(f"{file}, line {number}", line, for_s, now))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(f"{file} cannot be read: {error}") from None
    return rows


def _row(where: str, line: list[str], for_s: float, now: float) -> tuple[bytes, Suppressed]:
    address, since, until, *reply = [part.strip() for part in (*line, "", "", "")][:4]
    try:
        since_at = _moment(since) if since else now
        until_at = _moment(until) if until else since_at + for_s
        return checked(address), Suppressed(since_at, until_at, reply_of(" ".join(reply)))
    except (ConfigurationError, ValueError) as error:
        raise ConfigurationError(f"{where}: {error}") from None


def _moment(text: str) -> float:
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
