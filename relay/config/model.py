"""The shape of the TOML file.

A key that is left out is None here: its default stands in the options of the package
that it is for, with the reason, and nowhere else. Keys have the options' names without
their unit: `expire` sets `expire_s`, `free_space_floor` sets `free_space_floor_bytes`.
"""

from typing import Annotated

from pydantic import ConfigDict, Field

from relay.config.audit_table import AuditTable
from relay.config.brakes_table import BrakesTable
from relay.config.campaign_table import CampaignTable
from relay.config.client_table import ClientTable
from relay.config.dkim_table import DkimTable, SelectorTable
from relay.config.graph_table import GraphTable
from relay.config.hours_table import HoursTable
from relay.config.learning_table import InventoryTable, LearningTable
from relay.config.limit_table import PlainDomain, RouteLimitTable, TenantTable
from relay.config.mailbox_table import MailboxTable
from relay.config.match_table import MatchTable
from relay.config.oauth_inbound_table import OAuthInboundTable
from relay.config.oauth_table import OAuthTable
from relay.config.report_table import ReportTable
from relay.config.rewrite_table import RewriteTable
from relay.config.table import Table
from relay.config.value import (
    ActionWord,
    AuthMode,
    CloudName,
    Count,
    Endpoint,
    FailedWord,
    Host,
    KeptWord,
    LateWord,
    Level,
    ListenerTls,
    Network,
    Port,
    PriorityWord,
    RecipientPattern,
    RouteKind,
    RouteTls,
    Seconds,
    SenderPattern,
    Size,
    ThenWord,
    TlsWord,
    UncertainWord,
)
from relay.config.webhook_table import WebhookTable

Text = Annotated[str, Field(min_length=1)]


class RelayTable(Table):
    """The relay as a whole."""

    hostname: Host
    receivers: Annotated[int, Field(ge=1, le=32)] | None = None
    drain: Seconds | None = None
    run: Text | None = None
    log_level: Level | None = None
    clients_file: Text | None = None


class SpoolTable(Table):
    """`relay.spool.options.SpoolOptions`."""

    path: Text
    key_file: Text | None = None
    map_size: Size | None = None
    free_space_floor: Size | None = None
    ballast: Size | None = None
    max_batch: Size | None = None
    max_batch_changes: Count | None = None
    max_waiting: Size | None = None
    stall: Seconds | None = None
    check_interval: Seconds | None = None
    idempotency_window: Annotated[Seconds, Field(gt=0)] | None = None
    idempotency_keys: Count | None = None


class DeliverTable(Table):
    """`relay.deliver.options.DelivererOptions`."""

    unsettled_max: Count | None = None
    recipients_max: Count | None = None
    losses_max: Count | None = None
    rebuild_slice: Count | None = None
    deferred_slice: Count | None = None
    lane_backoff_first: Seconds | None = None
    lane_backoff_max: Seconds | None = None
    fault_backoff_first: Seconds | None = None
    fault_backoff_max: Seconds | None = None
    address_backoff_first: Seconds | None = None
    address_backoff_max: Seconds | None = None
    resolve_interval: Seconds | None = None
    quit_timeout: Seconds | None = None
    settle_pause: Seconds | None = None
    settle_retry: Seconds | None = None
    tick: Seconds | None = None
    receivers_max: Count | None = None


class HistoryTable(Table):
    """`relay.trace.history.options.HistoryOptions`."""

    enabled: bool | None = None
    path: Text | None = None
    keep: Annotated[Seconds, Field(gt=0)] | None = None
    max_size: Size | None = None
    recipients: KeptWord | None = None
    subject: bool | None = None
    queued_max: Count | None = None


class ListenerTable(Table):
    """`relay.receive.options.ListenerOptions`, and where it listens."""

    address: Endpoint
    tls: ListenerTls | None = None
    certificate: Text | None = None
    key: Text | None = None
    tls_min: TlsWord | None = None
    session_tickets: bool | None = None
    networks: list[Network] | None = None
    auth: AuthMode | None = None
    auth_without_tls: bool | None = None
    auth_without_tls_networks: list[Network] | None = None
    client_ca_file: Text | None = None
    client_crl_file: Text | None = None
    proxy_networks: list[Network] | None = None
    xclient_networks: list[Network] | None = None
    refuse_bare_lf: bool | None = None
    refuse_early_talkers: bool | None = None
    priority: PriorityWord | None = None
    priority_max: PriorityWord | None = None


class LimitsTable(Table):
    """`relay.receive.options.Limits`."""

    connections: Count | None = None
    connections_per_address: Count | None = None
    mails_per_session: Count | None = None
    commands_without_mail: Count | None = None
    errors_per_session: Count | None = None
    recipients_per_message: Count | None = None
    message_size: Size | None = None
    header_size: Size | None = None
    header_fields: Count | None = None
    received_hops: Count | None = None
    not_before_max: Seconds | None = None
    command_line: Size | None = None
    content_line: Size | None = None
    idle_timeout: Seconds | None = None
    handshake_timeout: Seconds | None = None
    transaction_timeout: Seconds | None = None
    minimum_rate: Size | None = None
    rate_grace: Seconds | None = None
    commit_deadline: Seconds | None = None
    streamed_records: Count | None = None
    content_memory: Size | None = None
    large_buffers: Count | None = None
    logins_waiting: Count | None = None
    logins_remembered: Count | None = None
    login_remembered: Seconds | None = None


