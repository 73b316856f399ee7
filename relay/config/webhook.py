"""From `[[webhook]]` to options, with the checks that need more than one key."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from relay import tls
from relay.config import secret
from relay.config.findings import Findings
from relay.config.options import given
from relay.config.value import written_time
from relay.config.webhook_table import WebhookTable
from relay.identity.client import Clients
from relay.route.route import Route
from relay.trace.history.options import HistoryOptions
from relay.webhook.options import EVENTS, FOLDER, WebhookOptions, Webhooks
from relay.webhook.signature import key_of

WEBHOOKS_MAX = 64
"""A task, a connection and a position each."""


@dataclass(frozen=True, slots=True)
class Around:
    """What webhooks speak of."""

    hostname: str
    spool: Path
    history: HistoryOptions
    routes: Sequence[Route]
    clients: Clients


def build_webhooks(found: Findings, tables: Sequence[WebhookTable], around: Around) -> Webhooks | None:
    """All of them; None when there is none. Of use only when no problems were found."""
    if not tables:
        return None
    if not around.history.enabled:
        found.problem(
            "webhook", "tells what the history has, and history.enabled is false; leave one of them out"
        )
    if len(tables) > WEBHOOKS_MAX:
        found.problem("webhook", f"there are {len(tables)}, and {WEBHOOKS_MAX} are the most")
    names: set[str] = set()
    for i, table in enumerate(tables):
        if table.name in names:
            found.problem(f"webhook[{i}].name", f'"{table.name}" is another webhook\'s already; change one')
        names.add(table.name)
    hooks = tuple(_webhook(found, f"webhook[{i}]", table, around) for i, table in enumerate(tables))
    return Webhooks(around.hostname, around.history.path, around.spool / FOLDER, hooks)


def _webhook(found: Findings, key: str, table: WebhookTable, around: Around) -> WebhookOptions:
    _check_url(found, key, table)
    _check_names(found, key, table, around)
    ca_file = found.optional_file(table.ca_file)
    if ca_file is not None:
        found.judge(f"{key}.ca_file", lambda: _try_authorities(ca_file))
    options = WebhookOptions(table.name, table.url, _secrets(found, key, table), ca_file=ca_file)
    options = given(options, table, skip={"name", "url", "events", "routes", "clients", "ca_file"})
    if options.retry_first_s > options.retry_max_s:
        found.problem(f"{key}.retry_first", f"must be at most retry_max, {written_time(options.retry_max_s)}")
    return replace(
        options,
        events=options.events if table.events is None else tuple(EVENTS[word] for word in table.events),
        routes=tuple(table.routes or ()),
        clients=tuple(table.clients or ()),
    )


def _try_authorities(ca_file: str) -> None:
    tls.client_context(ca_file=ca_file)


def _check_url(found: Findings, key: str, table: WebhookTable) -> None:
    parts = urlsplit(table.url)
    host = parts.hostname or ""
    if parts.scheme == "http" and not is_loopback(host):
        if not table.allow_http:
            found.problem(
                f"{key}.url",
                "is http, so that everybody on the way can read who gets mail; write https, or allow_http = true",
            )
        else:
            found.warning(f"{key}.url", "is http: everybody on the way can read who gets mail")
    elif table.allow_http:
        found.warning(f"{key}.allow_http", "is of no use here; leave it out")
    if table.ca_file is not None and parts.scheme == "http":
        found.problem(f"{key}.ca_file", "is of no use with http; leave it out")


def is_loopback(host: str) -> bool:
    """This machine: nobody is on the way."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_names(found: Findings, key: str, table: WebhookTable, around: Around) -> None:
    routes = [route.name for route in around.routes]
    for name in table.routes or ():
        if name not in routes:
            found.problem(
                f"{key}.routes", f'names no route: "{name}"; there are {", ".join(routes) or "none"}'
            )
    clients = {client.name for client in around.clients.clients}
    for name in table.clients or ():
        if name not in clients:
            found.warning(f"{key}.clients", f'"{name}" is no client; see: m365-relay client list')


def _secrets(found: Findings, key: str, table: WebhookTable) -> tuple[bytes, ...]:
    current = _secret(found, key, "secret", table.secret_file, table.secret_env)
    if current is None and table.secret_file is None and table.secret_env is None:
        found.problem(
            f"{key}.secret_file",
            "is missing: the receiver knows by it that it is you; name a file, or an environment variable "
            "with secret_env",
        )
    previous = _secret(found, key, "previous_secret", table.previous_secret_file, table.previous_secret_env)
    if current is not None and current == previous:
        found.warning(f"{key}.previous_secret", "is the secret itself; leave it out, or write a new secret")
    return tuple(each for each in (current, previous) if each is not None)


def _secret(found: Findings, key: str, name: str, file: str | None, variable: str | None) -> bytes | None:
    if file is not None and variable is not None:
        found.problem(f"{key}.{name}_file", f"and {name}_env exclude each other")
        return None
    if file is None and variable is None:
        return None
    try:
        if variable is not None:
            found.secret_names.add(variable)
            text = secret.from_environment(variable)
        else:
            text, warning = secret.from_file(found.file(file or ""))
            if warning:
                found.warning(f"{key}.{name}_file", warning)
        return key_of(text)
    except ValueError as error:
        found.problem(f"{key}.{name}_{'env' if variable else 'file'}", str(error))
        return None
