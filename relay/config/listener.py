"""From `[[listener]]` tables to listeners, with the checks that need more than one key."""

from pathlib import Path

from relay.config import certificate
from relay.config.configuration import Listener
from relay.config.findings import Findings
from relay.config.model import ListenerTable
from relay.config.value import endpoint
from relay.errors import ConfigurationError
from relay.message.priority import PRIORITIES, Priority
from relay.receive.options import LOOPBACK, ListenerOptions, ListenerTls


def build_listeners(found: Findings, tables: list[ListenerTable]) -> tuple[Listener, ...]:
    """The listeners; of use only when no problems were found."""
    listeners = tuple(_listener(found, f"listener[{i}]", table) for i, table in enumerate(tables))
    seen: dict[tuple[str, int], int] = {}
    for i, listener in enumerate(listeners):
        where = (listener.host, listener.port)
        if listener.port and where in seen:
            found.problems.append(
                f'listener[{i}].address: listener[{seen[where]}] has "{tables[i].address}" already; remove one of them'
            )
        seen.setdefault(where, i)
    return listeners


def _listener(found: Findings, key: str, table: ListenerTable) -> Listener:
    host, port = endpoint(table.address)
    mode = ListenerTls(table.tls or "none")
    if mode is ListenerTls.NONE and (table.certificate or table.key):
        found.warnings.append(f'{key}.certificate: is not used with tls = "none"; write tls = "starttls"')
    if mode is not ListenerTls.NONE and table.certificate is None:
        found.problems.append(f'{key}.certificate: is missing; tls = "{mode.value}" needs one')
    chain = None if table.certificate is None else found.file(table.certificate)
    private = None if table.key is None else found.file(table.key)
    if chain is not None and mode is not ListenerTls.NONE:
        _check_certificate(found, f"{key}.certificate", table.address, chain, private)
    _check_networks(found, key, host, table)
    highest = PRIORITIES[table.priority_max or "high"]
    priority = PRIORITIES[table.priority] if table.priority else Priority.NORMAL.capped(highest)
    if priority < highest:
        found.problem(
            f"{key}.priority",
            f'"{priority.word}" is above priority_max = "{highest.word}"; lower it, or raise that one',
        )
    return Listener(
        host,
        port,
        ListenerOptions(
            name=table.address,
            tls=mode,
            networks=LOOPBACK if table.networks is None else tuple(table.networks),
            refuse_bare_lf=bool(table.refuse_bare_lf),
            refuse_early_talkers=table.refuse_early_talkers is not False,
            priority=priority,
            priority_max=highest,
        ),
        chain,
        private,
    )


def _check_certificate(found: Findings, key: str, address: str, chain: Path, private: Path | None) -> None:
    try:
        credential = certificate.examine(f"certificate of the listener {address}", chain, private, found.now)
    except ConfigurationError as error:
        found.problem(key, str(error))
    else:
        found.credential(key, credential)


def _check_networks(found: Findings, key: str, host: str, table: ListenerTable) -> None:
    if table.networks is None and not host.startswith("127.") and host != "::1":
        found.warnings.append(
            f"{key}.networks: is missing, so only this machine may send through {table.address}; "
            'name those who may, such as networks = ["10.0.0.0/8"]'
        )
    for network in table.networks or ():
        if network.endswith("/0"):
            found.warnings.append(
                f'{key}.networks: "{network}" lets everybody send: an open relay, unless something else keeps them away'
            )
