"""Microsoft's clouds: which hosts a tenant has, by where it lives.

Every value can be set otherwise in the configuration: hosts of the national clouds
are known from logs and code of third parties, and Microsoft renames hosts.
"""

from dataclasses import dataclass

from relay.m365.row import READ_ON, Certainty


@dataclass(frozen=True, slots=True)
class Cloud:
    """Hosts and addresses of one cloud; empty where it has none."""

    name: str
    """As in the configuration."""
    submission_host: str
    high_volume_host: str
    communication_host: str
    """Azure Communication Services."""
    authority: str
    """Host of the OAuth authority: `https://{authority}/{tenant}`."""
    token_resource: str
    """`{token_resource}/.default` is the scope of a token for SMTP."""
    graph_host: str
    has_message_trace: bool
    """Graph answers /admin/exchange/tracing (GRAPH: messagetracingroot-list-messagetraces)."""
    mx_suffixes: tuple[str, ...]
    """What the names of tenants' MX hosts end in; to recognise them, never to build them."""
    source: str
    certainty: Certainty
    date: str = READ_ON


WORLDWIDE = Cloud(
    name="worldwide",
    submission_host="smtp.office365.com",
    high_volume_host="smtp.hve.mx.microsoft",
    communication_host="smtp.azurecomm.net",
    authority="login.microsoftonline.com",
    token_resource="https://outlook.office365.com",
    graph_host="graph.microsoft.com",
    has_message_trace=True,
    # Domains added since July 2026 live under mx.microsoft.
    mx_suffixes=("mail.protection.outlook.com", "mx.microsoft"),
    source="DEV: how-to-authenticate-an-imap-pop-smtp-application-by-using-oauth",
    certainty=Certainty.PRIMARY,
)
GCC_HIGH = Cloud(
    name="gcc-high",
    submission_host="smtp.office365.us",
    high_volume_host="",
    communication_host="",
    authority="login.microsoftonline.us",
    token_resource="https://outlook.office365.us",
    graph_host="graph.microsoft.us",
    has_message_trace=False,
    mx_suffixes=("mail.protection.office365.us",),
    source="code of third parties; the MX suffix from memory",
    certainty=Certainty.LOG,
)
DOD = Cloud(
    name="dod",
    # Some name a host smtp…; which of the two is right, no source tells.
    submission_host="outlook-dod.office365.us",
    high_volume_host="",
    communication_host="",
    authority="login.microsoftonline.us",
    token_resource="https://outlook-dod.office365.us",
    graph_host="dod-graph.microsoft.us",
    has_message_trace=False,
    mx_suffixes=("mail.protection.office365.us",),
    source="code of third parties; the MX suffix from memory",
    certainty=Certainty.CONFLICT,
)
CHINA = Cloud(
    name="21vianet",
    submission_host="smtp.partner.outlook.cn",
    high_volume_host="",
    communication_host="",
    authority="login.partner.microsoftonline.cn",
    token_resource="https://partner.outlook.cn",
    graph_host="microsoftgraph.chinacloudapi.cn",
    has_message_trace=False,
    mx_suffixes=("mail.protection.partner.outlook.cn",),
    source="code of third parties; the MX suffix from memory",
    certainty=Certainty.LOG,
)

CLOUDS = {cloud.name: cloud for cloud in (WORLDWIDE, GCC_HIGH, DOD, CHINA)}


def is_mx_host(host: str, cloud: Cloud) -> bool:
    """Is this name one of the cloud's MX hosts? With or without the final dot, in any case."""
    name = host.rstrip(".").lower()
    return any(name.endswith(f".{suffix}") for suffix in cloud.mx_suffixes)
