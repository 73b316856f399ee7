"""A party: mail of a lane that takes turns as one, as a forecast needs to know it.

A client is one party, however many campaigns he has; only the client whose mail is asked
about is told campaign by campaign. Small ones are drawn together: a walk looks at each
party in each of its steps.
"""

from collections.abc import Sequence
from typing import NamedTuple

PARTIES_MAX = 12
"""Of the clients of a lane and priority, and of the campaigns of one client: the largest; the rest is one more."""
LOOKED_AT_MAX = 256
"""Members of a rota that are counted for it, some 100 µs; the rest is drawn together unseen."""
OTHERS = "(others)"
"""No client is called so, nor as the two below: their names have no parentheses."""
LARGE = "(large mail)"
NEW = "(new)"
"""A client, or a campaign, of which nothing waits."""


class Party(NamedTuple):
    """One of them."""

    client: str
    weight: int
    """Turns among clients."""
    campaign: str
    campaign_weight: int
    """Turns among the campaigns of its client."""
    mails: float


def drawn_together(parties: Sequence[Party], client: str, campaign: str) -> list[Party]:
    """At most so many, without loss of mail or weight; what is asked about stays what it is."""
    own = [each for each in parties if each.client == client]
    others = [each for each in parties if each.client != client]
    if len(others) > PARTIES_MAX:
        others.sort(key=lambda each: -each.mails)
        rest = others[PARTIES_MAX:]
        mails, weight = sum([each.mails for each in rest]), sum([each.weight for each in rest])
        others = [*others[:PARTIES_MAX], Party(OTHERS, weight, "", 1, mails)]
    if len(own) > PARTIES_MAX:
        own.sort(key=lambda each: (each.campaign != campaign, -each.mails))
        rest = own[PARTIES_MAX:]
        mails, weight = sum([each.mails for each in rest]), sum([each.campaign_weight for each in rest])
        own = [*own[:PARTIES_MAX], Party(client, own[0].weight, OTHERS, weight, mails)]
    return own + others
