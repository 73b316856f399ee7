"""`client add`, `rotate`, `disable`, `enable`: changes of the clients file, each whole or not at all."""

import base64
import contextlib
import datetime
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import typer
from pydantic import ValidationError

from relay.cli.audit_note import CommandNote, owner_of
from relay.config.client import check_policies, check_together, place
from relay.config.client_file import SEED_BYTES, ClientFile, edited
from relay.config.client_table import AnyClient, StoredClient, StoredPassword
from relay.config.configuration import Configuration
from relay.config.findings import Findings
from relay.config.oauth_inbound import check_tokens
from relay.config.problem import explain_all
from relay.config.read import find, read
from relay.config.value import time_s
from relay.errors import ConfigurationError
from relay.identity.password import SALT_BYTES, hash_password, new_password
from relay.process.exits import Exit
from relay.smtp.scram import read_verifier, verifier_of

OLD_MAX = 2
"""Passwords that are good beside the newest: each costs 20 ms at a login that fails."""
RELOAD = "In force after a reload: systemctl reload m365-relay (SIGHUP)."
LISTS = ("recipients", "routes")
RULES = tuple(
    key
    for key in AnyClient.model_fields
    if key
    not in (
        "name",
        "username",
        "certificates",
        "networks",
        "oauth_app",
        "oauth_users",
        "senders",
        "authors",
        "disabled",
    )
)
"""What `--rule` may set: all that says how much, and to whom."""
OPTIONS = {
    "networks": "--network",
    "certificates": "--certificate-name",
    "oauth_app": "--oauth-app",
    "oauth_users": "--oauth-user",
    "senders": "--sender",
    "from": "--from",
}


def add(
    name: str,
    config: Path | None,
    username: str | None,
    shown: Mapping[str, str | list[str] | None],
    rules: Sequence[str],
    *,
    as_json: bool,
) -> Exit:
    """A new client. `shown` has the other keys of a client by their name, `rules` are `KEY=VALUE`."""
    given: dict[str, object] = {key: values for key, values in shown.items() if values}
    given |= _rules(rules)
    if username is None and not (given.keys() & {"networks", "certificates", "oauth_app"}):
        username = name
    client = _client(given | {"name": name} | ({} if username is None else {"username": username}))
    password = "" if username is None else new_password(secrets.token_bytes)
    if password:
        client = client.model_copy(update={"passwords": [_stored(password, None)]})
    with _edited(config, name, "add") as (content, configuration):
        if any(each.name.lower() == name.lower() for each in configuration.clients.clients):
            raise ConfigurationError(f"there is a client {name} already; choose another name")
        content.put(client)
    ways = [f"login {username}"] if password else []
    ways += [word for word in ("certificates", "networks") if word in given]
    ways += ["tokens of its application"] if "oauth_app" in given else []
    _tell(
        {"name": name, "username": username, "password": password or None},
        f"Added the client {name} ({', '.join(ways)}).",
        password,
        as_json,
    )
    return Exit.OK


def rotate(name: str, config: Path | None, grace: str, *, as_json: bool) -> Exit:
    """A new password beside the old one."""
    grace_s = _seconds(grace)
    password, now = new_password(secrets.token_bytes), time.time()
    until = now + grace_s
    with _edited(config, name, "rotate") as (content, configuration):
        client = _known(content, configuration, name)
        if client.username is None:
            raise ConfigurationError(f"{name} has no username, so it has no password")
        old = [
            word.model_copy(update={"until": min(until, word.until or until)})
            for word in client.passwords
            if grace_s and (word.until is None or word.until > now)
        ]
        words = [_stored(password, client.passwords[0] if client.passwords else None), *old[:OLD_MAX]]
        content.put(client.model_copy(update={"passwords": words}))
    moment = datetime.datetime.fromtimestamp(until, datetime.UTC)
    _tell(
        {
            "name": name,
            "username": client.username,
            "password": password,
            "old_until": moment.isoformat(timespec="seconds") if old else None,
        },
        f"{name} has a new password; "
        + (f"the old one stays good until {moment:%Y-%m-%d %H:%M} UTC." if old else "the old one is void."),
        password,
        as_json,
    )
    return Exit.OK


def switch(name: str, config: Path | None, *, is_disabled: bool, as_json: bool) -> Exit:
    """Disable a client, or enable it."""
    with _edited(config, name, "disable" if is_disabled else "enable") as (content, configuration):
        client = _known(content, configuration, name)
        content.put(client.model_copy(update={"disabled": is_disabled or None}))
    state = "disabled" if is_disabled else "enabled"
    _tell({"name": name, "disabled": is_disabled}, f"{name} is {state}.", "", as_json)
    return Exit.OK


