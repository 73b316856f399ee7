"""The receiver's options: listeners and limits, each with its default and its reason."""

from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path

from relay.identity.bearer import Inbound
from relay.identity.client import Clients
from relay.message.priority import Priority
from relay.receive.brake_options import BrakeOptions
from relay.receive.learning_options import LearningOptions
from relay.route.tenant import Tenant
from relay.smtp.server import ServerOptions
from relay.spool.change import MAX_RECORD_BYTES
from relay.tls import TlsVersion


class ListenerTls(Enum):
    """How clients of a listener get TLS."""

    NONE = "none"
    STARTTLS = "starttls"
    """Offered, not demanded (RFC 3207)."""
    IMPLICIT = "implicit"
    """From the first byte (RFC 8314)."""


class Auth(Enum):
    """What clients of a listener must do before they send."""

    OFF = "off"
    """Nothing; there is no AUTH."""
    OPTIONAL = "optional"
    """They may log in."""
    REQUIRED = "required"
    """They must be known: by a login, a certificate or the network of a client."""


OWN_FIELDS_BYTES = 16_384
"""Room in record 0 for what we add: Received, Message-ID, Date, signatures, what a rewriting makes longer."""
HEAD_BYTES = MAX_RECORD_BYTES - OWN_FIELDS_BYTES
"""The beginning of a mail that is still in memory when it ends; its header must lie in it."""
LOOPBACK = ("127.0.0.0/8", "::1/128")


