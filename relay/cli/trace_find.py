"""`trace find`: from the options to mails, in one of four forms."""

import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

import msgspec
import typer

from relay.cli import moment, patience, trace_csv
from relay.config.read import read
from relay.message.queue_id import parse_id
from relay.process.exits import Exit
from relay.trace.history import database, mail
from relay.trace.history.database import Connection
from relay.trace.history.mail import MailLine
from relay.trace.history.options import HistoryError
from relay.trace.history.question import Found, Wanted, find, search
from relay.trace.history.rows import time_of
from relay.trace.history.state import OUTCOMES


class Form(Enum):
    """How it is shown."""

    TABLE = "table"
    """A line a mail; the steps, where it is one mail."""
    STEPS = "steps"
    JSON = "json"
    CSV = "csv"


@dataclass(frozen=True, slots=True)
class Search:
    """As the command line has it."""

    word: str = ""
    message_id: str = ""
    sender: str = ""
    recipient: str = ""
    campaign: str = ""
    since: str = ""
    until: str = ""
    outcome: str | None = None
    reply: str = ""
    limit: int = 100
    all: bool = False
    """However long it takes."""

    def wanted(self, now: float) -> Wanted:
        """Without the word, which may mean several things."""
        return Wanted(
            message_id=self.message_id,
            sender=self.sender,
            recipient=self.recipient,
            campaign=self.campaign,
            outcome=None if self.outcome is None else OUTCOMES[self.outcome],
            reply=self.reply,
            since_ms=moment.ms_of(self.since, now) if self.since else None,
            until_ms=moment.ms_of(self.until, now) if self.until else None,
        )


def run(path: Path, asked: Search, form: Form, *, follow: bool) -> Exit:
    """Show what there is; then, where it is followed, what comes."""
    history = history_of(path)
    now = time.time()
    wanted = asked.wanted(now)
    if follow:
        from relay.cli.trace_follow import Follower, show

        with database.reading(history) as connection:
            chosen = choose(connection, asked.word, wanted)
        show(Follower(history, chosen), form)
        return Exit.OK
    with database.reading(history) as connection:
        chosen = choose(connection, asked.word, wanted)
        found = _find(connection, chosen, asked)
        mails = list(mail.read(connection, found.ids))
    _print(mails, form, asked.limit, now)
    if found.back_to is not None:
        back_to = moment.local(time_of(found.back_to) / 1000)
        print(
            f"No index knows these words: mails were looked through one by one, the newest first, back to {back_to}. "
            "--all looks through the others too; --since and --until say where.",
            file=sys.stderr,
        )
    return Exit.OK


def _find(connection: Connection, wanted: Wanted, asked: Search) -> Found:
    if not asked.all:
        return search(connection, wanted, asked.limit, patience.for_a_moment())
    with patience.with_a_bar("looking through the history") as go_on:
        return search(connection, wanted, asked.limit, go_on)


def history_of(path: Path) -> Path:
    """Where the configuration has the history; HistoryError when it keeps none."""
    options = read(path, time.time()).history
    if not options.enabled and not options.path.exists():
        raise HistoryError(f"{path}: history.enabled is false: no history is kept")
    return options.path


def choose(connection: Connection, word: str, wanted: Wanted) -> Wanted:
    """What the word means: a queue id, else what first finds a mail: Message-ID, recipient, sender."""
    if not word:
        return wanted
    try:
        return replace(wanted, id=parse_id(word))
    except ValueError as error:
        if "@" not in word and not word.startswith("<"):
            raise typer.BadParameter(f"{error}; nor is it a Message-ID or an address") from None
    by_message, by_recipient, by_sender = (
        replace(wanted, message_id=word),
        replace(wanted, recipient=word),
        replace(wanted, sender=word),
    )
    for meaning in (by_message, by_recipient, by_sender):
        if find(connection, meaning, 1):
            return meaning
    return by_message if word.startswith("<") else by_recipient


def _print(mails: Sequence[MailLine], form: Form, limit: int, now: float) -> None:
    match form:
        case Form.JSON:
            write_lines(msgspec.json.encode(each).decode() for each in mails)
        case Form.CSV:
            trace_csv.write(sys.stdout, mails)
        case Form.STEPS | Form.TABLE:
            from relay.cli import trace_show

            trace_show.show(mails, limit, now, with_steps=form is Form.STEPS or len(mails) == 1)


def write_lines(lines: Iterable[str]) -> None:
    """One a line."""
    for line in lines:
        print(line)
