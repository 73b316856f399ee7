"""`trace erase`: one person's rows, after a question."""

import getpass
import os
import time
from pathlib import Path

import msgspec
import typer
from msgspec import Struct

from relay.cli.audit_note import CommandNote
from relay.cli.trace_find import history_of
from relay.cli.trace_show import printable
from relay.config.read import read
from relay.process.exits import Exit
from relay.trace.history import erasure
from relay.trace.seen import store
from relay.trace.seen.options import FILE


class Line(Struct):
    """For programs."""

    mails: int
    steps: int
    senders: int
    """Of `client seen`, whose lists named the person."""


def run(path: Path, address: str, *, is_sure: bool, as_json: bool) -> Exit:
    """Count, ask, erase."""
    if "@" not in address[1:]:
        raise typer.BadParameter(f"{address!r}: write one address, such as someone@example.com")
    history = history_of(path)
    configuration = read(path, time.time())
    note = CommandNote(configuration)
    there = erasure.count(history, address)
    if not is_sure:
        typer.echo(f"{there.mails:,} mails name {printable(address)}, with {there.steps:,} steps.", err=True)
        typer.confirm("Erase them for good?", abort=True, err=True)
    person = erasure.hashed(history, address)
    erased = erasure.erase(history, address, _who(), time.time())
    # It is recorded before what follows can fail.
    note.put({"event": "history_erased", "person": person, "mails": erased.mails, "steps": erased.steps})
    senders = store.erase(configuration.spool.path / FILE, address)
    if as_json:
        print(msgspec.json.encode(Line(erased.mails, erased.steps, senders)).decode())
    else:
        print(
            f"Erased from the history: {erased.mails:,} mails, {erased.steps:,} steps. The log says so too."
        )
        if senders:
            print(f"Erased from what was seen of senders (client seen): {senders:,} of them.")
        print("Not touched: mail in the queue, logs and metrics written before, and backups of the file.")
    return Exit.OK


def _who() -> str:
    """The user, and who he was before sudo."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = f"uid {os.getuid()}"
    before = os.environ.get("SUDO_USER", "")
    return f"{name} (sudo, {before})" if before.isprintable() and before else name
