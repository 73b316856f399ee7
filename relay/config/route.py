"""From `[[route]]` tables to routes and their credentials, with the checks that need more than one key."""

from dataclasses import replace

from relay import tls
from relay.config import secret
from relay.config.findings import Findings
from relay.config.model import RouteTable
from relay.config.options import given
from relay.route.route import Credentials, Route, TlsMode

_ROUTE_BY_HAND = {
    "name", "tls", "ca_file", "client_certificate", "client_key", "recipients", "senders",
}  # fmt: skip


def build_routes(found: Findings, tables: list[RouteTable]) -> tuple[Route, ...]:
    """The routes; of use only when no problems were found."""
    if not tables:
        found.warnings.append("route: there is none, so every recipient is refused; add a [[route]]")
    seen: dict[str, int] = {}
    for i, table in enumerate(tables):
        if table.name in seen:
            found.problems.append(
                f'route[{i}].name: route[{seen[table.name]}] is called "{table.name}" already; names must differ'
            )
        seen.setdefault(table.name, i)
        catch_all = next((j for j in range(i) if not tables[j].recipients and not tables[j].senders), None)
        if catch_all is not None:
            found.warnings.append(
                f'route[{i}]: is never used, since route[{catch_all}] ("{tables[catch_all].name}") before it takes every mail'
            )
    return tuple(_route(found, f"route[{i}]", table) for i, table in enumerate(tables))


def _route(found: Findings, key: str, table: RouteTable) -> Route:
    if (table.host is None) == (table.hosts is None):
        wrong = "is missing" if table.host is None else "and hosts exclude each other"
        found.problems.append(
            f'{key}.host: {wrong}; write host = "smtp.example.net", or hosts = [ ] for several'
        )
    hosts = tuple(table.hosts or ([table.host] if table.host else ["missing.invalid"]))
    route = given(Route(name=table.name, hosts=hosts), table, skip=_ROUTE_BY_HAND)
    route = replace(
        route,
        tls=TlsMode(table.tls) if table.tls else route.tls,
        ca_file=found.optional_file(table.ca_file),
        client_certificate=found.optional_file(table.client_certificate),
        client_key=found.optional_file(table.client_key),
        recipients=tuple(table.recipients or ()),
        senders=tuple(table.senders or ()),
        credentials=_credentials(found, key, table),
    )
    _check_route_tls(found, key, table, route)
    return route


def _check_route_tls(found: Findings, key: str, table: RouteTable, route: Route) -> None:
    if table.client_key is not None and table.client_certificate is None:
        found.problems.append(f"{key}.client_key: goes with a client_certificate; name that one too")
    if route.tls is TlsMode.NONE:
        if route.ca_file or route.client_certificate:
            found.warnings.append(f'{key}.tls: is "none", so its certificates are not used')
        return
    which = "ca_file" if route.client_certificate is None else "client_certificate"
    found.judge(f"{key}.{which}", lambda: _try_context(route))
    if route.tls is TlsMode.IMPLICIT and route.port in (25, 587):
        found.warnings.append(
            f'{key}.port: {route.port} is for STARTTLS; with tls = "implicit" most servers want 465'
        )


def _try_context(route: Route) -> None:
    tls.client_context(ca_file=route.ca_file, certificate=route.client_certificate, key=route.client_key)


def _credentials(found: Findings, key: str, table: RouteTable) -> Credentials | None:
    sources = [name for name in ("password_file", "password_env") if getattr(table, name) is not None]
    if table.username is None:
        if sources:
            found.problems.append(f"{key}.username: is missing; {sources[0]} goes with one")
        return None
    if len(sources) != 1:
        wrong = (
            "is missing; username goes with one, or with password_env"
            if not sources
            else "and password_env exclude each other"
        )
        found.problems.append(f"{key}.password_file: {wrong}")
        return None
    password = _password(found, key, table)
    if table.tls in ("none", "opportunistic"):
        found.warnings.append(
            f'{key}.tls: is "{table.tls}", so the password may cross the network for all to read; write "required"'
        )
    return Credentials(table.username, password)


def _password(found: Findings, key: str, table: RouteTable) -> str:
    try:
        if table.password_env is not None:
            found.secret_names.add(table.password_env)
            return secret.from_environment(table.password_env)
        password, warning = secret.from_file(found.file(table.password_file or ""))
    except ValueError as error:
        found.problems.append(f"{key}.password_{'env' if table.password_env else 'file'}: {error}")
        return ""
    if warning:
        found.warnings.append(f"{key}.password_file: {warning}")
    return password
