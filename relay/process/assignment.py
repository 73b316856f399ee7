"""What a child is told: all its options, as JSON over the channel.

It holds passwords and private keys, so it goes through a socket and never through arguments, the
environment or a file. Children need no TOML and no pydantic.
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import msgspec
from msgspec import Struct

from relay.audit.options import AuditOptions
from relay.config.configuration import ControlOptions
from relay.deliver.options import DelivererOptions
from relay.deliver.report_options import ReportOptions
from relay.identity.bearer import Inbound
from relay.identity.client import Clients
from relay.identity.dkim import DomainPolicy
from relay.identity.dkim_key import SigningKey
from relay.identity.expiry import Credential
from relay.identity.graph import GraphOptions
from relay.receive.brake_options import BrakeOptions
from relay.receive.learning_options import LearningOptions
from relay.receive.options import Limits, ListenerOptions, Rewrite, SpoofingOptions
from relay.route.route import Route, Withheld
from relay.route.tenant import Tenant
from relay.spool.options import SpoolOptions
from relay.trace.history.options import HistoryOptions
from relay.trace.seen.options import InventoryOptions
from relay.webhook.options import Webhooks


class InheritedListener(Struct, frozen=True):
    """A listener whose socket the child has inherited."""

    descriptor: int
    options: ListenerOptions
    certificate: str | None = None
    key: str | None = None
    client_ca_file: str | None = None
    client_crl_file: str | None = None


class Assignment(Struct, frozen=True):
    """Of one child; what another role needs is told too, and not used."""

    role: str
    number: int
    """Of this seat among those of its kind."""
    hostname: str
    drain_s: float
    log_level: str
    run: Path
    spool: SpoolOptions
    limits: Limits
    deliverer: DelivererOptions
    report: ReportOptions
    routes: tuple[Route, ...]
    """With their logins for the deliverer only."""
    listeners: tuple[InheritedListener, ...]
    dkim: tuple[DomainPolicy, ...] = ()
    """Told to receivers only: who does not sign holds no keys."""
    rewrites: tuple[Rewrite, ...] = ()
    clients: Clients = Clients()
    """Likewise: whom nobody logs in to holds no hashes."""
    inbound: Inbound | None = None
    """Whose tokens log in."""
    tenant: Tenant = Tenant()
    spoofing: SpoofingOptions = SpoofingOptions()
    brakes: BrakeOptions = BrakeOptions()
    learning: LearningOptions | None = None
    """For receivers, and for the deliverer to say that it is on."""
    inventory: InventoryOptions = InventoryOptions()
    acted_at: float = 0.0
    """When the administrator started or reloaded the relay, seconds since the epoch."""
    credentials: tuple[Credential, ...] = ()
    """What ends one day, for the deliverer to watch; names and times, no secrets."""
    control: ControlOptions | None = None
    """For the deliverer: where it takes commands."""
    history: HistoryOptions | None = None
    """Told to the deliverer, where one is kept."""
    keeps_subject: bool = False
    """Receivers note the subject for it."""
    graph: GraphOptions | None = None
    """Told to the deliverer, with its secret, where Microsoft Graph is asked."""
    audit: AuditOptions | None = None
    """None: this process records nothing."""
    webhooks: Webhooks | None = None
    """With their secrets, for their process alone."""
    console: int | None = None
    """Descriptor of the console's socket."""


def without_logins(routes: Iterable[Route]) -> tuple[Route, ...]:
    """The routes for a process that chooses between them and logs in nowhere: of logins it knows the names, no secrets."""
    return tuple(
        replace(
            route,
            credentials=None if route.credentials is None else Withheld(route.credentials.username),
            mailboxes=tuple(Withheld(login.username) for login in route.mailboxes),
        )
        for route in routes
    )


def encode(assignment: Assignment) -> bytes:
    """As it goes over the channel."""
    return msgspec.json.encode(assignment, enc_hook=_to_plain)


def decode(payload: bytes) -> Assignment:
    """What `encode` made."""
    return msgspec.json.decode(payload, type=Assignment, dec_hook=_from_plain)


def _to_plain(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, SigningKey):
        return [value.pem.decode("latin-1"), value.source]
    raise NotImplementedError(f"{type(value)} in an assignment")


def _from_plain(wanted: type, value: object) -> object:
    if wanted is Path and isinstance(value, str):
        return Path(value)
    if wanted is SigningKey:
        pem, source = msgspec.convert(value, tuple[str, str])
        return SigningKey(pem.encode("latin-1"), source)
    raise NotImplementedError(f"{wanted} in an assignment")
