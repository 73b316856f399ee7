"""Who may come in at a listener: the keys about it, and warnings where they let in more than was meant."""

from ipaddress import ip_address, ip_network

from relay.config.findings import Findings
from relay.config.model import ListenerTable
from relay.identity.client import Clients
from relay.receive.options import LOOPBACK, Auth, ListenerOptions, ListenerTls


def check_access(
    found: Findings, key: str, table: ListenerTable, options: ListenerOptions, host: str, clients: Clients
) -> None:
    """Judge one listener."""
    _check_networks(found, key, table, options, host, clients)
    _check_auth(found, key, table, options, clients)
    _check_proxies(found, key, options)
    if table.client_crl_file is not None and table.client_ca_file is None:
        found.problem(f"{key}.client_crl_file", "goes with a client_ca_file; name that one too")
    if table.client_ca_file is not None:
        if options.tls is ListenerTls.NONE:
            found.problem(f"{key}.client_ca_file", 'needs TLS; write tls = "starttls" or tls = "implicit"')
        if not any(client.certificates for client in clients.clients):
            found.warning(f"{key}.client_ca_file", "no client has certificates, so showing one is of no use")


def _check_networks(
    found: Findings, key: str, table: ListenerTable, options: ListenerOptions, host: str, clients: Clients
) -> None:
    has_networks = any(client.networks for client in clients.clients)
    if table.networks is None and not ip_address(host).is_loopback and not has_networks:
        found.warning(
            f"{key}.networks",
            f"is missing, so only this machine may send through {table.address}; "
            'name those who may, such as networks = ["10.0.0.0/8"]',
        )
    if options.auth is not Auth.REQUIRED:
        for network in filter(_is_everybody, table.networks or ()):
            found.warning(
                f"{key}.networks",
                f'"{network}" lets everybody send: an open relay, unless something else keeps them away; '
                'with auth = "required" only those who prove who they are',
            )


def _check_auth(
    found: Findings, key: str, table: ListenerTable, options: ListenerOptions, clients: Clients
) -> None:
    if options.auth is Auth.OFF:
        if options.auth_without_tls:
            found.warning(f"{key}.auth_without_tls", 'is not used with auth = "off"; write auth = "optional"')
        return
    if not any(
        client.passwords or client.certificates or client.networks or client.oauth_app
        for client in clients.clients
    ):
        found.warning(
            f"{key}.auth",
            f'is "{options.auth.value}", and there is no client yet: m365-relay client add NAME',
        )
    if options.auth_without_tls:
        if any(not ip_network(each).is_loopback for each in options.auth_without_tls_networks):
            found.warning(
                f"{key}.auth_without_tls",
                "lets passwords cross the network for all to read, from "
                f"{', '.join(options.auth_without_tls_networks)}; use TLS where the machines know it",
            )
    elif options.tls is ListenerTls.NONE:
        found.warning(
            f"{key}.auth",
            f'is "{options.auth.value}", but nobody can log in without TLS; write tls = "starttls", or "implicit"',
        )
    if table.auth_without_tls_networks is not None and not options.auth_without_tls:
        found.warning(f"{key}.auth_without_tls_networks", "is not used; it goes with auth_without_tls = true")


def _check_proxies(found: Findings, key: str, options: ListenerOptions) -> None:
    for name, networks in (
        ("proxy_networks", options.proxy_networks),
        ("xclient_networks", options.xclient_networks),
    ):
        for network in filter(_is_everybody, networks):
            found.problem(
                f"{key}.{name}",
                f'"{network}" would believe everybody who says to be somebody else; name the proxies',
            )


def _is_everybody(network: str) -> bool:
    return ip_network(network).prefixlen == 0


def networks(given: list[str] | None) -> tuple[str, ...]:
    """The networks that were given, else this machine."""
    return LOOPBACK if given is None else tuple(given)
