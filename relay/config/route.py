"""From `[[route]]` tables to routes, with the checks that need more than one key.

What a table leaves out, the preset of its kind fills in; what it says counts, whatever the kind.
"""

from dataclasses import replace

from relay import tls
from relay.config import client_certificate
from relay.config.credentials import build_credentials
from relay.config.findings import Findings
from relay.config.hours import build_hours
from relay.config.limit import build_limits, check_connections
from relay.config.limit_table import TenantTable
from relay.config.mailbox import build_mailboxes, build_rules
from relay.config.match import build_matches
from relay.config.model import RouteTable
from relay.config.oauth import OAuthBuilder
from relay.config.options import given
from relay.config.reach import check_rules, check_spill
from relay.config.retry import build_retry
from relay.m365.cloud import CLOUDS, WORLDWIDE, Cloud
from relay.m365.preset import PRESETS, HostFrom, Kind, Preset, host_of
from relay.message.uncertain import Then, Uncertain
from relay.route.route import Failed, Late, Route, TlsMode
from relay.route.tenant import Tenant

INITIAL_DOMAINS = (".onmicrosoft.com", ".onmicrosoft.us", ".partner.onmschina.cn")
"""What a tenant's first domain ends in (SUP: wrong-office-365-region-exo)."""
_ROUTE_BY_HAND = {
    "name", "kind", "tls", "ca_file", "client_certificate", "client_key", "recipients", "senders", "mx_of", "uncertain", "uncertain_then", "late", "failed", "retry", "hours",
}  # fmt: skip


def build_routes(found: Findings, tables: list[RouteTable], tenant: TenantTable | None) -> tuple[Route, ...]:
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
    routes = tuple(_route(found, f"route[{i}]", table, tenant) for i, table in enumerate(tables))
    check_connections(found, routes)
    check_spill(found, routes)
    return routes


def _route(found: Findings, key: str, table: RouteTable, tenant: TenantTable | None) -> Route:
    preset = PRESETS[Kind(table.kind)] if table.kind else PRESETS[Kind.SMTP]
    cloud = CLOUDS[table.cloud] if table.cloud else WORLDWIDE
    hosts, mx_of = _next_hop(found, key, table, preset, cloud, tenant)
    route = given(_preset_route(table.name, hosts, preset), table, skip=_ROUTE_BY_HAND)
    oauth = OAuthBuilder(found, preset, cloud)
    route = replace(
        route,
        tls=TlsMode(table.tls) if table.tls else route.tls,
        ca_file=found.optional_file(table.ca_file),
        client_certificate=found.optional_file(table.client_certificate),
        client_key=found.optional_file(table.client_key),
        recipients=tuple(table.recipients or ()),
        senders=tuple(table.senders or ()),
        matches=build_matches(found, key, table.match or (), tenant),
        on_uncertain=Uncertain(table.uncertain) if table.uncertain else route.on_uncertain,
        uncertain_then=Then(table.uncertain_then) if table.uncertain_then else None,
        on_late=Late(table.late) if table.late else route.on_late,
        failed=Failed(table.failed) if table.failed else route.failed,
        mx_of=mx_of,
        retry_steps_s=build_retry(found, key, table),
        hours=build_hours(found, key, table.hours or ()),
        credentials=build_credentials(found, key, table, preset, oauth),
        mailboxes=build_mailboxes(found, key, table, preset, oauth),
        mailbox_rules=build_rules(table.mailbox or ()) if preset.mechanisms else (),
    )
    _check_route_tls(found, key, table, route, tenant)
    check_rules(found, key, table, route, tenant)
    return replace(route, limits=build_limits(found, key, table, route, tenant))


def _preset_route(name: str, hosts: tuple[str, ...], preset: Preset) -> Route:
    return Route(
        name=name,
        hosts=hosts,
        kind=preset.kind,
        port=preset.port,
        tls=TlsMode(preset.tls),
        ipv4_only=preset.ipv4_only,
        internal_only=preset.internal_only,
        sender_fixed=preset.sender_fixed,
        message_size_bytes=preset.size_bytes,
        recipients_per_message=preset.recipients,
        recipients_per_domain=preset.recipients_per_domain,
        connections=preset.connections,
        connection_age_s=float(preset.connection_age_s),
    )


def _next_hop(
    found: Findings, key: str, table: RouteTable, preset: Preset, cloud: Cloud, tenant: TenantTable | None
) -> tuple[tuple[str, ...], str]:
    """The hosts, or none and the domain whose MX they are."""
    if table.host is not None and table.hosts is not None:
        found.problem(
            f"{key}.host",
            'and hosts exclude each other; write host = "smtp.example.net", or hosts = [ ] for several',
        )
    if table.mx_of is not None and preset.host_from is not HostFrom.MX:
        found.problem(
            f"{key}.mx_of",
            'goes with kind = "connector" or "direct"; leave it out, and write host if need be',
        )
        return ("missing.invalid",), ""
    if table.host is not None or table.hosts is not None:
        if table.mx_of is not None:
            found.problem(f"{key}.mx_of", "and host exclude each other; leave out the one that is not meant")
        return tuple(table.hosts or (table.host or "",)), ""
    if host := host_of(preset, cloud):
        return (host,), ""
    if preset.host_from is HostFrom.MX and (domain := table.mx_of or _tenant_domain(tenant)):
        return (), domain
    match preset.host_from:
        case HostFrom.MX:
            wrong = (
                f'kind = "{preset.kind.value}" goes to the MX host of the tenant\'s domain; name the domain with '
                'mx_of = "contoso.com" or in [tenant] domains, and the host is looked up'
            )
        case HostFrom.NOWHERE:
            wrong = 'write host = "smtp.example.net", or hosts = [ ] for several'
        case _:
            wrong = f'of kind = "{preset.kind.value}" none is known for the cloud "{cloud.name}"; write it'
    found.problem(f"{key}.host", f"is missing; {wrong}")
    return ("missing.invalid",), ""


def _tenant_domain(tenant: TenantTable | None) -> str:
    """Whose MX to take: Microsoft suggests that of the initial domain, which leads to no filter in front of it."""
    domains = [each for each in (tenant and tenant.domains) or () if not each.startswith("*.")]
    initial = (each for each in domains if each.endswith(INITIAL_DOMAINS))
    return next(initial, domains[0] if domains else "")


def _check_route_tls(
    found: Findings, key: str, table: RouteTable, route: Route, tenant: TenantTable | None
) -> None:
    if table.client_key is not None and table.client_certificate is None:
        found.problems.append(f"{key}.client_key: goes with a client_certificate; name that one too")
    if route.tls is TlsMode.NONE:
        if route.ca_file or route.client_certificate:
            found.warnings.append(f'{key}.tls: is "none", so its certificates are not used')
        return
    which = "ca_file" if route.client_certificate is None else "client_certificate"
    before = len(found.problems)
    found.judge(f"{key}.{which}", lambda: _try_context(route))
    if route.client_certificate is not None and len(found.problems) == before:
        domains = tuple((tenant and tenant.domains) or ())
        client_certificate.examine(found, f"{key}.client_certificate", route, Tenant(domains))
    if route.tls is TlsMode.IMPLICIT and route.port in (25, 587):
        found.warnings.append(
            f'{key}.port: {route.port} is for STARTTLS; with tls = "implicit" most servers want 465'
        )


def _try_context(route: Route) -> None:
    tls.client_context(ca_file=route.ca_file, certificate=route.client_certificate, key=route.client_key)
