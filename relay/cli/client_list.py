"""`client list`: who may send, how they prove it, as whom."""

import datetime
import time
from pathlib import Path

import msgspec
from msgspec import Struct

from relay.cli.policy_rows import policy_rows
from relay.config.read import find, read
from relay.identity.client import Client
from relay.process.exits import Exit


class Row(Struct):
    """What is told of a client; no hash, no verifier."""

    name: str
    username: str
    certificates: tuple[str, ...]
    networks: tuple[str, ...]
    senders: tuple[str, ...] | None
    authors: tuple[str, ...] | None = msgspec.field(name="from")
    oauth_app: str = ""
    oauth_users: tuple[str, ...] = ()
    mechanisms: tuple[str, ...] = ()
    rules: dict[str, str] = {}
    """What else its policy says, by the keys of the configuration."""
    old_password_until: str | None = None
    disabled: bool = False


def show(config: Path | None, *, as_json: bool) -> Exit:
    """Print them, in their order."""
    now = time.time()
    configuration = read(find(config), now)
    rows = [row_of(client, now) for client in configuration.clients.clients]
    if as_json:
        print(msgspec.json.encode(rows).decode())
        return Exit.OK
    if not rows:
        print("There are no clients yet; add one with: m365-relay client add NAME")
        return Exit.OK
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("name", "proves itself by", "sends as", "rules", "state")
    for row in rows:
        table.add_row(*(Text(text) for text in _cells(row)))
    Console(highlight=False).print(table)
    return Exit.OK


def row_of(client: Client, now: float) -> Row:
    """A client as it is told."""
    good = [word for word in client.passwords if word.is_good(now)]
    ends = [word.until for word in good if word.until is not None]
    mechanisms = ["PLAIN", "LOGIN"] if good else []
    if any(word.scram for word in good):
        mechanisms.insert(0, "SCRAM-SHA-256")
    return Row(
        client.name,
        client.username,
        client.certificates,
        client.networks,
        client.policy.senders,
        client.policy.authors,
        client.oauth_app,
        client.oauth_users,
        tuple(mechanisms),
        dict(policy_rows(client.policy)),
        datetime.datetime.fromtimestamp(max(ends), datetime.UTC).isoformat(timespec="seconds")
        if ends
        else None,
        client.is_disabled,
    )


def _cells(row: Row) -> tuple[str, ...]:
    rules = "\n".join(f"{key} {value}" for key, value in row.rules.items())
    return row.name, "\n".join(_ways(row)), _senders(row), rules, _state(row)


def _ways(row: Row) -> list[str]:
    ways = [f"login {row.username} ({', '.join(row.mechanisms) or 'no password is good'})"]
    return (
        (ways if row.username else [])
        + [f"certificate {each}" for each in row.certificates]
        + [f"network {each}" for each in row.networks]
        + [f"tokens of {each}" for each in token_ways(row)]
    )


def token_ways(row: Row | Client) -> list[str]:
    """Whose tokens log it in."""
    if not row.oauth_app:
        return []
    application = f"the application {row.oauth_app}"
    return [f"{application} for {user}" for user in row.oauth_users] or [application]


def _senders(row: Row) -> str:
    if row.senders is None:
        return "anybody"
    text = ", ".join(row.senders) or "nobody"
    return text if row.authors == row.senders else f"{text}; From: {', '.join(row.authors or ())}"


def _state(row: Row) -> str:
    if row.disabled:
        return "disabled"
    return "enabled" if row.old_password_until is None else f"old password until {row.old_password_until}"
