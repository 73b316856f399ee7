"""From `[[client]]` and the clients file to clients, with the checks that need more than one value."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from relay.budget.ring import Counted, Per, Quota
from relay.config import client_file, secret
from relay.config.client_file import ClientFile
from relay.config.client_table import AnyClient, ClientTable, StoredClient
from relay.config.findings import Findings
from relay.config.match import NO_DOMAINS
from relay.config.oauth_inbound import check_tokens
from relay.errors import ConfigurationError
from relay.identity.bearer import Inbound
from relay.identity.client import INSIDE, Client, Clients, Password, Policy
from relay.identity.password import check_hash
from relay.message.priority import PRIORITIES
from relay.route.match import network_like
from relay.route.route import Route
from relay.route.tenant import Tenant
from relay.smtp.scram import read_verifier


def build_clients(
    found: Findings,
    tables: Sequence[ClientTable],
    path: Path,
    routes: Sequence[Route],
    tenant: Tenant,
    inbound: Inbound | None,
) -> Clients:
    """All clients; of use only when no problems were found."""
    try:
        stored = client_file.load(path)
    except ConfigurationError as error:
        found.problems.append(str(error))
        stored = None
    placed = [(f"client[{i}]", _by_table(found, f"client[{i}]", table)) for i, table in enumerate(tables)]
    if stored is not None:
        placed += place(stored, path)
    check_together(found, placed)
    check_policies(found, placed, routes, tenant)
    check_tokens(found, placed, inbound)
    return Clients(tuple(client for _, client in placed), "" if stored is None else stored.seed)


def place(content: ClientFile, path: Path) -> list[tuple[str, Client]]:
    """The clients of the file, each with where it stands."""
    return [(f"{path.name}, {each.name}", _by_line(each)) for each in content.clients]


def check_policies(
    found: Findings, placed: Sequence[tuple[str, Client]], routes: Sequence[Route], tenant: Tenant
) -> None:
    """What a policy names must be there, and what it says must be able to happen."""
    names = [route.name for route in routes]
    for where, client in placed:
        policy = client.policy
        for name in policy.routes or ():
            if name not in names:
                found.problem(
                    f"{where}.routes", f'names no route: "{name}"; there are {", ".join(names) or "none"}'
                )
        if INSIDE in (policy.recipients or ()) and not tenant.domains:
            found.problem(f"{where}.recipients", NO_DOMAINS)
        if policy.priority is not None and policy.priority < policy.priority_max:
            found.problem(
                f"{where}.priority",
                f'"{policy.priority.word}" is above priority_max = "{policy.priority_max.word}"; lower it, or raise that one',
            )


def check_named(found: Findings, routes: Sequence[Route], clients: Clients) -> None:
    """A rule of a route that names a client nobody is fits no mail."""
    known = {client.name for client in clients.clients}
    for i, route in enumerate(routes):
        for j, match in enumerate(route.matches):
            for name in match.clients:
                if not network_like(name) and name not in known:
                    found.warning(
                        f"route[{i}].match[{j}].clients",
                        f'"{name}" is no client; see: m365-relay client list',
                    )


def _by_table(found: Findings, key: str, table: ClientTable) -> Client:
    if table.password_hash is not None and table.password_hash_file is not None:
        found.problem(f"{key}.password_hash", "and password_hash_file exclude each other")
    has_password = table.password_hash is not None or table.password_hash_file is not None
    if table.username is None and has_password:
        found.problem(f"{key}.username", "is missing; a password goes with one")
    if table.username is not None and not has_password:
        found.problem(
            f"{key}.password_hash",
            "is missing; username goes with one, or with password_hash_file (m365-relay client add makes both)",
        )
    hash = table.password_hash
    if table.password_hash_file is not None:
        hash = _hash_in(found, key, table.password_hash_file)
    return _client(table, () if hash is None else (Password(hash),))


def _by_line(line: StoredClient) -> Client:
    words = (
        Password(word.hash, None if word.scram is None else read_verifier(word.scram), word.until)
        for word in line.passwords
    )
    return _client(line, tuple(words))


def _client(table: AnyClient, passwords: tuple[Password, ...]) -> Client:
    authors = table.senders if table.authors is None else table.authors
    return Client(
        table.name,
        table.username or "",
        passwords,
        tuple(table.certificates or ()),
        tuple(table.networks or ()),
        Policy(
            senders=_rules(table.senders),
            authors=_rules(authors),
            recipients=_rules(table.recipients),
            routes=_rules(table.routes),
            priority=PRIORITIES[table.priority] if table.priority else None,
            priority_max=PRIORITIES[table.priority_max or "high"],
            message_bytes=table.message_size or 0,
            recipients_per_message=table.recipients_per_message or 0,
            connections=table.connections or 0,
            quotas=tuple(_quotas(table)),
            weight=table.weight or 1,
            campaign=table.campaign or "",
        ),
        bool(table.disabled),
        table.oauth_app or "",
        tuple(table.oauth_users or ()),
    )


def _rules(rules: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if rules is None else tuple(rules)


def _quotas(table: AnyClient) -> Iterator[Quota]:
    for of in Counted:
        for per in Per:
            count = getattr(table, quota_key(of, per))
            if count is not None:
                yield Quota(of, per, count)


def quota_key(of: Counted, per: Per) -> str:
    """`messages_per_hour`."""
    return f"{of.value}_per_{per.name.lower()}"


def _hash_in(found: Findings, key: str, name: str) -> str | None:
    try:
        text, warning = secret.from_file(found.file(name))
        check_hash(text)
    except ValueError as error:
        found.problem(f"{key}.password_hash_file", str(error))
        return None
    if warning:
        found.warning(f"{key}.password_hash_file", warning)
    return text


def check_together(found: Findings, placed: Sequence[tuple[str, Client]]) -> None:
    """What no client may have that another has, and what each must have."""
    taken: dict[tuple[str, str], str] = {}
    for where, client in placed:
        shown = [("name", client.name.lower())]
        shown += [("username", client.username.lower())] if client.username else []
        shown += [("certificates", each) for each in client.certificates]
        shown += [("networks", each) for each in client.networks]
        shown += [
            ("oauth_users" if user else "oauth_app", user or client.oauth_app)
            for user in client.oauth_users or ("",)
            if client.oauth_app
        ]
        for kind, value in shown:
            if (other := taken.setdefault((kind, value), where)) is not where:
                found.problem(f"{where}.{kind}", f'"{value}" is that of {other} already; no two may have it')
        if not (client.passwords or client.certificates or client.networks or client.oauth_app):
            found.problem(where, "has no way in; give it a username, certificates, networks or an oauth_app")
        if client.policy.senders is None and not client.is_disabled:
            found.warning(
                where, 'may send as anybody; say as whom, such as senders = ["example.com"] (docs/clients.md)'
            )
