"""`audit report`: the answers of a period as text, JSON or a page."""

import datetime
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import typer

from relay.audit.log import TAIL_BYTES
from relay.audit.page import page
from relay.audit.report import Report, Section, between
from relay.audit.row import Row
from relay.audit.verify import Verdict
from relay.audit.verify import verify as examine
from relay.cli.audit_verify import keys_in, keys_of, recorded, sentence
from relay.cli.client_list import token_ways
from relay.cli.policy_rows import policy_rows
from relay.config.configuration import Configuration
from relay.config.read import find, read
from relay.identity.client import Client
from relay.process.exits import Exit
from relay.receive.options import Auth

if TYPE_CHECKING:
    from rich.text import Text

DAYS = 30
DAY_S = 86_400.0
MOMENTS = ("when", "first", "last")
"""Columns of the report."""


def report(
    since: str | None,
    until: str | None,
    config: Path | None,
    key_files: Sequence[Path],
    *,
    as_json: bool,
    as_html: bool,
) -> Exit:
    """FOUND when the chain is not whole: the report is told all the same."""
    now = time.time()
    begin = now - DAYS * DAY_S if since is None else _moment("--since", since)
    end = now if until is None else _moment("--until", until)
    configuration = read(find(config), now)
    files = recorded(configuration)
    verdict = examine(files, keys_in(key_files) or keys_of(configuration), {})
    found = Report()
    for row in between(_rows(files), begin, end):
        found.take(row)
    sections = [rights(configuration), *found.sections()]
    if as_json:
        print(_json(begin, end, verdict, sections))
    elif as_html:
        period = f"From {_words(begin)} to {_words(end)}; who may send as of {_words(now)}."
        title = f"Audit report of {configuration.relay.hostname}"
        is_good = not verdict.problem_count
        print(page(title, period, sentence(verdict), is_good=is_good, sections=sections), end="")
    else:
        _print(f"From {_words(begin)} to {_words(end)}. {sentence(verdict)}", sections)
    return Exit.FOUND if verdict.problem_count else Exit.OK


def rights(configuration: Configuration) -> Section:
    """Who may send as whom: clients, and whoever a listener serves without knowing who he is."""
    section = Section(
        "rights",
        "Who may send as whom, as of now?",
        ("who", "proves itself by", "envelope senders", "From", "other rules", "state"),
    )
    section.rows += [_of_client(client) for client in configuration.clients.clients]
    for listener in configuration.listeners:
        if listener.options.auth is not Auth.REQUIRED:
            where = f"{', '.join(listener.options.networks)} at {listener.options.name}"
            section.rows.append(
                ("anybody", f"network {where}", "any that a route takes", "any", "", "enabled")
            )
    return section


def _of_client(client: Client) -> tuple[str, ...]:
    ways = [f"login {client.username}"] if client.username else []
    ways += [f"certificate {each}" for each in client.certificates] + [
        f"network {each}" for each in client.networks
    ]
    ways += [f"tokens of {each}" for each in token_ways(client)]
    policy = client.policy
    return (
        client.name,
        ", ".join(ways),
        "any" if policy.senders is None else ", ".join(policy.senders) or "none",
        "any" if policy.authors is None else ", ".join(policy.authors) or "none",
        ", ".join(f"{key}: {value}" for key, value in policy_rows(policy)),
        "disabled" if client.is_disabled else "enabled",
    )


def _rows(files: Sequence[Path]) -> Iterator[Row]:
    """What can be read; what cannot is the verdict's matter."""
    for path in files:
        with open(path, "rb") as file:
            while line := file.readline(TAIL_BYTES):
                try:
                    yield msgspec.json.decode(line, type=dict[str, object])
                except msgspec.DecodeError:
                    continue


def _moment(option: str, text: str) -> float:
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f'{option}: write "2026-11-01" or "2026-11-01T08:00:00Z", not "{text}"'
        ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()


def _words(moment: float) -> str:
    return f"{datetime.datetime.fromtimestamp(moment, datetime.UTC):%Y-%m-%d %H:%M} UTC"


def _json(begin: float, end: float, verdict: Verdict, sections: Sequence[Section]) -> str:
    answers = {
        section.name: {
            "question": section.question,
            "rows": [dict(zip(section.columns, row, strict=True)) for row in section.rows],
            "left_out": section.left_out,
        }
        for section in sections
    }
    return msgspec.json.encode({"since": begin, "until": end, "chain": verdict, "answers": answers}).decode()


def _cell(column: str, said: str) -> "Text":
    from rich.text import Text

    if column in MOMENTS:
        # To the second; JSON has it as it was written.
        return Text(said[:19].replace("T", " "))
    # What a client calls itself must not steer a terminal.
    return Text("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in said))


def _print(head: str, sections: Sequence[Section]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    console.print(Text(head), soft_wrap=True)
    for section in sections:
        console.print()
        console.print(Text(section.question, style="bold"))
        if not section.rows:
            console.print(Text("Nothing in this period."))
            continue
        table = Table()
        for column in section.columns:
            # An auditor needs the whole key and address, however narrow the terminal is.
            table.add_column(column, overflow="fold", no_wrap=column in MOMENTS)
        for row in section.rows:
            table.add_row(*map(_cell, section.columns, row))
        console.print(table)
        if section.left_out:
            console.print(Text(f"And {section.left_out} more."))
