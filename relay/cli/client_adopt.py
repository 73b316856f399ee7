"""`client adopt`: what an unknown device did becomes the rule of a client.

The rule is as narrow as what was seen: that address, those senders, those recipients'
domains, that route; amounts with a margin. It is shown first, and asked about.
"""

import json
import math
import re
import sys
import time
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import msgspec
import typer

from relay.cli.client_edit import RELOAD, client_of, put_new
from relay.cli.client_seen import sightings
from relay.cli.moment import local
from relay.cli.trace_show import printable
from relay.config.client_table import recipient_rule
from relay.config.configuration import Configuration
from relay.config.read import find, read
from relay.errors import ConfigurationError
from relay.identity.client import INSIDE
from relay.identity.directory import Directory
from relay.process.exits import Exit
from relay.receive.learning import PREFIX, canonical
from relay.trace.seen.sighting import DAY_S, Sighting, is_unknown

MARGIN = 3
"""A device has quiet weeks: three times its busiest day is still not a campaign."""
MESSAGES_LEAST, RECIPIENTS_LEAST = 20, 5
MIB = 1_048_576
SHORT_DAYS = 3.0
"""What was seen for less is likely not all that the device does: monthly reports, alarms."""


def adopt(
    device: str,
    config: Path | None,
    name: str,
    route: str,
    *,
    is_dry: bool,
    is_sure: bool,
    as_json: bool,
) -> Exit:
    """Show the rule, ask, add it."""
    address = _address(device)
    configuration = read(find(config), time.time())
    _check_unknown(configuration, address)
    seen = _seen(configuration, address)
    rule = rule_of(configuration, address, seen, name, route)
    client = client_of(rule)
    if as_json:
        print(msgspec.json.encode({"client": rule, "added": not is_dry}).decode())
    else:
        print("\n".join([*_said(address, seen), "", *_toml(rule), ""]))
    if is_dry:
        return Exit.OK
    if not is_sure:
        if not sys.stdin.isatty():
            raise typer.BadParameter("nobody is there to be asked; say --yes if you mean it, or --dry-run")
        typer.confirm(f"Add the client {client.name}?", abort=True, err=True)
    put_new(client, config, "adopt")
    if not as_json:
        print(f"Added the client {client.name} (networks).")
        print(RELOAD)
    return Exit.OK


def rule_of(
    configuration: Configuration, address: str, seen: Sighting, name: str = "", route: str = ""
) -> dict[str, object]:
    """The keys of a `[[client]]` that allows what was seen."""
    bits = ip_address(address).max_prefixlen
    rule: dict[str, object] = {
        "name": name or _name(address),
        "networks": [f"{address}/{bits}"],
        "senders": _rules(seen.senders, is_whole="senders" not in seen.more),
    }
    if seen.authors:
        rule["from"] = _rules(seen.authors, is_whole="authors" not in seen.more)
    if recipients := _recipients(configuration, seen):
        rule["recipients"] = recipients
    if routes := [route] if route else _routes(configuration, seen):
        rule["routes"] = routes
    rule["message_size"] = max(math.ceil(2 * seen.largest / MIB), 1) * MIB
    rule["recipients_per_message"] = max(2 * seen.recipients_most, RECIPIENTS_LEAST)
    rule["messages_per_day"] = max(MARGIN * seen.busiest, MESSAGES_LEAST)
    return rule


def _address(device: str) -> str:
    try:
        return canonical(device.removeprefix(PREFIX))
    except ValueError:
        raise typer.BadParameter(
            f"{device!r}: write the device's address, as m365-relay client seen --unknown shows it"
        ) from None


def _check_unknown(configuration: Configuration, address: str) -> None:
    known = Directory(configuration.clients, lambda count: bytes(count)).by_address(address)
    if known is not None:
        raise ConfigurationError(f"{address} is the client {known.name} already; see: m365-relay client list")


def _seen(configuration: Configuration, address: str) -> Sighting:
    """All that was seen of it before it was a client, by whatever way."""
    whole = Sighting()
    for who, seen in sightings(configuration):
        if is_unknown(who) and canonical(who.address) == address:
            whole.add(seen)
    if not whole.mails:
        raise ConfigurationError(
            f"no mail of {address} was seen, so there is nothing to make a rule of; "
            "see: m365-relay client seen --unknown, or write the rule: m365-relay client add"
        )
    return whole


def _name(address: str) -> str:
    return "device-" + re.sub(r"[^0-9a-z]+", "-", address).strip("-")


def _rules(addresses: set[str], *, is_whole: bool) -> list[str]:
    """The addresses, or their domains where not all of them were kept."""
    if not is_whole:
        return sorted({each.rpartition("@")[2].lower() or "<>" for each in addresses})
    return sorted({each.lower() or "<>" for each in addresses})


def _recipients(configuration: Configuration, seen: Sighting) -> list[str]:
    """Inside, and the domains that were written to; nothing, where not all of them are known."""
    if "domains" in seen.more or not (configuration.tenant.domains or seen.domains):
        return []
    try:
        for domain in seen.domains:
            recipient_rule(domain)
    except ValueError:
        # Mail to an address literal has no domain that a rule could name.
        return []
    return [*([INSIDE] if configuration.tenant.domains else []), *sorted(seen.domains)]


def _routes(configuration: Configuration, seen: Sighting) -> list[str]:
    """As far as they are there still."""
    names = {route.name for route in configuration.routes}
    return sorted(seen.routes & names) if "routes" not in seen.more else []


def _said(address: str, seen: Sighting) -> Iterator[str]:
    days = (seen.last - seen.first) / DAY_S
    yield (
        f"{address} was seen from {local(seen.first)} to {local(seen.last)}: {seen.mails:,} mails, "
        f"{seen.busiest:,} on its busiest day, {seen.plain:,} without TLS."
    )
    if days < SHORT_DAYS:
        yield f"That is {days:.1f} days; what it does once a week or a month was not seen."
    for each in sorted(seen.tried):
        yield f"It tried to log in: {printable(each)}. With the name that its settings show it could be: m365-relay client add NAME --username USER"
    for each in sorted(seen.refusals):
        yield f"Refused, and not in the rule: {printable(each)}"
    for each in sorted(seen.more):
        yield f"Not all of its {each} were kept, so the rule is wider there."


def _toml(rule: dict[str, object]) -> Iterator[str]:
    yield "[[client]]"
    for key, value in rule.items():
        yield f"{key} = {printable(json.dumps(value, ensure_ascii=False))}"
