"""From `[[listener]]` tables to listeners, with the checks that need more than one key."""

from pathlib import Path

from relay.config import certificate
from relay.config.access import check_access, networks
from relay.config.configuration import Listener
from relay.config.findings import Findings
from relay.config.model import ListenerTable
from relay.config.value import endpoint
from relay.config.weak_tls import check_weak_tls
from relay.errors import ConfigurationError
from relay.identity.client import Clients
from relay.message.priority import PRIORITIES, Priority
from relay.receive.options import Auth, ListenerOptions, ListenerTls
from relay.tls import TlsVersion


def build_listeners(found: Findings, tables: list[ListenerTable], clients: Clients) -> tuple[Listener, ...]:
    """The listeners; of use only when no problems were found."""
    listeners = tuple(_listener(found, f"listener[{i}]", table, clients) for i, table in enumerate(tables))
    seen: dict[tuple[str, int], int] = {}
    for i, listener in enumerate(listeners):
        where = (listener.host, listener.port)
        if listener.port and where in seen:
            found.problems.append(
                f'listener[{i}].address: listener[{seen[where]}] has "{tables[i].address}" already; remove one of them'
            )
        seen.setdefault(where, i)
        check_weak_tls(found, f"listener[{i}]", tables[i], listener, listeners)
    return listeners


def _listener(found: Findings, key: str, table: ListenerTable, clients: Clients) -> Listener:
    host, port = endpoint(table.address)
    mode = ListenerTls(table.tls or "none")
    if mode is ListenerTls.NONE and (table.certificate or table.key):
        found.warnings.append(f'{key}.certificate: is not used with tls = "none"; write tls = "starttls"')
    if mode is not ListenerTls.NONE and table.certificate is None:
        found.problems.append(f'{key}.certificate: is missing; tls = "{mode.value}" needs one')
    chain = None if table.certificate is None else found.file(table.certificate)
    private = None if table.key is None else found.file(table.key)
    tls_min = TlsVersion(table.tls_min or "1.2")
    if chain is not None and mode is not ListenerTls.NONE:
        _check_certificate(found, f"{key}.certificate", table.address, chain, private, tls_min)
    highest = PRIORITIES[table.priority_max or "high"]
    priority = PRIORITIES[table.priority] if table.priority else Priority.NORMAL.capped(highest)
    if priority < highest:
        found.problem(
            f"{key}.priority",
            f'"{priority.word}" is above priority_max = "{highest.word}"; lower it, or raise that one',
        )
    options = ListenerOptions(
        name=table.address,
        tls=mode,
        networks=networks(table.networks),
        auth=Auth(table.auth or "off"),
        auth_without_tls=bool(table.auth_without_tls),
        auth_without_tls_networks=networks(table.auth_without_tls_networks),
        proxy_networks=tuple(table.proxy_networks or ()),
        xclient_networks=tuple(table.xclient_networks or ()),
        tls_min=tls_min,
        session_tickets=table.session_tickets is not False,
        refuse_bare_lf=bool(table.refuse_bare_lf),
        refuse_early_talkers=table.refuse_early_talkers is not False,
        priority=priority,
        priority_max=highest,
    )
    check_access(found, key, table, options, host, clients)
    authorities = found.optional_path(table.client_ca_file)
    revoked = found.optional_path(table.client_crl_file)
    if authorities is not None:
        _check_authorities(found, f"{key}.client_ca_file", table.address, authorities, revoked)
    return Listener(host, port, options, chain, private, authorities, revoked)


def _check_certificate(
    found: Findings, key: str, address: str, chain: Path, private: Path | None, tls_min: TlsVersion
) -> None:
    name = f"certificate of the listener {address}"
    try:
        credential = certificate.examine(name, chain, private, found.now, tls_min)
    except ConfigurationError as error:
        found.problem(key, str(error))
    else:
        found.credential(key, credential)


def _check_authorities(
    found: Findings, key: str, address: str, authorities: Path, revoked: Path | None
) -> None:
    try:
        ends = certificate.examine_authorities(f"the listener {address}", authorities, revoked)
    except ConfigurationError as error:
        found.problem(key, str(error))
    else:
        for each in ends:
            found.credential(key, each)
