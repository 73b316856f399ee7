"""From `[[client]]` and the clients file to clients, with the checks that need more than one value."""

from collections.abc import Sequence
from pathlib import Path

from relay.config import client_file, secret
from relay.config.client_file import ClientFile
from relay.config.client_table import AnyClient, ClientTable, StoredClient
from relay.config.findings import Findings
from relay.errors import ConfigurationError
from relay.identity.client import Client, Clients, Password, Policy
from relay.identity.password import check_hash
from relay.route.match import network_like
from relay.route.route import Route
from relay.smtp.scram import read_verifier


def build_clients(found: Findings, tables: Sequence[ClientTable], path: Path) -> Clients:
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
    return Clients(tuple(client for _, client in placed), "" if stored is None else stored.seed)


def place(content: ClientFile, path: Path) -> list[tuple[str, Client]]:
    """The clients of the file, each with where it stands."""
    return [(f"{path.name}, {each.name}", _by_line(each)) for each in content.clients]


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
            None if table.senders is None else tuple(table.senders),
            None if authors is None else tuple(authors),
        ),
        bool(table.disabled),
    )


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
        for kind, value in shown:
            if (other := taken.setdefault((kind, value), where)) is not where:
                found.problem(f"{where}.{kind}", f'"{value}" is that of {other} already; no two may have it')
        if not (client.passwords or client.certificates or client.networks):
            found.problem(where, "has no way in; give it a username, certificates or networks")
        if client.policy.senders is None and not client.is_disabled:
            found.warning(
                where, 'may send as anybody; say as whom, such as senders = ["example.com"] (docs/clients.md)'
            )
