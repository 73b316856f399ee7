"""Backlogs: what waits, as a forecast needs to know it: by lane and priority, and where it is asked about by party.

Lanes that are not asked about are one backlog a priority. Mail that stands aside for its
hours is looked at too, with these hours; what stands aside for anything else is not.
"""

from relay.message.priority import Priority
from relay.queue.lane import Lane
from relay.queue.party import LOOKED_AT_MAX, OTHERS, Party, drawn_together
from relay.queue.siding import Siding
from relay.queue.situation import Backlog, Errand, Kind
from relay.route.hours import concerning

LEAST = 0.5
"""Mails; less is nothing."""


class Backlogs:
    """Of one situation."""

    def __init__(
        self, client: str, asked_about: set[tuple[int, ...]], ahead: tuple[Errand, float] | None = None
    ) -> None:
        """`asked_about`: lanes, by their senders; `client`: whose campaigns are told one by one, as those of the
        only client are; `ahead`: of that errand's client and campaign so many mails go before it, the rest is left out.
        """
        self.found: list[Backlog] = []
        self._client = client
        self._asked_about = asked_about
        self._ahead = ahead

    def add(self, lane: Lane, senders: tuple[int, ...], kind: Kind) -> None:
        """All that waits there."""
        is_asked_about = senders in self._asked_about
        for priority, count in lane.lengths():
            if not is_asked_about:
                self._take(senders, priority, kind, Party("", 1, "", 1, count), lane)
            elif count:
                self._parties(lane, senders, priority, kind, lane.parties(priority, self._client))
        for (_, priority), siding in lane.sidings.items():
            if siding.hours and is_asked_about:
                self._parties(lane, senders, priority, kind, _of_siding(lane, siding), siding)
            elif siding.hours:
                self._take(senders, priority, kind, Party("", 1, "", 1, len(siding)), lane, siding)

    def _parties(
        self, lane: Lane, senders: tuple[int, ...], priority: Priority, kind: Kind, parties: list[Party],
        siding: Siding | None = None,
    ) -> None:  # fmt: skip
        campaign = "" if self._ahead is None else self._ahead[0].campaign
        for each in drawn_together(parties, self._client, campaign):
            self._take(senders, priority, kind, each, lane, siding)

    def _take(
        self, senders: tuple[int, ...], priority: Priority, kind: Kind, party: Party, lane: Lane,
        siding: Siding | None = None,
    ) -> None:  # fmt: skip
        mails = float(party.mails)
        if self._ahead is not None and _is_of(self._ahead[0], senders, priority, party):
            errand, ahead = self._ahead
            mails = min(mails, ahead)
            self._ahead = (errand, ahead - mails)
        if mails > LEAST:
            campaign = "" if party.campaign == OTHERS else party.campaign
            hours = concerning(lane.route.hours, priority, campaign) if siding is None else siding.hours
            self.found.append(
                Backlog(
                    senders, int(priority), mails, kind, client=party.client, weight=party.weight,
                    campaign=party.campaign, campaign_weight=party.campaign_weight, hours=hours,
                )
            )  # fmt: skip


def _is_of(errand: Errand, senders: tuple[int, ...], priority: Priority, party: Party) -> bool:
    return (
        errand.senders == senders
        and errand.priority == priority
        and (errand.client, errand.campaign) == (party.client, party.campaign)
    )


def _of_siding(lane: Lane, siding: Siding) -> list[Party]:
    """Who waits there, each client and campaign by itself; the rest together."""
    weights = lane.weights
    found: list[Party] = []
    for (client, campaign), count in siding.counts.items():
        if len(found) == LOOKED_AT_MAX:
            break
        weight, of_campaign = weights.of_client(client), weights.of_campaign(campaign)
        found.append(Party(client, weight, campaign, of_campaign, count))
    rest = len(siding) - sum([each.mails for each in found])
    return [*found, Party(OTHERS, 1, "", 1, rest)] if rest else found