class SpoofingTable(Table):
    """`relay.receive.options.SpoofingOptions`; `from` is no name for an attribute."""

    model_config = ConfigDict(populate_by_name=True)

    from_field: ActionWord | None = Field(default=None, alias="from")
    sender_field: ActionWord | None = Field(default=None, alias="sender")
    display_name: ActionWord | None = None
    null_sender: ActionWord | None = None
    alignment: ActionWord | None = None


class RouteTable(Table):
    """`relay.route.route.Route`."""

    name: Text
    kind: RouteKind | None = None
    cloud: CloudName | None = None
    host: Host | None = None
    hosts: Annotated[list[Host], Field(min_length=1)] | None = None
    mx_of: PlainDomain | None = None
    port: Port | None = None
    tls: RouteTls | None = None
    ca_file: Text | None = None
    client_certificate: Text | None = None
    client_key: Text | None = None
    username: Text | None = None
    password_file: Text | None = None
    password_env: Text | None = None
    oauth: OAuthTable | None = None
    mailbox: Annotated[list[MailboxTable], Field(min_length=1)] | None = None
    ipv4_only: bool | None = None
    use_bdat: bool | None = None
    recipients: list[RecipientPattern] | None = None
    senders: list[SenderPattern] | None = None
    match: Annotated[list[MatchTable], Field(min_length=1)] | None = None
    internal_only: bool | None = None
    sender_fixed: bool | None = None
    message_size: Size | None = None
    spill: Text | None = None
    uncertain: UncertainWord | None = None
    uncertain_after: Seconds | None = None
    uncertain_then: ThenWord | None = None
    late: LateWord | None = None
    failed: FailedWord | None = None
    delay_after: Seconds | None = None
    recipients_per_message: Count | None = None
    recipients_per_domain: Annotated[int, Field(ge=0)] | None = None
    connections: Count | None = None
    mails_per_connection: Count | None = None
    connection_age: Seconds | None = None
    connection_idle: Seconds | None = None
    connect_timeout: Seconds | None = None
    command_timeout: Seconds | None = None
    data_timeout: Seconds | None = None
    retry: list[Seconds] | None = None
    retry_first: Seconds | None = None
    retry_factor: Annotated[float, Field(ge=1)] | None = None
    retry_max: Seconds | None = None
    expire: Seconds | None = None
    waiting_ages: bool | None = None
    hours: list[HoursTable] | None = None
    kind_limits: bool | None = None
    limit: list[RouteLimitTable] | None = None


class ConsoleTable(Table):
    """`relay.config.configuration.ConsoleOptions`."""

    address: Endpoint | None = None


class ControlTable(Table):
    """`relay.config.configuration.ControlOptions`."""

    path: Text | None = None
    mode: Annotated[str, Field(pattern="^0?[0-7]{3}$")] | None = None
    group: Text | None = None


class File(Table):
    """The whole file."""

    relay: RelayTable
    spool: SpoolTable
    limits: LimitsTable = LimitsTable()
    brakes: BrakesTable = BrakesTable()
    deliver: DeliverTable = DeliverTable()
    control: ControlTable = ControlTable()
    history: HistoryTable = HistoryTable()
    console: ConsoleTable | None = None
    listener: Annotated[list[ListenerTable], Field(min_length=1)]
    route: list[RouteTable] = Field(default_factory=list)
    rewrite: list[RewriteTable] = Field(default_factory=list)
    report: ReportTable = ReportTable()
    tenant: TenantTable | None = None
    graph: GraphTable | None = None
    dkim: list[DkimTable] = Field(default_factory=list)
    client: list[ClientTable] = Field(default_factory=list)
    campaign: list[CampaignTable] = Field(default_factory=list)
    oauth_inbound: OAuthInboundTable | None = None
    spoofing: SpoofingTable = SpoofingTable()
    audit: AuditTable | None = None
    learning: LearningTable | None = None
    inventory: InventoryTable = InventoryTable()
    webhook: list[WebhookTable] = Field(default_factory=list)


TABLES: dict[str, type[Table]] = {
    "": File,
    "relay": RelayTable,
    "spool": SpoolTable,
    "limits": LimitsTable,
    "brakes": BrakesTable,
    "deliver": DeliverTable,
    "control": ControlTable,
    "history": HistoryTable,
    "console": ConsoleTable,
    "listener": ListenerTable,
    "route": RouteTable,
    "rewrite": RewriteTable,
    "report": ReportTable,
    "oauth": OAuthTable,
    "mailbox": MailboxTable,
    "limit": RouteLimitTable,
    "match": MatchTable,
    "hours": HoursTable,
    "tenant": TenantTable,
    "graph": GraphTable,
    "dkim": DkimTable,
    "selector": SelectorTable,
    "client": ClientTable,
    "campaign": CampaignTable,
    "oauth_inbound": OAuthInboundTable,
    "spoofing": SpoofingTable,
    "audit": AuditTable,
    "learning": LearningTable,
    "inventory": InventoryTable,
    "webhook": WebhookTable,
}
