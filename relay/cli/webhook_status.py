"""`webhook status`: how far each has got, read from its file and the history; also while the relay runs."""

import time
from pathlib import Path

import msgspec
from msgspec import Struct

from relay.cli.moment import length, local
from relay.cli.webhook_named import webhooks
from relay.process.exits import Exit
from relay.trace.history import database, passage
from relay.webhook.look import placed, wanted_by
from relay.webhook.options import WebhookOptions, Webhooks
from relay.webhook.position import Position, PositionFile

COUNTED_MAX = 10_000
"""Events that wait: more is "more"."""
LOOKS_MAX = 40
"""Of 5,000 steps each, for those who want few of very many: some two seconds."""


class Status(Struct):
    """One line."""

    name: str
    state: str
    """not begun, up to date, behind, failing."""
    cursor: int
    waiting: int
    """Events that its receiver has not taken."""
    is_more: bool
    """There are more than that."""
    waiting_since: float | None
    """When the first of them happened."""
    missing: int
    """Steps that were lost, to be told with the next batch."""
    sent: int
    sent_at: float
    tried_at: float
    failures: int
    answer: str
    next_at: float


def show(path: Path, *, as_json: bool) -> Exit:
    """Print them; FOUND when one fails."""
    told = webhooks(path)
    found = [_status(told, options) for options in told.hooks]
    if as_json:
        for each in found:
            print(msgspec.json.encode(each).decode())
    else:
        _print(found)
    return Exit.FOUND if any(each.state == "failing" for each in found) else Exit.OK


def _status(told: Webhooks, options: WebhookOptions) -> Status:
    position = PositionFile(told.folder, options.name).read()
    if position is None:
        return Status(options.name, "not begun", 0, 0, False, None, 0, 0, 0.0, 0.0, 0, "", 0.0)
    waiting, is_more, since = _waiting(told.history, position, options)
    state = "failing" if position.failures else "behind" if waiting else "up to date"
    return Status(
        options.name, state, position.cursor, waiting, is_more, since, position.missing, position.sent,
        position.sent_at, position.tried_at, position.failures, position.answer, position.next_at,
    )  # fmt: skip


def _waiting(path: Path, position: Position, options: WebhookOptions) -> tuple[int, bool, float | None]:
    """How many events wait, whether there are more, and when the first of them happened."""
    if not path.exists():
        return 0, False, None
    wanted, count, since = wanted_by(options), 0, None
    with database.reading(path) as connection:
        history = passage.known(connection)
        after = placed(position, history).cursor
        for _ in range(LOOKS_MAX):
            if after >= history.last or count >= COUNTED_MAX:
                break
            found = passage.read(connection, after, history.last, wanted, COUNTED_MAX - count)
            after, count = found.upto, count + len(found.steps)
            if since is None and found.steps:
                since = found.steps[0].at_ms / 1000
    return count, after < history.last, since


def _print(found: list[Status]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    styles = {"failing": "red", "behind": "yellow", "up to date": "green", "not begun": ""}
    now = time.time()
    table = Table("name", "state", "waiting", "told", "last answer", "next attempt")
    for each in found:
        waits = f"{'more than ' if each.is_more else ''}{each.waiting:,}"
        if each.waiting_since is not None:
            waits += f", since {length(max(0.0, now - each.waiting_since))}"
        if each.missing:
            waits += f"; {each.missing:,} steps lost"
        answer = f"{each.answer} ({local(each.tried_at)})" if each.tried_at else ""
        if each.failures:
            answer += f", {each.failures} failed in a row"
        table.add_row(
            Text(each.name), Text(each.state, styles[each.state]), Text(waits), Text(f"{each.sent:,}"),
            Text(answer), Text(local(each.next_at) if each.next_at else ""),
        )  # fmt: skip
    Console(highlight=False).print(table)
