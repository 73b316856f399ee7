"""A route: where mail goes next and under which conditions.

Plain data; `relay.config` builds it, `relay.route.table` chooses between several,
by their matches and by the rules of each (`relay.route.rule`).
"""

from dataclasses import dataclass
from enum import Enum

from msgspec import Struct

from relay.budget.limit import Limit
from relay.m365.preset import Kind
from relay.message.uncertain import Then, Uncertain
from relay.route.hours import Hours
from relay.route.match import Match
from relay.route.oauth import OAuth


class TlsMode(Enum):
    """How a connection to the next hop is protected."""

    REQUIRED = "required"
    """STARTTLS must succeed and the certificate must be valid for the host's name."""
    OPPORTUNISTIC = "opportunistic"
    """STARTTLS when offered; the certificate is not verified (RFC 7435)."""
    NONE = "none"
    IMPLICIT = "implicit"
    """TLS from the first byte (RFC 8314), verified as in REQUIRED."""


class Credentials(Struct, frozen=True, tag="password"):
    """Name and password for AUTH. The password never shows in a repr."""

    username: str
    password: str

    def __repr__(self) -> str:
        return f"Credentials(username={self.username!r}, password=…)"

    def __rich_repr__(self) -> list[tuple[str, str]]:
        return [("username", self.username)]


class Withheld(Struct, frozen=True, tag="withheld"):
    """A login as processes know it that choose between routes and log in nowhere: its name alone."""

    username: str


class Failed(Enum):
    """What becomes of a recipient who failed for good."""

    REPORT = "report"
    """Its sender is told, and then the mail goes."""
    HOLD = "hold"
    """It is kept for the administrator."""


class Late(Enum):
    """What is done about a mail that cannot leave before its own deadline."""

    TELL = "tell"
    """It is queued, and the reply says so."""
    REFUSE = "refuse"


Login = Credentials | OAuth | Withheld
"""How to log in to one mailbox."""


@dataclass(frozen=True, slots=True)
class MailboxRule:
    """Which mailboxes may send for some senders."""

    mailboxes: tuple[str, ...]
    """User names of logins; several are a pool, each of which has the right to send as the sender."""
    senders: tuple[str, ...] = ()
    """Written as in `Route.senders`; empty: every sender no other rule speaks of."""


@dataclass(frozen=True, slots=True)
class Route:
    """One `[[route]]` of the configuration."""

    name: str
    hosts: tuple[str, ...]
    """Host names or addresses, tried in this order; each may resolve to several addresses."""
    port: int = 587
    tls: TlsMode = TlsMode.REQUIRED
    ca_file: str | None = None
    """Certificates to trust instead of the system's."""
    client_certificate: str | None = None
    client_key: str | None = None
    credentials: Login | None = None
    """The one login, for every sender."""
    mailboxes: tuple[Login, ...] = ()
    """Several instead of `credentials`; `relay.route.mailbox` says which sender uses which."""
    mailbox_rules: tuple[MailboxRule, ...] = ()
    mx_of: str = ""
    """Instead of `hosts`: the domain whose MX hosts these are, looked up and never built from its name."""
    kind: Kind = Kind.SMTP
    """Which of Microsoft's ways in this is; its preset has filled in what was left out."""
    ipv4_only: bool = False
    """Never connect over IPv6 (Microsoft's connectors know IPv4 addresses only)."""
    use_bdat: bool = False
    """Send content with BDAT (RFC 3030) when the next hop offers CHUNKING."""
    recipients: tuple[str, ...] = ()
    """Recipient domains or addresses that take this route: `example.com`, `*.example.com`, `a@example.com`."""
    senders: tuple[str, ...] = ()
    """Sender domains or addresses that take it, written alike."""
    matches: tuple[Match, ...] = ()
    """Mail that takes it, said more exactly. One of these, of `recipients` or of `senders` is enough; none of all
    these: every mail."""
    internal_only: bool = False
    """It takes recipients inside the tenant only."""
    sender_fixed: bool = False
    """Envelope sender and From must be a mailbox of its own, the same one."""
    message_size_bytes: int = 0
    """The largest mail it takes, with what we add to it; 0: any."""
    spill: str = ""
    """Name of the route that takes mail while this one may not or cannot; empty: none, mail waits."""
    on_uncertain: Uncertain = Uncertain.RETRY
    """What becomes of a mail whose connection was lost between its end and the reply, unless it says so itself."""
    uncertain_after_s: float | None = None
    """How long after such a loss `uncertain_then` becomes of a mail that is kept; None: it stays until it is settled."""
    uncertain_then: Then | None = None
    on_late: Late = Late.TELL
    failed: Failed = Failed.REPORT
    delay_after_s: float | None = None
    """Age at which a sender is told that his mail waits; 0: never, None: as `[report]` says."""
    recipients_per_message: int = 0
    """Recipients in one transaction; more take another. 0: as many as `deliver.recipients_max`."""
    recipients_per_domain: int = 0
    """Of these so many of one domain; 0: no matter of which."""
    connections: int = 20
    """At most this many connections at once for one identity of the route."""
    mails_per_connection: int = 1000
    connection_age_s: float = 1080.0
    """A connection is closed at this age; Microsoft cuts at about 20 minutes."""
    connection_idle_s: float = 30.0
    connect_timeout_s: float = 30.0
    command_timeout_s: float = 300.0
    """RFC 5321 section 4.5.3.2: 5 minutes for most replies."""
    data_timeout_s: float = 600.0
    """RFC 5321 section 4.5.3.2.6: 10 minutes for the reply to the final dot."""
    retry_first_s: float = 60.0
    retry_factor: float = 2.0
    retry_max_s: float = 3600.0
    retry_steps_s: tuple[float, ...] = ()
    """The pauses themselves, instead of these three; the last one is repeated."""
    limits: tuple[Limit, ...] = ()
    """What the next hop allows in a time, without keys: `relay.route.tariff` says who is counted."""
    expire_s: float = 432_000.0
    """Age at which a mail that is still deferred has failed: 5 days (RFC 5321 section 4.5.4.1)."""
    waiting_ages: bool = False
    """Whether the time counts for which a mail only waits: for a limit, for what has stopped, for its turn."""
    hours: tuple[Hours, ...] = ()
    """At which times mail goes; a mail that none of these concerns goes at any."""

    @property
    def logins(self) -> tuple[Login, ...]:
        """Every login there is; none where the next hop wants none."""
        if self.mailboxes or self.credentials is None:
            return self.mailboxes
        return (self.credentials,)

    @property
    def identities(self) -> tuple[Login | None, ...]:
        """Likewise, with (None,) where nobody logs in."""
        return self.logins or (None,)

    @property
    def next_hop(self) -> str:
        """Where mail goes, for people."""
        return f"the MX of {self.mx_of}" if self.mx_of else ", ".join(self.hosts)
