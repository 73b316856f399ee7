"""`webhook replay` and `webhook skip`: an order for the webhooks' process, left beside the webhook's file.

It is carried out within seconds, or at the next start; the relay records it then, with who gave it.
"""

import secrets
import time
from pathlib import Path

import typer

from relay.cli.audit_note import who
from relay.cli.moment import ms_of
from relay.cli.webhook_named import named, webhooks
from relay.process.exits import Exit
from relay.trace.history import database, passage
from relay.webhook.options import Webhooks
from relay.webhook.position import Order, PositionFile


def replay(path: Path, name: str, since: str, *, is_sure: bool) -> Exit:
    """Go back to what happened then."""
    told = webhooks(path)
    named(told, name)
    cursor = passage.before(told.history, ms_of(since, time.time()))
    last = _last(told)
    question = (
        f"{name} is told again what of the last {max(0, last - cursor):,} steps of the history is for it"
    )
    return _move(told, name, "replay", cursor, question, is_sure=is_sure)


def skip(path: Path, name: str, *, is_sure: bool) -> Exit:
    """Go on with what happens from now on."""
    told = webhooks(path)
    named(told, name)
    return _move(told, name, "skip", _last(told), f"{name} is never told what waits for it", is_sure=is_sure)


def _last(told: Webhooks) -> int:
    with database.reading(told.history) as connection:
        return passage.known(connection).last


def _move(told: Webhooks, name: str, do: str, cursor: int, question: str, *, is_sure: bool) -> Exit:
    if not is_sure:
        typer.confirm(f"{question}. Go on?", abort=True, err=True)
    PositionFile(told.folder, name).leave_order(Order(secrets.token_hex(8), do, who(), cursor))
    print(f"{name} goes on behind step {cursor} within seconds; when no relay runs, at its next start")
    return Exit.OK
