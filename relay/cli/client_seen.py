"""`client seen`: who sends by which way, from the record that the receivers keep.

The inventory of a migration: who still sends a password (`--basic-auth`), who sends without
TLS, who is no client yet. What senders wrote is shown with nothing that moves a cursor.
"""

import csv
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import msgspec
from msgspec import Struct

from relay.cli.moment import iso, local, ms_of
from relay.cli.trace_csv import safe
from relay.cli.trace_show import printable
from relay.config.configuration import Configuration
from relay.config.read import find, read
from relay.process.exits import Exit
from relay.trace.seen import store
from relay.trace.seen.options import FILE
from relay.trace.seen.sighting import Sighting, Who, is_basic, is_unknown

SHOWN_MAX = 4
"""Of a list, in a table; --json and --csv have all."""


class Form(Enum):
    """How it is shown."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to show; all that is asked must hold."""

    basic_auth: bool = False
    plain_text: bool = False
    unknown: bool = False
    since: str = ""


class Row(Struct):
    """One sender, as it is told."""

    client: str
    """Empty: nobody we know by name."""
    address: str
    way: str
    tls: list[str]
    """Version and cipher; an empty one is none."""
    mails: int
    mails_without_tls: int
    senders: list[str]
    authors: list[str] = msgspec.field(name="from")
    outside: int = 0
    """Recipients that are not the tenant's own; counted for those who are no client."""
    domains: list[str] = []
    """Of these."""
    largest: int = 0
    recipients_most: int = 0
    busiest_day: int = 0
    helos: list[str] = []
    routes: list[str] = []
    logins_tried: list[str] = []
    refused: int = 0
    refusals: list[str] = []
    first: str = ""
    last: str = ""
    not_all: list[str] = []
    """Lists above that are cut."""


def run(config: Path | None, wanted: Wanted, form: Form) -> Exit:
    """Print what fits, those that were seen last first."""
    now = time.time()
    since = ms_of(wanted.since, now) / 1000 if wanted.since else 0.0
    configuration = read(find(config), now)
    found = [
        (who, seen)
        for who, seen in sightings(configuration)
        if fits(who, seen, wanted) and seen.last >= since
    ]
    rows = [row_of(who, seen) for who, seen in found]
    match form:
        case Form.JSON:
            print(msgspec.json.encode(rows).decode())
        case Form.CSV:
            _write(rows)
        case Form.TABLE if not rows:
            print(_nothing(configuration, wanted))
        case Form.TABLE:
            _show(rows, [seen.last for _, seen in found])
    return Exit.OK


def sightings(configuration: Configuration) -> Iterator[tuple[Who, Sighting]]:
    """All that is recorded; SeenError."""
    return store.read(configuration.spool.path / FILE)


def fits(who: Who, seen: Sighting, wanted: Wanted) -> bool:
    """Is it one of those that are asked for?"""
    if wanted.basic_auth and not is_basic(who, seen):
        return False
    if wanted.plain_text and not (seen.plain or any(" without TLS " in each for each in seen.tried)):
        return False
    return not wanted.unknown or is_unknown(who)


def row_of(who: Who, seen: Sighting) -> Row:
    """A sender as it is told."""
    return Row(
        who.account,
        who.address,
        who.way,
        sorted(seen.tls),
        seen.mails,
        seen.plain,
        sorted(each or "<>" for each in seen.senders),
        sorted(seen.authors),
        seen.outside,
        sorted(seen.domains),
        seen.largest,
        seen.recipients_most,
        seen.busiest,
        sorted(seen.helos),
        sorted(seen.routes),
        sorted(seen.tried),
        seen.refused,
        sorted(seen.refusals),
        iso(seen.first),
        iso(seen.last),
        sorted(seen.more),
    )


def _nothing(configuration: Configuration, wanted: Wanted) -> str:
    if not configuration.inventory.enabled:
        return "Nothing is recorded: inventory.enabled is false in the configuration."
    if wanted != Wanted():
        return "Nobody was seen who fits that."
    return "Nobody was seen yet; the relay writes down who sends some seconds after it does."


def _show(rows: Sequence[Row], last: Sequence[float]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    table = Table("client", "address", "way in", "TLS", "sends as", "mails", "last seen")
    for row, at in zip(rows, last, strict=True):
        cells = (
            row.client or "(unknown)",
            row.address,
            row.way,
            _cut([each or "none" for each in row.tls]),
            _cut(row.senders),
            f"{row.mails:,}",
            local(at),
        )
        table.add_row(*map(Text, cells))
    console.print(table)
    # Below it: they are sentences, and a terminal of 80 columns has no room for them beside the rest.
    for row in rows:
        if notes := list(_notes(row)):
            name = f"{row.client} " if row.client else ""
            console.print(Text.assemble((f"{name}{row.address}", "bold"), f" ({row.way})"), soft_wrap=True)
            for note in notes:
                console.print(Text(f"  {note}"), soft_wrap=True)


def _notes(row: Row) -> Iterator[str]:
    if row.mails_without_tls:
        yield f"{row.mails_without_tls:,} without TLS"
    for each in row.logins_tried[:SHOWN_MAX]:
        yield f"tried {printable(each)}"
    if row.refused:
        yield f"{row.refused:,} refused"
        for each in row.refusals[:SHOWN_MAX]:
            yield f"refused: {printable(each)}"


def _cut(values: Sequence[str]) -> str:
    shown = [printable(each) for each in values[:SHOWN_MAX]]
    return "\n".join([*shown, f"… {len(values) - SHOWN_MAX} more"] if len(values) > SHOWN_MAX else shown)


def _write(rows: Sequence[Row]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\r\n")
    names = [field.encode_name for field in msgspec.structs.fields(Row)]
    writer.writerow(names)
    for row in rows:
        values = (getattr(row, name) for name in Row.__struct_fields__)
        writer.writerow([safe(" ".join(each) if isinstance(each, list) else each) for each in values])
