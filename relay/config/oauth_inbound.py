"""From `[oauth_inbound]` to whose tokens are taken, and whether clients and listeners fit it."""

from collections.abc import Sequence

from relay import tls
from relay.config.findings import Findings
from relay.config.oauth_inbound_table import OAuthInboundTable
from relay.identity.bearer import Inbound
from relay.identity.claims import EXCHANGE_ONLINE
from relay.identity.client import Client
from relay.m365.cloud import CLOUDS, WORLDWIDE
from relay.receive.options import Auth, ListenerOptions, ListenerTls

KEY = "oauth_inbound"
GRAPH = "00000003-0000-0000-c000-000000000000"
"""Application id of Microsoft Graph."""


def build_inbound(found: Findings, table: OAuthInboundTable | None) -> Inbound | None:
    """Whose tokens are taken; None: there is no such table."""
    if table is None:
        return None
    cloud = CLOUDS[table.cloud] if table.cloud else WORLDWIDE
    inbound = Inbound(
        tenant=table.tenant,
        audiences=tuple(table.audiences),
        authority=table.authority or f"https://{cloud.authority}",
        roles=tuple(table.roles or ()),
        ca_file=found.optional_file(table.ca_file),
    )
    for audience in inbound.audiences:
        if _is_microsofts(audience):
            found.problem(
                f"{KEY}.audiences",
                f'"{audience}" is a service of Microsoft\'s, and a token for it is meant for nobody else: whoever gets '
                "one could pass it on. Register the relay as an application with an ID URI of its own (docs/clients.md)",
            )
    if inbound.ca_file is not None:
        found.judge(f"{KEY}.ca_file", lambda: _try_authorities(inbound.ca_file))
    return inbound


def check_tokens(found: Findings, placed: Sequence[tuple[str, Client]], inbound: Inbound | None) -> None:
    """A client's token needs somebody who verifies it. `placed` are clients, each with where it stands."""
    for where, client in placed:
        if client.oauth_users and not client.oauth_app:
            found.problem(
                f"{where}.oauth_users", "goes with oauth_app, the application that has their tokens"
            )
        if client.oauth_app and inbound is None:
            found.problem(
                f"{where}.oauth_app",
                f"needs to know whose tokens to take; add [{KEY}] with tenant and audiences (docs/clients.md)",
            )


def check_use(
    found: Findings,
    clients: Sequence[Client],
    listeners: Sequence[ListenerOptions],
    inbound: Inbound | None,
) -> None:
    """Tokens that nobody has, or that come in nowhere."""
    if inbound is None:
        return
    if not any(client.oauth_app for client in clients):
        found.warning(
            KEY, "is not used: no client has an oauth_app; m365-relay client add NAME --oauth-app ID"
        )
    elif not any(each.auth is not Auth.OFF and each.tls is not ListenerTls.NONE for each in listeners):
        found.warning(
            KEY,
            'is not used: tokens are taken over TLS only; give a listener auth = "required" and tls = "starttls"',
        )


def _is_microsofts(audience: str) -> bool:
    bare = audience.lower().rstrip("/").removeprefix("https://")
    hosts = {cloud.token_resource.removeprefix("https://") for cloud in CLOUDS.values()}
    hosts |= {cloud.graph_host for cloud in CLOUDS.values()} | {"outlook.office.com", EXCHANGE_ONLINE, GRAPH}
    return bare in hosts


def _try_authorities(ca_file: str | None) -> None:
    tls.client_context(ca_file=ca_file)
