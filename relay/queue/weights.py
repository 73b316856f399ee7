"""Weights: how many turns one takes where others take one; of clients, and of the campaigns of a client.

A client's weight is its name's, a campaign's is by the first pattern that fits its name. What
nobody speaks of weighs 1, and so does mail of no campaign.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from relay.message.campaign import campaign_fits


@dataclass(frozen=True, slots=True)
class CampaignWeight:
    """One `[[campaign]]` of the configuration."""

    match: str
    """Its name; with a `*` at the end, what its name begins with."""
    weight: int


@dataclass(frozen=True, slots=True)
class Weights:
    """All of them."""

    clients: Mapping[str, int] = field(default_factory=dict)
    campaigns: tuple[CampaignWeight, ...] = ()

    def of_client(self, name: str) -> int:
        """At least 1."""
        return self.clients.get(name, 1)

    def of_campaign(self, name: str) -> int:
        """At least 1: of the first that fits."""
        return next((each.weight for each in self.campaigns if campaign_fits(each.match, name)), 1)


ALIKE = Weights()
"""All weigh the same."""
