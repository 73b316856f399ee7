"""From the file's tables to the options of the packages, with all checks that need more than one key.

Problems are gathered, not raised: an administrator wants to see all of them.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from relay import tls
from relay.config import certificate, secret
from relay.config.configuration import Configuration, ConsoleOptions, Listener, RelayOptions
from relay.config.dkim import DkimBuilder
from relay.config.model import File, ListenerTable, RouteTable
from relay.config.table import Table
from relay.config.value import endpoint
from relay.deliver.options import DelivererOptions
from relay.errors import ConfigurationError
from relay.receive.options import LOOPBACK, Limits, ListenerOptions, ListenerTls
from relay.route.route import Credentials, Route, TlsMode
from relay.spool.options import SpoolOptions

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Options = TypeVar("Options", bound=DataclassInstance)
else:
    Options = TypeVar("Options")

KEYS = {
    "message_bytes": "message_size",
    "header_bytes": "header_size",
    "minimum_rate_bytes_s": "minimum_rate",
}
"""Options whose name without its unit says too little."""
UNITS = ("_bytes", "_s")
HANDOVER_SOCKET = "handover.sock"
SOCKET_PATH_MAX = 107
"""sun_path has 108 bytes with its NUL (unix(7))."""


def key_of(option: str) -> str:
    """The key that sets an option."""
    return KEYS.get(option) or next((option.removesuffix(u) for u in UNITS if option.endswith(u)), option)


class Builder:
    """Builds one configuration; afterwards `problems` and `warnings` tell what was found."""

    def __init__(self, path: Path, now: float) -> None:
        self.problems: list[str] = []
        self.warnings: list[str] = []
        self._path = path
        self._now = now
        self._secret_names: set[str] = set()

    def build(self, file: File) -> Configuration:
        """The configuration; of use only when no problems were found."""
        spool = given(SpoolOptions(path=self._file(file.spool.path)), file.spool, skip={"path"})
        handover = spool.path / HANDOVER_SOCKET
        if len(os.fsencode(handover)) > SOCKET_PATH_MAX:
            self.problems.append(
                f"spool.path: is too long for the Unix socket in it ({SOCKET_PATH_MAX} bytes with /{HANDOVER_SOCKET})"
            )
        deliverer = DelivererOptions(hostname=file.relay.hostname, handover_path=handover)
        return Configuration(
            path=self._path,
            relay=self._relay(file, spool.path),
            spool=spool,
            limits=given(Limits(), file.limits),
            deliverer=given(deliverer, file.deliver),
            listeners=self._listeners(file.listener),
            routes=self._routes(file.route),
            console=self._console(file),
            dkim=DkimBuilder(self._path.parent, self._now, self.problems, self.warnings).build(file.dkim),
            secret_names=frozenset(self._secret_names),
            warnings=tuple(self.warnings),
        )

    def _relay(self, file: File, spool: Path) -> RelayOptions:
        runtime = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
        cores = len(os.sched_getaffinity(0))
        options = RelayOptions(
            hostname=file.relay.hostname,
            receivers=min(max(cores - 1, 1), 32),
            run=Path(runtime) if runtime else spool / "run",
        )
        if file.relay.run is not None:
            options = replace(options, run=self._file(file.relay.run))
        if "." not in file.relay.hostname:
            self.warnings.append(
                f'relay.hostname: "{file.relay.hostname}" has no domain; servers may refuse it in EHLO (RFC 5321 section 4.1.1.1)'
            )
        return given(options, file.relay, skip={"hostname", "run"})

    def _listeners(self, tables: list[ListenerTable]) -> tuple[Listener, ...]:
        listeners = tuple(self._listener(f"listener[{i}]", table) for i, table in enumerate(tables))
        seen: dict[tuple[str, int], int] = {}
        for i, listener in enumerate(listeners):
            where = (listener.host, listener.port)
            if listener.port and where in seen:
                self.problems.append(
                    f'listener[{i}].address: listener[{seen[where]}] has "{tables[i].address}" already; remove one of them'
                )
            seen.setdefault(where, i)
        return listeners

    def _listener(self, key: str, table: ListenerTable) -> Listener:
        host, port = endpoint(table.address)
        mode = ListenerTls(table.tls or "none")
        if mode is ListenerTls.NONE and (table.certificate or table.key):
            self.warnings.append(f'{key}.certificate: is not used with tls = "none"; write tls = "starttls"')
        if mode is not ListenerTls.NONE and table.certificate is None:
            self.problems.append(f'{key}.certificate: is missing; tls = "{mode.value}" needs one')
        chain = None if table.certificate is None else self._file(table.certificate)
        private = None if table.key is None else self._file(table.key)
        if chain is not None and mode is not ListenerTls.NONE:
            self._judge(f"{key}.certificate", lambda: certificate.examine(chain, private, self._now))
        self._check_networks(key, host, table)
        return Listener(
            host,
            port,
            ListenerOptions(
                name=table.address,
                tls=mode,
                networks=LOOPBACK if table.networks is None else tuple(table.networks),
                refuse_bare_lf=bool(table.refuse_bare_lf),
                refuse_early_talkers=table.refuse_early_talkers is not False,
            ),
            chain,
            private,
        )

    def _check_networks(self, key: str, host: str, table: ListenerTable) -> None:
        if table.networks is None and not host.startswith("127.") and host != "::1":
            self.warnings.append(
                f"{key}.networks: is missing, so only this machine may send through {table.address}; "
                'name those who may, such as networks = ["10.0.0.0/8"]'
            )
        for network in table.networks or ():
            if network.endswith("/0"):
                self.warnings.append(
                    f'{key}.networks: "{network}" lets everybody send: an open relay, unless something else keeps them away'
                )

    def _routes(self, tables: list[RouteTable]) -> tuple[Route, ...]:
        if not tables:
            self.warnings.append("route: there is none, so every recipient is refused; add a [[route]]")
        seen: dict[str, int] = {}
        for i, table in enumerate(tables):
            if table.name in seen:
                self.problems.append(
                    f'route[{i}].name: route[{seen[table.name]}] is called "{table.name}" already; names must differ'
                )
            seen.setdefault(table.name, i)
            catch_all = next(
                (j for j in range(i) if not tables[j].recipients and not tables[j].senders), None
            )
            if catch_all is not None:
                self.warnings.append(
                    f'route[{i}]: is never used, since route[{catch_all}] ("{tables[catch_all].name}") before it takes every mail'
                )
        return tuple(self._route(f"route[{i}]", table) for i, table in enumerate(tables))

    def _route(self, key: str, table: RouteTable) -> Route:
        if (table.host is None) == (table.hosts is None):
            wrong = "is missing" if table.host is None else "and hosts exclude each other"
            self.problems.append(
                f'{key}.host: {wrong}; write host = "smtp.example.net", or hosts = [ ] for several'
            )
        hosts = tuple(table.hosts or ([table.host] if table.host else ["missing.invalid"]))
        route = given(Route(name=table.name, hosts=hosts), table, skip=_ROUTE_BY_HAND)
        route = replace(
            route,
            tls=TlsMode(table.tls) if table.tls else route.tls,
            ca_file=self._optional_file(table.ca_file),
            client_certificate=self._optional_file(table.client_certificate),
            client_key=self._optional_file(table.client_key),
            recipients=tuple(table.recipients or ()),
            senders=tuple(table.senders or ()),
            credentials=self._credentials(key, table),
        )
        self._check_route_tls(key, table, route)
        return route

    def _check_route_tls(self, key: str, table: RouteTable, route: Route) -> None:
        if table.client_key is not None and table.client_certificate is None:
            self.problems.append(f"{key}.client_key: goes with a client_certificate; name that one too")
        if route.tls is TlsMode.NONE:
            if route.ca_file or route.client_certificate:
                self.warnings.append(f'{key}.tls: is "none", so its certificates are not used')
            return
        which = "ca_file" if route.client_certificate is None else "client_certificate"
        self._judge(f"{key}.{which}", lambda: _try_context(route))
        if route.tls is TlsMode.IMPLICIT and route.port in (25, 587):
            self.warnings.append(
                f'{key}.port: {route.port} is for STARTTLS; with tls = "implicit" most servers want 465'
            )

    def _credentials(self, key: str, table: RouteTable) -> Credentials | None:
        sources = [name for name in ("password_file", "password_env") if getattr(table, name) is not None]
        if table.username is None:
            if sources:
                self.problems.append(f"{key}.username: is missing; {sources[0]} goes with one")
            return None
        if len(sources) != 1:
            wrong = (
                "is missing; username goes with one, or with password_env"
                if not sources
                else "and password_env exclude each other"
            )
            self.problems.append(f"{key}.password_file: {wrong}")
            return None
        password = self._password(key, table)
        if table.tls in ("none", "opportunistic"):
            self.warnings.append(
                f'{key}.tls: is "{table.tls}", so the password may cross the network for all to read; write "required"'
            )
        return Credentials(table.username, password)

    def _password(self, key: str, table: RouteTable) -> str:
        try:
            if table.password_env is not None:
                self._secret_names.add(table.password_env)
                return secret.from_environment(table.password_env)
            password, warning = secret.from_file(self._file(table.password_file or ""))
        except ValueError as error:
            self.problems.append(f"{key}.password_{'env' if table.password_env else 'file'}: {error}")
            return ""
        if warning:
            self.warnings.append(f"{key}.password_file: {warning}")
        return password

    def _console(self, file: File) -> ConsoleOptions | None:
        table = file.console
        if table is None:
            return None
        console = ConsoleOptions(*endpoint(table.address)) if table.address else ConsoleOptions()
        if console.port and any(
            endpoint(each.address) == (console.host, console.port) for each in file.listener
        ):
            self.problems.append("console.address: a listener has it already; change one of them")
        return console

    def _judge(self, key: str, examine: Callable[[], str | None]) -> None:
        try:
            warning = examine()
        except ConfigurationError as error:
            self.problems.append(f"{key}: {error}")
            return
        if warning:
            self.warnings.append(f"{key}: {warning}")

    def _file(self, name: str) -> Path:
        """Relative names are relative to the configuration's folder, not to where somebody stands."""
        return self._path.parent / name

    def _optional_file(self, name: str | None) -> str | None:
        return None if name is None else str(self._file(name))


def _try_context(route: Route) -> None:
    tls.client_context(ca_file=route.ca_file, certificate=route.client_certificate, key=route.client_key)


_ROUTE_BY_HAND = {
    "name", "tls", "ca_file", "client_certificate", "client_key", "recipients", "senders",
}  # fmt: skip


def given(options: Options, table: Table, skip: "set[str] | frozenset[str]" = frozenset()) -> Options:
    """The options with what the table sets; what it leaves out stays."""
    changes: dict[str, object] = {}
    values: Mapping[str, object] = table.model_dump(exclude_none=True)
    for option in fields(options):
        key = key_of(option.name)
        if key in values and key not in skip:
            changes[option.name] = values[key]
    return replace(options, **changes)
