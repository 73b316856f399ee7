"""`check-config`: what is wrong, or what is in force."""

import grp
import time
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path

import msgspec

from relay.cli.client_rows import client_rows
from relay.cli.dkim_rows import dkim_rows
from relay.cli.learning_rows import learning_rows
from relay.cli.login_rows import login_rows
from relay.cli.spoofing_rows import spoofing_rows
from relay.cli.webhook_rows import webhook_rows
from relay.config.configuration import Configuration
from relay.config.options import key_of
from relay.config.problem import InvalidConfiguration
from relay.config.read import read
from relay.config.value import written_time
from relay.message.priority import Priority
from relay.process.exits import Exit
from relay.queue.weights import CampaignWeight
from relay.route.hours import Hours
from relay.route.match import Match
from relay.route.tariff import describe

Row = tuple[str, str]


def check(path: Path, *, as_json: bool) -> Exit:
    """Print the judgement; CONFIGURATION when the relay would not start with it."""
    try:
        configuration = read(path, time.time())
    except InvalidConfiguration as error:
        _print_problems(error, as_json)
        return Exit.CONFIGURATION
    if as_json:
        report: dict[str, object] = {
            "path": str(path),
            "problems": [],
            "warnings": configuration.warnings,
            "in_force": dict(in_force(configuration)),
        }
        print(msgspec.json.encode(report).decode())
    else:
        _print_table(configuration)
    return Exit.OK


def in_force(configuration: Configuration) -> list[Row]:
    """Every key with its value, defaults included, secrets not."""
    rows = _rows("relay", configuration.relay, ())
    rows += _rows("spool", configuration.spool, ("keys",))
    rows += [("spool.keys", ", ".join(key.mark.hex() for key in configuration.spool.keys) or "(none)")]
    for i, listener in enumerate(configuration.listeners):
        rows += [(f"listener[{i}].address", listener.options.name)]
        rows += _rows(f"listener[{i}]", listener.options, ("name",))
        files = ("certificate", "key", "client_ca_file", "client_crl_file")
        for key, file in ((name, getattr(listener, name)) for name in files):
            rows += [(f"listener[{i}].{key}", str(file))] if file else []
    for i, route in enumerate(configuration.routes):
        skip = (
            "credentials",
            "mailboxes",
            "mailbox_rules",
            "limits",
            "matches",
            "hours",
            "mx_of" if route.hosts else "hosts",
        )
        rows += _rows(f"route[{i}]", route, skip)
        rows += [
            row
            for j, match in enumerate(route.matches)
            for row in _match_rows(f"route[{i}].match[{j}]", match)
        ]
        rows += [(f"route[{i}].limit[{j}]", describe(row)) for j, row in enumerate(route.limits)]
        rows += [(f"route[{i}].hours[{j}]", _hours(row)) for j, row in enumerate(route.hours)]
        rows += login_rows(f"route[{i}]", route)
    for i, rewrite in enumerate(configuration.rewrites):
        rows += _rows(f"rewrite[{i}]", rewrite, ())
    rows += _rows("report", configuration.report, ("hostname",))
    rows += _rows("tenant", configuration.tenant, ())
    if configuration.graph is not None:
        rows += _rows("graph", configuration.graph, ("application",))
        rows += [("graph.application", str(configuration.graph.application))]
    rows += spoofing_rows(configuration.spoofing)
    rows += dkim_rows(configuration.dkim, time.time())
    rows += client_rows(configuration.clients)
    rows += learning_rows(configuration.learning, configuration.inventory)
    if configuration.inbound is not None:
        rows += _rows("oauth_inbound", configuration.inbound, ())
    rows += _rows("limits", configuration.limits, ())
    rows += _rows("brakes", configuration.brakes, ())
    rows += _rows(
        "deliver", configuration.deliverer, ("hostname", "handover_path", "weights", "campaign_weights")
    )
    rows += campaign_rows(configuration.deliverer.campaign_weights)
    control = configuration.control
    rows += [("control.path", str(control.path)), ("control.mode", f"{control.mode:04o}")]
    if control.group is not None:
        rows += [("control.group", grp.getgrgid(control.group).gr_name)]
    rows += _rows("history", configuration.history, ())
    if configuration.audit is not None:
        rows += _rows("audit", configuration.audit, ("key",))
        rows += [("audit.key", "is set" if configuration.audit.key else "(none)")]
    rows += webhook_rows(configuration.webhooks)
    if configuration.console is not None:
        rows += [("console.address", f"{configuration.console.host}:{configuration.console.port}")]
    return rows


def campaign_rows(weights: Sequence[CampaignWeight]) -> list[Row]:
    """What campaigns weigh, in the order in which they are looked at."""
    return [
        (f"campaign[{i}].{key}", value)
        for i, each in enumerate(weights)
        for key, value in (("match", each.match), ("weight", str(each.weight)))
    ]


def _hours(hours: Hours) -> str:
    """When, and for which mail."""
    words = [priority.word for priority in hours.priorities], [f'"{name}"' for name in hours.campaigns]
    of = " and ".join(" or ".join(each) for each in words if each)
    return f"{hours} for mail of {of}" if of else str(hours)


def _match_rows(key: str, match: Match) -> list[Row]:
    """What it asks; conditions that are not set are none."""
    return _rows(key, match, tuple(field.name for field in fields(match) if not getattr(match, field.name)))


def _rows(table: str, options: object, skip: tuple[str, ...]) -> list[Row]:
    assert is_dataclass(options)
    values = (
        (field.name, getattr(options, field.name)) for field in fields(options) if field.name not in skip
    )
    return [(f"{table}.{key_of(name)}", _text(name, value)) for name, value in values if value is not None]


def _text(name: str, value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case Priority():
            return value.word
        case Enum():
            return str(value.value)
        case tuple():
            return ", ".join(_text(name, each) for each in value) or "(none)"
        case int() if name.endswith(("_bytes", "_bytes_s")):
            return _size(value)
        case int() | float() if name.endswith("_s"):
            return written_time(value)
    return str(value)


def _size(size_bytes: int) -> str:
    for unit, factor in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if size_bytes >= factor and size_bytes % factor == 0:
            return f"{size_bytes // factor} {unit}"
    return f"{size_bytes} bytes"


def _print_problems(error: InvalidConfiguration, as_json: bool) -> None:
    if as_json:
        report: dict[str, object] = {
            "path": error.path,
            "problems": error.problems,
            "warnings": [],
            "in_force": None,
        }
        print(msgspec.json.encode(report).decode())
        return
    from rich.console import Console

    console = Console(stderr=True, soft_wrap=True, highlight=False)
    count = len(error.problems)
    console.print(f"[red]✗[/] {error.path}: {count} problem{'s' if count > 1 else ''}", markup=True)
    for problem in error.problems:
        console.print(f"  {problem}", markup=False)


def _print_table(configuration: Configuration) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    table = Table("key", "value", title=f"In force from {configuration.path}", title_justify="left")
    for key, value in in_force(configuration):
        table.add_row(Text(key), Text(value))
    console.print(table)
    for warning in configuration.warnings:
        console.print(Text.assemble(("! ", "yellow"), warning), soft_wrap=True)
    count = len(configuration.warnings)
    console.print(f"[green]✓[/] the configuration is good; {count} warning{'' if count == 1 else 's'}")
