"""`trace --follow`: what happens from now on, as the history gets it."""

import csv
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

import msgspec
from msgspec import Struct

from relay.cli import trace_csv
from relay.cli.moment import iso
from relay.cli.trace_find import Form
from relay.message.queue_id import parse_id
from relay.trace.history import database, mail
from relay.trace.history.database import Connection
from relay.trace.history.mail import StepLine
from relay.trace.history.question import Wanted, find

PERIOD_S = 0.5
"""The history itself gets its steps four times a second."""
PAGE = 500
"""Steps looked at together."""


class AcceptedLine(Struct):
    """A mail that came in; for programs, beside steps."""

    id: str
    at: float
    event: str
    sender: str
    recipients: list[str]


class Follower:
    """Steps and mails since the last look; those of mails that are wanted."""

    def __init__(self, path: Path, wanted: Wanted) -> None:
        self._path = path
        self._wanted = wanted
        self._key: bytes | None = None
        """Which history it is: a new one may even have the inode of the one before."""
        self._step = self._mail = 0

    def news(self) -> list[AcceptedLine | StepLine]:
        """In order of time; HistoryError. The first look only says from where on."""
        if not self._path.exists():
            return []
        with database.reading(self._path) as connection:
            key = database.key_of(connection)
            if key != self._key:
                # The first look; or the history was begun anew, and its numbers with it.
                is_first, self._key = self._key is None, key
                self._step = mail.last_step(connection) if is_first else 0
                self._mail = _last_mail(connection) if is_first else 0
                if is_first:
                    return []
            return sorted([*self._accepted(connection), *self._steps(connection)], key=lambda line: line.at)

    def _steps(self, connection: Connection) -> list[StepLine]:
        found: list[StepLine] = []
        while page := mail.steps_after(connection, self._step, PAGE):
            self._step = page[-1].number
            ids = {parse_id(step.id) for step in page}
            wanted = set(find(connection, self._wanted, len(ids), sorted(ids)))
            found += [step for step in page if parse_id(step.id) in wanted]
        return found

    def _accepted(self, connection: Connection) -> Iterator[AcceptedLine]:
        rows = connection.execute("SELECT id FROM mails WHERE id > ? ORDER BY id LIMIT ?", (self._mail, PAGE))
        ids = [row[0] for row in rows.fetchall()]
        if not ids:
            return
        self._mail = ids[-1]
        for each in mail.read(connection, find(connection, self._wanted, len(ids), ids)):
            names = [recipient.address for recipient in each.recipients]
            yield AcceptedLine(each.id, each.accepted_at, "accepted", each.sender, names)


def show(follower: Follower, form: Form, rest: Callable[[float], None] = time.sleep) -> None:
    """Until Ctrl-C."""
    write = _writer(form)
    try:
        while True:
            for line in follower.news():
                write(line)
            rest(PERIOD_S)
    except KeyboardInterrupt:
        return


def _writer(form: Form) -> Callable[[AcceptedLine | StepLine], None]:
    match form:
        case Form.JSON:
            return lambda line: print(msgspec.json.encode(line).decode(), flush=True)
        case Form.CSV:
            return _csv_writer(sys.stdout)
        case Form.TABLE | Form.STEPS:
            from rich.console import Console

            from relay.cli.trace_show import news_line

            console = Console(highlight=False, soft_wrap=True)
            return lambda line: console.print(news_line(line))


def _csv_writer(out: TextIO) -> Callable[[AcceptedLine | StepLine], None]:
    """A line for each recipient of an accepted mail, a line for each step."""
    writer = csv.writer(out, lineterminator="\r\n")
    blank = len(trace_csv.STEP_COLUMNS) - 3

    def write(line: AcceptedLine | StepLine) -> None:
        if isinstance(line, StepLine):
            rows = [trace_csv.tail(line)]
        else:
            rows = [(iso(line.at), line.event, name, *[""] * blank) for name in line.recipients]
        for row in rows:
            writer.writerow([line.id, *map(trace_csv.safe, row)])
        out.flush()

    writer.writerow(["id", *trace_csv.STEP_COLUMNS])
    return write


def _last_mail(connection: Connection) -> int:
    (id,) = connection.execute("SELECT max(id) FROM mails").fetchone()
    return int(id or 0)
