"""`trace erase`: one person's rows, after a question."""

import getpass
import os
import sys
import time
from pathlib import Path

import msgspec
import typer
from msgspec import Struct

from relay.cli.audit_note import CommandNote
from relay.cli.suppression_list import moment, opened
from relay.cli.trace_find import history_of
from relay.cli.trace_show import printable
from relay.config.configuration import Configuration
from relay.config.read import read
from relay.errors import RecordDamaged
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
    mentions: int
    """Replies to others that named the person."""
    is_whole: bool
    """False: somebody reads the history, and what was erased stands beside it until this is run again."""
    suppressed_until: str
    """Its place on the suppression list is not touched; empty: it has none."""


def run(path: Path, address: str, *, is_sure: bool, as_json: bool) -> Exit:
    """Count, ask, erase; FOUND when something of it is left because somebody reads on."""
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
    senders, is_seen_whole = store.erase(configuration.spool.path / FILE, address)
    is_whole = erased.is_whole and is_seen_whole
    until = _suppressed_until(configuration, address)
    if as_json:
        line = Line(erased.mails, erased.steps, senders, erased.mentions, is_whole, until)
        print(msgspec.json.encode(line).decode())
    else:
        print("\n".join(_sentences(erased, senders, address, until)))
    if is_whole:
        return Exit.OK
    file = configuration.spool.path / FILE if erased.is_whole else history
    print(
        f"Somebody reads it (a trace, a report, a copy): what was erased still lies in {file}-wal. "
        "Run this again when that has ended.",
        file=sys.stderr,
    )
    return Exit.FOUND


def _sentences(erased: erasure.Erased, senders: int, address: str, until: str) -> list[str]:
    lines = [f"Erased from the history: {erased.mails:,} mails, {erased.steps:,} steps. The log says so too."]
    if erased.mentions:
        lines.append(f"Struck out of replies that name the address: {erased.mentions:,} of them.")
    if senders:
        lines.append(f"Erased from what was seen of senders (client seen): {senders:,} of them.")
    lines.append(
        "Not touched: mail in the queue and what a digest is yet to tell, the audit log, logs and metrics written "
        "before, and backups of the file."
    )
    if until:
        lines.append(
            f"Nor the suppression list, where it stands until {until}: m365-relay suppression remove "
            f"{printable(address)}"
        )
    return lines


def _suppressed_until(configuration: Configuration, address: str) -> str:
    """Until when no mail is taken for it; empty: it is."""
    if not (configuration.spool.path / "data.mdb").exists():
        return ""
    with opened(configuration, read_only=True) as store:
        try:
            found = store.suppressed(address.encode("utf-8", "surrogateescape"))
        except RecordDamaged:
            return ""
    return "" if found is None or found.is_over(time.time()) else moment(found.until)


def _who() -> str:
    """The user, and who he was before sudo."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = f"uid {os.getuid()}"
    before = os.environ.get("SUDO_USER", "")
    return f"{name} (sudo, {before})" if before.isprintable() and before else name
