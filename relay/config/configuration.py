"""A configuration that was read and found good: the options of every package."""

from dataclasses import dataclass, field
from pathlib import Path

from relay.audit.options import AuditOptions
from relay.deliver.options import DelivererOptions
from relay.deliver.report_options import ReportOptions
from relay.identity.bearer import Inbound
from relay.identity.client import Clients
from relay.identity.dkim import DomainPolicy
from relay.identity.expiry import Credential
from relay.identity.graph import GraphOptions
from relay.receive.brake_options import BrakeOptions
from relay.receive.learning_options import LearningOptions
from relay.receive.options import Limits, ListenerOptions, Rewrite, SpoofingOptions
from relay.route.route import Route
from relay.route.tenant import Tenant
from relay.spool.options import SpoolOptions
from relay.trace.history.options import HistoryOptions
from relay.trace.seen.options import InventoryOptions
from relay.webhook.options import Webhooks


@dataclass(frozen=True, slots=True)
class RelayOptions:
    """The relay as a whole."""

    hostname: str
    receivers: int
    """Processes. Default: cores less one, at least one; the deliverer needs a core too."""
    run: Path
    """Folder for what lives as long as the relay does (counts for the metrics). Default:
    systemd's RuntimeDirectory, else `run` in the spool's folder."""
    drain_s: float = 30.0
    """How long mails in flight may take to end; systemd waits 90 seconds by default."""
    log_level: str = "info"
    clients_file: Path = Path("clients.jsonl")
    """What `m365-relay client` edits; there need not be one. Default: beside the configuration."""


@dataclass(frozen=True, slots=True)
class Listener:
    """One `[[listener]]`: where, and how."""

    host: str
    port: int
    options: ListenerOptions
    certificate: Path | None = None
    key: Path | None = None
    client_ca_file: Path | None = None
    client_crl_file: Path | None = None


@dataclass(frozen=True, slots=True)
class ConsoleOptions:
    """The HTTP side: metrics and health."""

    host: str = "127.0.0.1"
    port: int = 9525


@dataclass(frozen=True, slots=True)
class ControlOptions:
    """The socket for commands."""

    path: Path
    """Default: `control.sock` in the spool's folder."""
    mode: int = 0o600
    """Who reads and writes it may do everything with the queue: its owner alone."""
    group: int | None = None
    """Whose it is, besides; None: as the system gives it."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """Everything that a relay is told."""

    path: Path
    relay: RelayOptions
    spool: SpoolOptions
    limits: Limits
    deliverer: DelivererOptions
    history: HistoryOptions
    listeners: tuple[Listener, ...]
    routes: tuple[Route, ...]
    report: ReportOptions
    control: ControlOptions
    console: ConsoleOptions | None = None
    tenant: Tenant = field(default_factory=Tenant)
    graph: GraphOptions | None = None
    """None: nobody asks Microsoft Graph."""
    dkim: tuple[DomainPolicy, ...] = ()
    credentials: tuple[Credential, ...] = ()
    """Secrets and certificates in use whose end is known."""
    rewrites: tuple[Rewrite, ...] = ()
    clients: Clients = field(default_factory=Clients)
    inbound: Inbound | None = None
    """Whose tokens log clients in; None: nobody's."""
    spoofing: SpoofingOptions = field(default_factory=SpoofingOptions)
    brakes: BrakeOptions = field(default_factory=BrakeOptions)
    audit: AuditOptions | None = None
    """None: nothing is recorded."""
    learning: LearningOptions | None = None
    """None: nobody unknown is let in."""
    inventory: InventoryOptions = field(default_factory=InventoryOptions)
    webhooks: Webhooks | None = None
    """None: there are none."""
    secret_names: frozenset[str] = frozenset()
    """Environment variables that hold secrets: not for children."""
    warnings: tuple[str, ...] = ()