@dataclass(frozen=True, slots=True)
class ListenerOptions:
    """One `[[listener]]`; its socket is bound by whoever starts the receiver."""

    name: str
    """As events name it: the address it listens at."""
    tls: ListenerTls = ListenerTls.NONE
    networks: tuple[str, ...] = LOOPBACK
    """Who may connect, and send unless `auth` is required: networks in CIDR form. A relay that serves everybody is an open
    relay, so the default is this machine. The networks of clients are served besides."""
    auth: Auth = Auth.OFF
    auth_without_tls: bool = False
    """Offer AUTH where everybody on the way can listen: for machines that know no TLS."""
    auth_without_tls_networks: tuple[str, ...] = LOOPBACK
    """To whom, then."""
    proxy_networks: tuple[str, ...] = ()
    """Proxies that begin each connection with a PROXY header (version 1 or 2) and are believed."""
    xclient_networks: tuple[str, ...] = ()
    """Proxies that may say XCLIENT and are believed."""
    tls_min: TlsVersion = TlsVersion.TLS_1_2
    """The least version of TLS. Below 1.2 for old machines in named networks only, with a certificate of its own."""
    session_tickets: bool = True
    """Sessions of TLS may be resumed by tickets; some senders stumble on them (Microsoft's have, in some releases)."""
    refuse_bare_lf: bool = False
    """Refuse content with an LF that has no CR; else it becomes CRLF (scripts that print mails write bare LF)."""
    refuse_early_talkers: bool = True
    """Turn away clients that speak before the banner (RFC 5321 section 4.3.1): broken, or a proxy of someone else's words."""
    priority: Priority = Priority.NORMAL
    """Of a mail that says nothing. What only sends campaigns should not have to say so."""
    priority_max: Priority = Priority.HIGH
    """The highest that a mail may ask for; one that asks for more gets this. Who may send is trusted by default."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may ask of us. Seconds, bytes and counts."""

    connections: int = 10_000
    """In all. An idle session takes about 10 KiB, so this bounds them at 100 MiB."""
    connections_per_address: int = 1_000
    """Of one client address: one application that leaks connections must not shut out the others."""
    mails_per_session: int = 100_000
    """Then 421 at MAIL. New connections spread over the receivers again; announced as LIMITS MAILMAX (RFC 9422)."""
    commands_without_mail: int = 5_000
    """Commands since the last accepted mail. Above the recipients a mail may have, so that only idle talk meets it."""
    errors_per_session: int = 20
    """Faults of syntax and order since the last accepted mail; Postfix's smtpd_hard_error_limit is 20 too."""
    recipients_per_message: int = 1_000
    """RFC 5321 section 4.5.3.1.8 wants 100 at least; Exchange Online takes 1,000 at most. Announced as RCPTMAX."""
    message_bytes: int = 157_286_400
    """150 MiB: what Exchange Online takes at most, after encoding."""
    header_bytes: int = 131_072
    """All fields of a mail. It must lie in the first content record; Exchange takes 128 KB of header."""
    header_fields: int = 1_000
    """A mail that went through lists and filters has some hundred."""
    received_hops: int = 50
    """RFC 5321 section 6.3: at least 100 is suggested, Postfix takes 50; in a loop each hop costs a copy."""
    not_before_max_s: float = 2_592_000.0
    """How far ahead X-Relay-Not-Before may lie. A month: what waits lies on the disk, and who sends it may be gone
    by then."""
    command_line_bytes: int = 2_048
    """RFC 5321 wants 512, DSN parameters and long addresses some 1,500 (RFC 3461 section 5.4)."""
    content_line_bytes: int = 65_536
    """With its CRLF. RFC 5321 section 4.5.3.1.6 allows 1,000, and many applications write a whole HTML page in one
    line: what the next hop takes, we do not refuse. 1000 holds clients to the RFC, 0 is no limit."""
    idle_timeout_s: float = 300.0
    """Without a byte from the client. RFC 5321 section 4.5.3.2.7: at least 5 minutes."""
    handshake_timeout_s: float = 30.0
    """For TLS: some round trips and one signature."""
    transaction_timeout_s: float = 7_200.0
    """From MAIL to the end of the mail: 150 MiB at 20 KiB/s."""
    minimum_rate_bytes_s: int = 500
    """Of content, after the grace: a client that sends a byte a minute holds a connection and a buffer for days."""
    rate_grace_s: float = 120.0
    """How long content may come slower than that: a network that stalls is no attack."""
    commit_deadline_s: float = 60.0
    """For the disk. Then 451, and the mail is dropped when it is committed after all. Clients wait 10 minutes."""
    streamed_records: int = 2
    """Of one mail, waiting for the disk; with more the session stops reading. 256 KiB each: flat memory for any mail."""
    content_bytes: int = 268_435_456
    """Of all mails that are coming in, in memory; above, 452 at MAIL. Those under way go on, each with 1 MiB at most."""
    large_buffers: int = 256
    """Of 64 KiB, for sessions that read content: 16 MiB. Further sessions read with their own 4 KiB."""
    logins_waiting: int = 256
    """Passwords that wait to be checked, 20 ms each and so 5 s in all: whoever comes later is told to come again (454)."""
    logins_remembered: int = 4_096
    """Logins that succeeded and need no check for a while. 200 bytes each; an installation has some dozens."""
    login_remembered_s: float = 300.0
    """For so long: an application that logs in for every mail costs microseconds, not 20 ms."""

    def share(self, receivers: int) -> "Limits":
        """One receiver's part, so that all of them together never exceed a limit that counts over sessions.

        The kernel spreads connections over receivers as they come free; an address whose connections fall
        unevenly meets its limit somewhat early, and its next try goes elsewhere.
        """
        return replace(
            self,
            connections=max(1, self.connections // receivers),
            connections_per_address=max(1, self.connections_per_address // receivers),
            content_bytes=self.content_bytes // receivers,
            large_buffers=self.large_buffers // receivers,
            logins_waiting=max(1, self.logins_waiting // receivers),
        )


@dataclass(frozen=True, slots=True)
class Rewrite:
    """One `[[rewrite]]`: senders that cannot be changed where they are."""

    senders: tuple[str, ...]
    """Written as in `Route.senders`, without the null sender."""
    to: str
    """The address that takes their place; ASCII, so that no mail needs SMTPUTF8 for it."""
    from_field: bool = True
    """The address in From too, when `senders` speak of it."""
    clients: tuple[str, ...] | None = None
    """Only for mail from these networks; None: for all."""


class Action(Enum):
    """What is done with a mail that breaks a rule."""

    OFF = "off"
    WARN = "warn"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class SpoofingOptions:
    """`[spoofing]`; without it and without a tenant nothing is asked."""

    from_field: Action = Action.OFF
    """One From field with one address, in a domain of the tenant or allowed to the client."""
    sender_field: Action = Action.OFF
    """The Sender field, where there is one, likewise."""
    display_name: Action = Action.OFF
    """No other address in the name, no controls."""
    null_sender: Action = Action.OFF
    """Only for reports and automatic replies."""
    alignment: Action = Action.OFF
    """DMARC, where the author's domain asks for it."""


@dataclass(frozen=True, slots=True)
class ReceiverOptions:
    """One receiver process."""

    hostname: str
    slot: int = 0
    """Its number among the receivers; part of its queue ids."""
    listeners: tuple[ListenerOptions, ...] = ()
    limits: Limits = field(default_factory=Limits)
    rewrites: tuple[Rewrite, ...] = ()
    """The first that matches counts."""
    clients: Clients = field(default_factory=Clients)
    tenant: Tenant = field(default_factory=Tenant)
    spoofing: SpoofingOptions = field(default_factory=SpoofingOptions)
    brakes: BrakeOptions = field(default_factory=BrakeOptions)
    learning: LearningOptions | None = None
    """None: nobody unknown is let in."""
    inbound: Inbound | None = None
    """Whose tokens are taken; None: nobody's."""
    prospects: Path | None = None
    """What the deliverer foresees; None: nothing."""
    keeps_subject: bool = False
    """Each mail's subject goes into its envelope, for the history."""


def server_options(options: ReceiverOptions, listener: ListenerOptions) -> ServerOptions:
    """The protocol's part of the options."""
    limits = options.limits
    return ServerOptions(
        hostname=options.hostname,
        starttls=listener.tls is ListenerTls.STARTTLS,
        refuse_bare_lf=listener.refuse_bare_lf,
        message_bytes=limits.message_bytes,
        content_line_bytes=limits.content_line_bytes,
        command_line_bytes=limits.command_line_bytes,
        recipients_per_message=limits.recipients_per_message,
        mails_per_session=limits.mails_per_session,
        errors_per_session=limits.errors_per_session,
        commands_without_mail=limits.commands_without_mail,
    )
