"""The book: the ledger of a process as the spool left it, and what its routes are charged.

It is opened once, before the first mail, and what it found is written back before it is
used: the clock's anchor, and sends under way when the last process ended, which count
from now on.

A row that cannot be read fails safe. Its key may be what is damaged, so nobody knows
which limit it spoke of: every limit counts as used up from now on, for one window. The
damaged row goes in the same commit.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from relay.budget.ledger import Ledger
from relay.budget.limit import Charge, Limit, Place, Unit
from relay.budget.row import TIME, USE, Row, read_use
from relay.budget.timeline import Timeline
from relay.clock import Clock
from relay.route.route import Route
from relay.route.tariff import limits_in_force
from relay.spool.change import Budget
from relay.spool.spool import Spool
from relay.trace import event as trace


@dataclass(frozen=True, slots=True)
class Book:
    """What is counted, and since when."""

    ledger: Ledger
    timeline: Timeline


def open_book(
    spool: Spool, routes: Iterable[Route], clock: Clock, boot: str, record: trace.Record
) -> Book | None:
    """None when no route has a limit over a time. `boot` names this running of the machine; SpoolError."""
    limits = [limit for limit in limits_in_force(routes) if limit.unit is not Unit.CONNECTIONS]
    if not limits:
        return None
    rows, damaged = _readable(spool)
    now, monotonic = clock.now(), clock.monotonic()
    try:
        timeline = Timeline(rows, now, monotonic, boot)
    except ValueError as error:
        damaged += [(key, str(error)) for key, _ in rows if key.startswith(TIME)]
        rows = [row for row in rows if not row[0].startswith(TIME)]
        timeline = Timeline(rows, now, monotonic, boot)
    ledger = Ledger(limits, utc_offset_us=timeline.utc_offset_us)
    ledger.restore(rows, timeline.now(monotonic))
    if damaged:
        ledger.note(_everything(limits), timeline.now(monotonic))
        for key, reason in damaged:
            record(trace.RecordQuarantined("budget", key.hex(), f"{reason}; all limits count as used up"))
    _write_back(spool, ledger, [*((key, None) for key, _ in damaged), *timeline.rows()])
    return Book(ledger, timeline)


def _readable(spool: Spool) -> tuple[list[Row], list[tuple[bytes, str]]]:
    """Rows, and the keys of those that cannot be read."""
    found = spool.budget_rows()
    rows: list[Row] = []
    damaged = list(found.damaged)
    for key, value in found.rows:
        try:
            if key.startswith(USE):
                read_use(key, value)
            rows.append((key, value))
        except ValueError as error:
            damaged.append((key, str(error)))
    return rows, damaged


def _everything(limits: Iterable[Limit]) -> list[Charge]:
    most: dict[Place, int] = {}
    for limit in limits:
        place = Place(limit.scope, limit.key, limit.unit)
        most[place] = max(limit.count, most.get(place, 0))
    return [Charge(*place, count) for place, count in most.items()]


def _write_back(spool: Spool, ledger: Ledger, rows: list[Row]) -> None:
    batch = ledger.changes()
    spool.apply([Budget((*rows, *(batch.rows if batch else ())))])
    if batch:
        ledger.committed(batch)
