"""What a simulated tenant is, where it listens and when it fails: the tables of its TOML file.

One definition serves as the file's model and as the options the parts are given,
frozen and complete with defaults: nobody but the simulator reads this file. All
durations are by the simulator's clock, which `speed` may hasten. A limit of 0 is off.
"""

from typing import Annotated, Literal, TypeVar

from pydantic import BeforeValidator, Field, model_validator

from relay.config.table import Table
from relay.config.value import Count, Endpoint, Network, Seconds, Size
from relay.m365.limit import LIMITS

Each = TypeVar("Each")
_ROWS = {row.name: row for row in LIMITS}


def _window_s(name: str) -> float:
    return float(_ROWS[name].window_s or 0)


def _many(value: object) -> object:
    """TOML's lists, frozen."""
    if not isinstance(value, list | tuple):
        raise ValueError("must be a list, in [ ] (a table that may stand several times: in [[ ]])")
    return tuple(value)


Many = Annotated[tuple[Each, ...], BeforeValidator(_many)]
Limit = Annotated[int, Field(ge=0)]
Address = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")]
Step = Literal[
    "any",
    "connect",
    "ehlo",
    "starttls",
    "auth",
    "mail",
    "rcpt",
    "data",
    "content",
    "end",
    "accepted",
    "token",
    "graph",
]


class ListenTable(Table):
    """Where the services are; an empty address leaves one out."""

    submission: Endpoint | Literal[""] = "127.0.0.1:1587"
    mx: Endpoint | Literal[""] = "127.0.0.1:1025"
    high_volume: Endpoint | Literal[""] = "127.0.0.1:1588"
    authority: Endpoint = "127.0.0.1:1443"
    """Tokens, and the control of the simulator."""
    expose: bool = False
    """Allow addresses that other machines can reach."""
    names: Many[str] = ()
    """Further host names that the certificate is made out for."""


class TenantTable(Table):
    """What an administrator of the tenant has set."""

    id: str = "11111111-2222-4333-8444-555555555555"
    domains: Many[str] = ("contoso.example",)
    """Accepted domains; every other recipient is outside."""
    missing: Many[Address] = ("missing@contoso.example",)
    """Addresses inside that do not exist; every other one does."""
    people: Many[Address] = ()
    """Addresses that the directory shows as users, besides the mailboxes."""
    groups: Many[Address] = ()
    """And as groups."""
    smtp_auth: bool = True
    """False is SmtpClientAuthenticationDisabled for the organisation."""
    basic_auth: bool = True
    """May AUTH LOGIN be used?"""
    reject_direct_send: bool = False
    auth_delay: Seconds = 0.0
    """How long AUTH takes."""


class MailboxTable(Table):
    """One account that can log in."""

    address: Address
    password: str = ""
    """Empty: the one that is made and written to the folder."""
    kind: Literal["mailbox", "high-volume"] = "mailbox"
    send_as: Many[Address] = ()
    """Addresses it may send as besides its own."""
    state: Literal["active", "full", "unlicensed"] = "active"
    smtp_auth: bool = True
    """False is SmtpClientAuthenticationDisabled for the mailbox."""


class ApplicationTable(Table):
    """One registered application that can fetch tokens."""

    client_id: str = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
    secret: str = ""
    """Empty: the one that is made and written to the folder."""
    certificates: Many[str] = ()
    """PEM files; an assertion signed with a key of one of them is taken."""
    roles: Many[str] = ("SMTP.SendAsApp", "Mail.Send", "ExchangeMessageTrace.Read.All", "Directory.Read.All")
    mailboxes: Many[Address] | None = None
    """Those it may log in to; left out: all."""


class ConnectorTable(Table):
    """One inbound connector of the kind OnPremises."""

    certificate_names: Many[str] = ()
    """Names in the client's certificate: `relay.contoso.example`, `*.contoso.example`."""
    networks: Many[Network] = ()
    """Source addresses; Microsoft matches IPv4 only."""


