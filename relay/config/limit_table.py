"""The shape of `[[route.limit]]` and of `[tenant]`."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from relay.budget.limit import MAX_WINDOW_S, Unit
from relay.config.table import Table
from relay.config.value import Count, Date, Seconds, UnknownWord, size_bytes

Amount = Annotated[int, BeforeValidator(size_bytes), Field(ge=1)]
"""Of bytes, a size may be written."""
LimitScope = Literal["mailbox", "route", "source", "forest", "tenant", "recipient", "client"]
Counted = Literal["connections", "messages", "recipients", "external recipients", "bytes"]
UNITS: dict[str, Unit] = {
    "connections": Unit.CONNECTIONS,
    "messages": Unit.MESSAGES,
    "recipients": Unit.RECIPIENTS,
    "external recipients": Unit.EXTERNAL_RECIPIENTS,
    "bytes": Unit.BYTES,
}


def _window(value: float) -> float:
    if value != int(value) or not 1 <= value <= MAX_WINDOW_S:
        raise ValueError("write whole seconds, from 1 to a year")
    return value


def _domain(value: str) -> str:
    bare = value.removeprefix("*.")
    if "." not in bare or "@" in bare or "*" in bare or not bare.isascii() or bare != bare.strip(". "):
        raise ValueError('write a domain such as "contoso.com", or "*.contoso.com" for all below it')
    return value.lower()


def _plain_domain(value: str) -> str:
    if value.startswith("*."):
        raise ValueError('write one domain, such as "contoso.com"')
    return value


Window = Annotated[Seconds, AfterValidator(_window)]
Domain = Annotated[str, AfterValidator(_domain)]
PlainDomain = Annotated[Domain, AfterValidator(_plain_domain)]


class RouteLimitTable(Table):
    """`relay.budget.limit.Limit`."""

    count: Amount | None = None
    of: Counted
    per: Window | None = None
    since_midnight: bool | None = None
    scope: LimitScope | None = None
    least: Amount | None = None
    ramp: Annotated[list[Count], Field(min_length=1)] | None = None
    ramp_start: Date | None = None


class TenantTable(Table):
    """`relay.route.tenant.Tenant`, and its limit to the outside."""

    domains: list[Domain] | None = None
    recipients_file: Annotated[str, Field(min_length=1)] | None = None
    recipients: Literal["graph"] | None = None
    recipients_refresh: Annotated[Seconds, Field(ge=60)] | None = None
    recipients_stale: Seconds | None = None
    recipients_unknown: UnknownWord | None = None
    licences: Annotated[int, Field(ge=0)] | None = None
    external_recipients_per_day: Count | None = None
