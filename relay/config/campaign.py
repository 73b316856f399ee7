"""From `[[campaign]]` to the weights of campaigns, in the order written: the first that fits counts."""

from collections.abc import Sequence

from relay.config.campaign_table import CampaignTable
from relay.config.findings import Findings
from relay.message.campaign import campaign_fits
from relay.queue.weights import CampaignWeight

CAMPAIGNS_MAX = 100
"""Each campaign that takes turns anew is compared with all of them, in some 10 µs."""


def build_campaigns(found: Findings, tables: Sequence[CampaignTable]) -> tuple[CampaignWeight, ...]:
    """Of use only when no problems were found."""
    if len(tables) > CAMPAIGNS_MAX:
        found.problem("campaign", f"are {len(tables)}; there may be {CAMPAIGNS_MAX} at most")
    for i, table in enumerate(tables):
        for j, other in enumerate(tables[:i]):
            if other.match == table.match:
                found.problem(f"campaign[{i}].match", f'"{table.match}" is that of campaign[{j}] already')
                break
            if other.match.endswith("*") and _covers(other.match, table.match):
                found.warning(
                    f"campaign[{i}].match",
                    f'"{table.match}" is never looked at: campaign[{j}] ("{other.match}") fits all of it and '
                    "comes first; put the narrower one before it",
                )
                break
    return tuple(CampaignWeight(table.match, table.weight) for table in tables)


def _covers(first: str, other: str) -> bool:
    """Whether what fits the other one fits the first already: of `May*` both `May 1` and `May 1*` are parts."""
    return first == "*" or campaign_fits(first, other.removesuffix("*"))
