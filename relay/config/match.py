"""From `[[route.match]]` to matches."""

from collections.abc import Sequence

from relay.config.findings import Findings
from relay.config.limit_table import TenantTable
from relay.config.match_table import MatchTable
from relay.message.priority import Priority
from relay.route.match import Match, Side


def build_matches(
    found: Findings, key: str, tables: Sequence[MatchTable], tenant: TenantTable | None
) -> tuple[Match, ...]:
    """The matches of one route, whose path is `key`; of use only when no problems were found."""
    return tuple(_match(found, f"{key}.match[{i}]", table, tenant) for i, table in enumerate(tables))


def _match(found: Findings, key: str, table: MatchTable, tenant: TenantTable | None) -> Match:
    match = Match(
        senders=tuple(table.senders or ()),
        recipients=tuple(table.recipients or ()),
        clients=tuple(table.clients or ()),
        recipients_are=Side(table.recipients_are) if table.recipients_are else None,
        larger_than_bytes=table.larger_than or 0,
        up_to_bytes=table.up_to or 0,
        priorities=tuple(Priority[word.upper()] for word in table.priorities or ()),
        campaigns=tuple(table.campaigns or ()),
    )
    if match == Match():
        found.problem(key, "says nothing; a route that takes every mail has no [[route.match]]")
    if match.up_to_bytes and match.larger_than_bytes >= match.up_to_bytes:
        found.problem(
            f"{key}.up_to",
            "must be above larger_than: no mail is smaller than the one and larger than the other",
        )
    if match.recipients_are is not None and not (tenant and tenant.domains):
        found.problem(f"{key}.recipients_are", NO_DOMAINS)
    return match


NO_DOMAINS = (
    'asks who is inside, and nobody is: write the accepted domains, [tenant] domains = ["contoso.com"]'
)
