"""`m365-relay report`: mail flow of a time, as text with bars, JSON, CSV or HTML."""

import csv
import sys
import time
from enum import Enum
from pathlib import Path

import msgspec
import typer

from relay.cli import moment, patience
from relay.cli.trace_csv import safe
from relay.cli.trace_find import history_of
from relay.process.exits import Exit
from relay.trace.history import database
from relay.trace.history.flow import Flow, Span, flow

SPAN_MAX_MS = 366 * 86_400_000
"""Hours of a year: a line each."""


class Form(Enum):
    """How it is shown."""

    TEXT = "text"
    JSON = "json"
    CSV = "csv"
    HTML = "html"


def report(path: Path, since: str, until: str, form: Form) -> Exit:
    """Print it."""
    now = time.time()
    span = Span(moment.ms_of(since, now), moment.ms_of(until, now) if until else int(now * 1000))
    if span.since_ms >= span.until_ms:
        raise typer.BadParameter("--since must be before --until")
    if span.until_ms - span.since_ms > SPAN_MAX_MS:
        raise typer.BadParameter("a year at most")
    with database.reading(history_of(path)) as connection, patience.with_a_bar("counting") as go_on:
        found = flow(connection, span, go_on)
    match form:
        case Form.JSON:
            print(msgspec.json.encode(found).decode())
        case Form.CSV:
            _write_csv(found)
        case Form.HTML:
            from relay.cli.report_html import page

            print(page(found, now))
        case Form.TEXT:
            from relay.cli.report_show import show

            show(found)
    return Exit.OK


def _write_csv(found: Flow) -> None:
    """Every part in one table: part, name, and its numbers."""
    writer = csv.writer(sys.stdout, lineterminator="\r\n")
    writer.writerow(
        ["part", "name", "mails", "size", "accepted", "delivered", "deferred", "held", "failed", "meaning"]
    )
    for hour in found.hours:
        counts = (hour.accepted, hour.delivered, hour.deferred, hour.held, hour.failed)
        writer.writerow(["hour", moment.iso(hour.at), "", "", *counts, ""])
    parts = (
        ("outcome", found.outcomes),
        ("sender", found.senders),
        ("route", found.routes),
        ("campaign", found.campaigns),
    )
    for part, counts_of in parts:
        for count in counts_of:
            writer.writerow([part, safe(count.name), count.mails, count.size or "", *[""] * 6])
    for refusal in found.refusals:
        writer.writerow(["refusal", safe(refusal.reply), refusal.times, "", *[""] * 5, refusal.meaning])