@contextlib.contextmanager
def _edited(config: Path | None, name: str, action: str) -> Iterator[tuple[ClientFile, Configuration]]:
    """The clients file, written when the block ends well and a start would take the result; and recorded."""
    path = find(config)
    configuration = read(path, time.time())
    seed = base64.b64encode(secrets.token_bytes(SEED_BYTES)).decode()
    owner = owner_of(configuration)
    note = CommandNote(configuration)
    with edited(configuration.relay.clients_file, seed, owner) as content:
        old = _told(content.get(name))
        names = {each.name for each in content.clients}
        yield content, configuration
        found = Findings(path.parent, time.time())
        others = [
            (f"{path.name}, {each.name}", each)
            for each in configuration.clients.clients
            if each.name not in names
        ]
        placed = place(content, configuration.relay.clients_file)
        check_together(found, others + placed)
        check_policies(found, placed, configuration.routes, configuration.tenant)
        check_tokens(found, placed, configuration.inbound)
        if found.problems:
            raise ConfigurationError("nothing was changed: " + "; ".join(found.problems))
        new = _told(content.get(name))
    note.put({"event": "client_changed", "action": action, "client": name, "old": old, "new": new})


def _told(client: StoredClient | None) -> dict[str, object] | None:
    """A client as it is recorded: of its passwords only until when they are good."""
    if client is None:
        return None
    fields = client.model_dump(exclude={"name", "passwords"}, exclude_none=True, by_alias=True)
    return fields | {"passwords": [each.until for each in client.passwords]}


def _known(content: ClientFile, configuration: Configuration, name: str) -> StoredClient:
    client = content.get(name)
    if client is not None:
        return client
    if any(each.name == name for each in configuration.clients.clients):
        raise ConfigurationError(f"{name} stands in {configuration.path}; change it there")
    raise ConfigurationError(f"there is no client {name}; see: m365-relay client list")


def _client(values: dict[str, object]) -> StoredClient:
    try:
        return StoredClient.model_validate(values)
    except ValidationError as error:
        problem = explain_all(error, {"": StoredClient})[0]
        key = problem.partition(":")[0].partition("[")[0]
        raise typer.BadParameter(problem.replace(key, OPTIONS.get(key, key), 1)) from None


def _rules(rules: Sequence[str]) -> dict[str, object]:
    """`messages_per_hour=100`, `message_size=10 MB`, `recipients=inside,partner.example`."""
    given: dict[str, object] = {}
    for rule in rules:
        key, equals, value = (part.strip() for part in rule.partition("="))
        if not equals or key not in RULES:
            raise typer.BadParameter(f"--rule {rule}: write KEY=VALUE with one of {', '.join(RULES)}")
        if key in LISTS:
            given[key] = [each.strip() for each in value.split(",")]
        else:
            given[key] = int(value) if value.isascii() and value.isdigit() else value
    return given


def _stored(password: str, old: StoredPassword | None) -> StoredPassword:
    """Hash and verifier. A client of SCRAM is told one salt, which must serve the old password too."""
    salt = secrets.token_bytes(SALT_BYTES)
    if old is not None and old.scram is not None:
        salt = read_verifier(old.scram).salt
    return StoredPassword(
        hash=hash_password(password, secrets.token_bytes), scram=str(verifier_of(password, salt))
    )


def _seconds(text: str) -> float:
    try:
        seconds = time_s(text)
    except ValueError as error:
        raise typer.BadParameter(f"--grace: {error}") from None
    assert isinstance(seconds, float)
    return seconds


def _tell(report: dict[str, object], sentence: str, password: str, as_json: bool) -> None:
    if as_json:
        print(msgspec.json.encode(report).decode())
        return
    print(sentence)
    if password:
        print(f"\n    username: {report['username']}\n    password: {password}\n")
        print("The password is shown this once; only its hash is kept.")
    print(RELOAD)


def client_of(values: dict[str, object]) -> StoredClient:
    """A client of these keys; typer.BadParameter."""
    return _client(values)


def put_new(client: StoredClient, config: Path | None, action: str) -> None:
    """Add a client that has no password; `action` is what is recorded."""
    with _edited(config, client.name, action) as (content, configuration):
        if any(each.name.lower() == client.name.lower() for each in configuration.clients.clients):
            raise ConfigurationError(f"there is a client {client.name} already; choose another name")
        content.put(client)