class LimitsTable(Table):
    """What Microsoft allows; docs/microsoft365.md says where the numbers come from."""

    connections: Limit = _ROWS["mailbox-connections"].most
    """Sessions of one mailbox at once; the mails of further ones get 432."""
    messages: Limit = _ROWS["mailbox-messages"].most
    """Mails of one mailbox in `messages_per`."""
    messages_per: Seconds = _window_s("mailbox-messages")
    messages_mode: Literal["delay", "refuse"] = "delay"
    """Both have been reported: the reply waits until the window has room, or is 432."""
    recipients: Limit = _ROWS["mailbox-recipients"].most
    """Recipients of one mailbox in `recipients_per`."""
    recipients_per: Seconds = _window_s("mailbox-recipients")
    licences: Count = 4
    """They decide how many recipients outside the tenant may write to in 24 hours."""
    external_recipients: Limit | None = None
    """That number itself."""
    external_recipients_per: Seconds = _window_s("tenant-external")
    recipients_per_message: Limit = _ROWS["message-recipients"].most
    recipients_per_domain: Limit = _ROWS["message-recipients-of-a-domain"].most
    """On the MX, of one domain in one mail."""
    message_size: Size = _ROWS["message-size-announced"].most
    header_size: Size = _ROWS["header-size"].most
    high_volume_recipients: Limit = _ROWS["high-volume-message-recipients"].most
    high_volume_size: Size = _ROWS["high-volume-message-size"].most
    forest_connections: Limit = 0
    """Connections to the MX at once; Microsoft's number is not published."""
    session: Seconds = 1200.0
    """A session is cut at this age."""
    idle: Seconds = 300.0
    protocol_errors: Limit = 5
    """In one session, then it ends."""
    logon_failures: Limit = 3
    errors_before_block: Limit = 5
    """Errors of one kind (SendAs denied, mailbox full, …) within `block`, then the mailbox is blocked."""
    block: Seconds = 3600.0
    """How long it stays blocked; unpublished."""
    token_lifetime: Seconds = 3600.0
    token_margin: Seconds = 300.0
    """High volume refuses a token that expires within it."""
    trace_latency: Seconds = 300.0
    """How long it takes until the message trace shows a mail; Microsoft says 5 to 10 minutes."""
    trace_requests: Limit = 100
    """To the message trace, in 5 minutes."""


class FaultTable(Table):
    """Something to go wrong on purpose: `reply`, `row` or `action`, at `step`."""

    step: Step
    reply: str = ""
    """What is said instead, as `451 4.7.0 Temporary server error. Please try again later. PRX2`."""
    row: str = ""
    """Words of a row of the reply catalogue: its reply is said."""
    action: Literal["reply", "stall", "reset"] = "reply"
    percent: Annotated[float, Field(gt=0, le=100)] = 100.0
    times: Limit = 0
    """It happens so often at most; 0: without end."""
    after: Seconds = 0.0
    """From so long after it was set."""
    lasts: Seconds = 0.0
    """For so long; 0: without end."""
    mailbox: str = ""
    """Only in sessions of this mailbox."""

    @model_validator(mode="after")
    def _says_one_thing(self) -> "FaultTable":
        if (self.action == "reply") != bool(self.reply or self.row) or (self.reply and self.row):
            raise ValueError(
                'give either reply = "451 4.7.0 …", or row = "…", or action = "stall" or "reset"'
            )
        if self.reply and not (
            self.reply[:3].isdigit() and self.reply[3:4] == " " and self.reply.isprintable()
        ):
            raise ValueError(f'"{self.reply}" is no reply; write a code, a space and a text on one line')
        return self


DEFAULT_MAILBOXES = (
    *(MailboxTable(address=f"{name}@contoso.example") for name in ("orders", "alerts", "news", "scanner")),
    MailboxTable(address="bulk@contoso.example", kind="high-volume"),
)
DEFAULT_CONNECTORS = (ConnectorTable(certificate_names=("*.contoso.example",)),)


class File(Table):
    """The whole file."""

    speed: Annotated[float, Field(gt=0, le=100_000)] = 1.0
    """How many seconds pass for the simulator in one."""
    folder: str = ""
    """Where CA, passwords and certificates are written; empty: a new one in the system's temporary folder."""
    keep: Limit = 200_000
    """Accepted mails remembered one by one (some 800 bytes each); later ones are only counted."""
    keep_content: bool = False
    """Write the content of each into the folder too."""
    listen: ListenTable = ListenTable()
    tenant: TenantTable = TenantTable()
    limits: LimitsTable = LimitsTable()
    mailbox: Many[MailboxTable] = DEFAULT_MAILBOXES
    application: Many[ApplicationTable] = (ApplicationTable(),)
    connector: Many[ConnectorTable] = DEFAULT_CONNECTORS
    fault: Many[FaultTable] = ()


TABLES: dict[str, type[Table]] = {
    "": File, "listen": ListenTable, "tenant": TenantTable, "limits": LimitsTable, "mailbox": MailboxTable,
    "application": ApplicationTable, "connector": ConnectorTable, "fault": FaultTable,
}  # fmt: skip
