"""What `kind` of a route fills in: host, port, TLS, login and limits.

Published limits stand in `limit`, for the budgets; here stands what a connection and
an envelope must keep to. Where Microsoft publishes nothing, the number is ours and
says so. All of it can be set otherwise for a route.
"""

from dataclasses import dataclass
from enum import Enum

from relay.m365.cloud import Cloud
from relay.m365.row import READ_ON, Certainty


class Kind(Enum):
    """The ways mail can take into Microsoft 365, and any other SMTP server."""

    SUBMISSION = "submission"
    CONNECTOR = "connector"
    DIRECT = "direct"
    HIGH_VOLUME = "high-volume"
    COMMUNICATION = "acs"
    SMTP = "smtp"


TRACED = frozenset({Kind.SUBMISSION, Kind.CONNECTOR, Kind.DIRECT, Kind.HIGH_VOLUME})
"""Their next hop is Exchange, whose message trace shows what it has taken."""


class HostFrom(Enum):
    """Where a route's host comes from when none is set."""

    SUBMISSION = "the cloud's submission host"
    HIGH_VOLUME = "the cloud's high-volume host"
    COMMUNICATION = "the host of Azure Communication Services"
    MX = "the MX host of the tenant's domain, looked up and never built from the domain's name"
    NOWHERE = "it must be set"


@dataclass(frozen=True, slots=True)
class Preset:
    """Defaults of one kind. A limit of 0 is none."""

    kind: Kind
    host_from: HostFrom
    port: int
    tls: str
    """A value of relay.route.route.TlsMode."""
    mechanisms: tuple[str, ...]
    """What AUTH may use, the best first; empty: no login."""
    ipv4_only: bool
    recipients: int
    """In one envelope."""
    recipients_per_domain: int
    size_bytes: int
    connections: int
    """At once for one identity."""
    connection_age_s: int
    internal_only: bool
    """Only recipients inside the tenant."""
    sender_fixed: bool
    """Envelope sender and From must be the account."""
    reason: str
    """Where the numbers come from that are no published limit."""
    source: str
    certainty: Certainty
    date: str = READ_ON
    token_role: str = ""
    """The application permission that a token needs (DEV; learn: high-volume-mails-m365)."""
    token_resource: str = ""
    """What a token is for, where it is not the cloud's."""
    token_margin_s: int = 60
    """A token with less time left opens no session."""


_EHLO_SIZE = 157_286_400
"""What both smtp.office365.com and MX hosts announce; a mailbox may have less (35 MB if nothing is set)."""
_TEN_MB = 10_000_000
"""Microsoft writes 10 MB; of the two meanings the smaller."""
_SESSION_AGE_S = 1080
"""Sessions are cut at 20 minutes, seen and not published; two of them are left for the mail under way."""

PRESETS = {
    preset.kind: preset
    for preset in (
        Preset(
            kind=Kind.SUBMISSION,
            host_from=HostFrom.SUBMISSION,
            port=587,
            tls="required",
            mechanisms=("XOAUTH2", "LOGIN"),
            ipv4_only=False,
            recipients=500,
            recipients_per_domain=0,
            size_bytes=_EHLO_SIZE,
            connections=3,
            connection_age_s=_SESSION_AGE_S,
            internal_only=False,
            sender_fixed=False,
            reason="500 recipients is a mailbox's default; the administrator may set 1 to 1,000",
            source="learn: smtp-submission-improvements; PS: Set-Mailbox; EHLO as of November 2025",
            certainty=Certainty.PRIMARY,
            token_role="SMTP.SendAsApp",
        ),
        Preset(
            kind=Kind.CONNECTOR,
            host_from=HostFrom.MX,
            port=25,
            tls="required",
            mechanisms=(),
            ipv4_only=True,
            recipients=500,
            recipients_per_domain=100,
            size_bytes=_EHLO_SIZE,
            connections=20,
            connection_age_s=_SESSION_AGE_S,
            internal_only=False,
            sender_fixed=False,
            reason="more than 200 recipients of a domain are refused, half of it leaves room for groups; "
            "for connections nothing is published",
            source="PS: New-InboundConnector; SUP: non-delivery-reports-in-exchange-online",
            certainty=Certainty.PRIMARY,
        ),
        Preset(
            kind=Kind.DIRECT,
            host_from=HostFrom.MX,
            port=25,
            tls="required",
            mechanisms=(),
            # Over IPv6, mail that fits no connector needs SPF or DKIM, and the address a name in DNS.
            ipv4_only=True,
            recipients=500,
            recipients_per_domain=100,
            size_bytes=_EHLO_SIZE,
            connections=5,
            connection_age_s=_SESSION_AGE_S,
            internal_only=True,
            sender_fixed=False,
            reason="as for a connector; fewer connections, because an address without one is throttled early",
            source="EXO21: how-to-set-up-a-multifunction-device-or-application-to-send-email",
            certainty=Certainty.PRIMARY,
        ),
        Preset(
            kind=Kind.HIGH_VOLUME,
            host_from=HostFrom.HIGH_VOLUME,
            port=587,
            tls="required",
            mechanisms=("XOAUTH2", "LOGIN"),
            ipv4_only=False,
            recipients=50,
            recipients_per_domain=0,
            size_bytes=_TEN_MB,
            connections=10,
            connection_age_s=_SESSION_AGE_S,
            internal_only=True,
            sender_fixed=True,
            reason="for connections nothing is published; a session must not outlive its token, whatever its age",
            source="learn: high-volume-mails-m365; MC1243552",
            certainty=Certainty.PRIMARY,
            token_role="Mail.Send",
            # Seen in the field; Microsoft's text names none (github: ercankskn/postfix-entra-relay).
            token_resource="https://outlook.office.com",
            # 5.7.142 refuses a token that ends soon, whenever that is; 5.7.143 a session that outlives it.
            token_margin_s=600,
        ),
        Preset(
            kind=Kind.COMMUNICATION,
            host_from=HostFrom.COMMUNICATION,
            port=587,
            tls="required",
            mechanisms=("LOGIN", "PLAIN"),
            ipv4_only=False,
            recipients=50,
            recipients_per_domain=0,
            size_bytes=_TEN_MB,
            connections=20,
            connection_age_s=_SESSION_AGE_S,
            internal_only=False,
            sender_fixed=False,
            reason="a subscription may have 250 connections, of which a relay needs few",
            source="ACS: smtp-authentication; ACS: service-limits",
            certainty=Certainty.PRIMARY,
        ),
        Preset(
            kind=Kind.SMTP,
            host_from=HostFrom.NOWHERE,
            port=587,
            tls="required",
            mechanisms=("PLAIN", "LOGIN"),
            ipv4_only=False,
            recipients=0,
            recipients_per_domain=0,
            size_bytes=0,
            connections=20,
            connection_age_s=_SESSION_AGE_S,
            internal_only=False,
            sender_fixed=False,
            reason="what the server announces counts",
            source="RFC 6409, RFC 8314",
            certainty=Certainty.PRIMARY,
        ),
    )
}


def host_of(preset: Preset, cloud: Cloud) -> str:
    """The host when none is set; empty where it must be looked up or set, or the cloud has none."""
    match preset.host_from:
        case HostFrom.SUBMISSION:
            return cloud.submission_host
        case HostFrom.HIGH_VOLUME:
            return cloud.high_volume_host
        case HostFrom.COMMUNICATION:
            return cloud.communication_host
        case HostFrom.MX | HostFrom.NOWHERE:
            return ""
