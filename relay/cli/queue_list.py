"""`queue list`: the mails in the spool, oldest first, read from the disk directly."""

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import typer
from msgspec import Struct

from relay.cli.moment import local
from relay.config.read import read
from relay.message.envelope import Envelope
from relay.message.queue_id import format_id
from relay.process.exits import Exit
from relay.spool.change import RecipientState
from relay.spool.entry import Damaged
from relay.spool.selection import Picker, Selection, status_word
from relay.spool.store import Store

PAGE = 500


class RecipientLine(Struct):
    """Where one recipient stands."""

    address: str
    route: str
    status: str
    attempts: int = 0
    next_attempt: float = 0.0
    reply: str = ""


class Line(Struct):
    """One mail."""

    id: str
    received_at: float = 0.0
    size: int = 0
    sender: str = ""
    client: str = ""
    priority: str = "normal"
    campaign: str = ""
    original_sender: str | None = None
    """What the client gave, where `sender` was rewritten."""
    uncertain: str | None = None
    """What to do when the reply to its content is lost; None: as its route says."""
    not_before: float | None = None
    """Its sender wants it to leave no earlier, seconds since the epoch."""
    deadline: float | None = None
    """Nor later than this."""
    recipients: list[RecipientLine] = []
    damaged: str = ""


def show(path: Path, selection: Selection, *, held: bool, deferred: bool, limit: int, as_json: bool) -> Exit:
    """Print at most `limit` of the mails asked for."""
    if selection != Selection() and selection.problem:
        raise typer.BadParameter(selection.problem)
    now = time.time()
    store = Store.open(read(path, now).spool, read_only=True)
    try:
        wanted = {name for name, is_wanted in (("held", held), ("deferred", deferred)) if is_wanted}
        if held:
            # It waits for a decision, too.
            wanted.add("uncertain")
        picker = None if selection == Selection() else Picker(selection, now)
        lines = list(_first(_lines(store, picker), wanted, limit))
    finally:
        store.close()
    if as_json:
        for line in lines:
            print(msgspec.json.encode(line).decode())
    else:
        _print_table(lines, limit)
    return Exit.OK


def _first(lines: Iterator[Line], wanted: set[str], limit: int) -> Iterator[Line]:
    count = 0
    for line in lines:
        if wanted and not any(recipient.status in wanted for recipient in line.recipients):
            continue
        yield line
        count += 1
        if count == limit:
            return


def _lines(store: Store, picker: Picker | None) -> Iterator[Line]:
    """Without a picker, all of them."""
    after, sieve = 0, b"" if picker is None else picker.sieve
    while (page := store.page(after, PAGE, sieve)).looked_at:
        for mail in page.mails:
            if isinstance(mail, Damaged):
                if picker is None:
                    yield Line(id=format_id(mail.id), damaged=f"{mail.table}: {mail.reason}")
            elif picker is None or picker.pick(mail.envelope, mail.states):
                yield _line(mail.envelope, mail.states)
        after = page.last


def _line(mail: Envelope, states: tuple[RecipientState, ...]) -> Line:
    return Line(
        id=format_id(mail.id),
        received_at=mail.received_at,
        size=mail.size,
        sender=_text(mail.sender),
        client=mail.client,
        priority=mail.priority.word,
        campaign=mail.campaign,
        original_sender=None if mail.original_sender is None else _text(mail.original_sender),
        uncertain=None if mail.uncertain is None else mail.uncertain.value,
        not_before=mail.not_before or None,
        deadline=mail.deadline or None,
        recipients=[
            RecipientLine(
                _text(recipient.address),
                recipient.route,
                status_word(state),
                state.attempts,
                state.next_attempt,
                state.reply,
            )
            for recipient, state in zip(mail.recipients, states, strict=True)
        ],
    )


def _text(address: bytes) -> str:
    return address.decode("utf-8", "backslashreplace")


def _print_table(lines: list[Line], limit: int) -> None:
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    console = Console(highlight=False)
    if not lines:
        console.print("No such mail waits.")
        return
    table = Table(
        Column("id", no_wrap=True), "age", "size", "priority", "sender", "recipient", "status", "last reply"
    )
    now = time.time()
    for line in lines:
        head = (line.id, _age(now - line.received_at), f"{line.size:,}", _kind(line, now), _sender(line))
        if line.damaged:
            table.add_row(line.id, "", "", "", "", "", Text("damaged", "red"), Text(line.damaged))
        for i, recipient in enumerate(line.recipients):
            style = {"held": "red", "uncertain": "magenta", "deferred": "yellow", "delivered": "green"}.get(
                recipient.status, ""
            )
            start = head if i == 0 else ("", "", "", "", "")
            table.add_row(
                *map(Text, start),
                Text(recipient.address),
                Text(recipient.status, style),
                Text(recipient.reply),
            )
    console.print(table)
    if len(lines) == limit:
        console.print(f"The oldest {limit}; --limit shows more.")


def _kind(line: Line, now: float) -> str:
    """Priority, and below it the campaign and the times that its sender has set."""
    rows = [line.priority, line.campaign]
    if line.not_before is not None and line.not_before > now:
        rows.append(f"not before {local(line.not_before)}")
    if line.deadline is not None:
        rows.append(f"until {local(line.deadline)}")
    return "\n".join(row for row in rows if row)


def _sender(line: Line) -> str:
    sender = line.sender or "<>"
    return sender if line.original_sender is None else f"{sender}\n(was {line.original_sender})"


def _age(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f}{unit}"
    return f"{max(seconds, 0):.0f}s"
