"""A strand: jobs of a lane that take turns, by client and campaign.

    strand ── ordinary mail ── clients, by weight ── their campaigns, by weight ── the oldest first
           └─ large mail ───── clients, by weight ── their campaigns, by weight ── the oldest first

A client takes turns as one, however many campaigns he names: who invents one for each mail
goes no faster. Large mail is kept apart because it may have to wait where other mail may
go; where both may, they take turns like two clients that weigh as much as all of theirs.
With one client and one campaign the oldest is next.

A job that is withdrawn stays where it is, without a seat, and is passed over.
"""

from __future__ import annotations

from heapq import heappop, heappush, heapreplace
from typing import TYPE_CHECKING

from relay.queue.flow import cost
from relay.queue.line import Line
from relay.queue.party import LARGE, LOOKED_AT_MAX, OTHERS, Party
from relay.queue.rota import Rota
from relay.queue.weights import Weights

if TYPE_CHECKING:
    from relay.queue.job import Job

Campaigns = Rota[Line]
_Clients = Rota[Line | Campaigns]
"""Most have one campaign at a time: those have its line, without a rota of one."""
_KINDS = ("ordinary", "large")


class Strand:
    """Of one priority."""

    __slots__ = ("_ages", "_clients", "_counts", "_kinds", "_knowings", "_weights")

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._clients: tuple[_Clients, _Clients] = (Rota(), Rota())
        """Of ordinary and of large mail."""
        self._counts = [0, 0]
        self._kinds: Rota[_Clients] = Rota()
        self._ages: list[tuple[int, int, Line]] = []
        """Lines by an id that is not above that of their oldest mail."""
        self._knowings = 0

    def __len__(self) -> int:
        return self._counts[0] + self._counts[1]

    def count(self, *, with_large: bool) -> int:
        """How many there are, with or without large ones."""
        ordinary, large = self._counts
        return ordinary + large if with_large else ordinary

    def push(self, job: Job) -> None:
        """The job waits for its turn."""
        job.seat = self
        is_large = job.flow.is_large
        self._counts[is_large] += 1
        line = self._line(job)
        line.push(job)
        if line.known_from < 0 or job.id < line.known_from:
            self._know(line, job.id)

    def peek(self, *, with_large: bool = True) -> Job | None:
        """Whose turn it is, left in its place."""
        ordinary, large = self._counts
        if not with_large or not (large or self._kinds.is_shared):
            return self._clients[0].peek() if ordinary else None
        for name, clients in zip(_KINDS, self._clients, strict=True):
            # It weighs what those weigh who wait in it, and they come and go.
            member = self._kinds.get(name) or self._kinds.join(name, 1, clients)
            member.weight = max(1, clients.weight)
        return self._kinds.peek()

    def oldest(self) -> Job | None:
        """The oldest of all, left in its place."""
        ages = self._ages
        while ages:
            id, _, line = ages[0]
            job = line.peek() if line.known_from == id else None
            if job is None:
                heappop(ages)
                if line.known_from == id:
                    line.known_from = -1
            elif job.id == id:
                return job
            else:
                line.known_from = job.id
                heapreplace(ages, (job.id, self._knowing(), line))
        return None

    @property
    def only_client(self) -> str | None:
        """The one whose mail waits; None: of several, or of nobody."""
        ordinary, large = self._clients
        return None if self._counts[1] or large.members else ordinary.only_name()

    def parties(self, client: str) -> list[Party]:
        """Who takes turns: clients, and of the one that is named his campaigns; large mail as one."""
        ordinary, large = self._clients
        found: list[Party] = []
        left, weight = self._counts[0], ordinary.weight
        for member in ordinary.some(LOOKED_AT_MAX, client):
            waits, of_campaign = member.waits, self._weights.of_campaign
            if isinstance(waits, Line):
                campaigns = [(waits.name, of_campaign(waits.name), len(waits))]
            elif member.name == client:
                campaigns = [
                    (each.name, each.weight, len(each.waits)) for each in waits.some(waits.members, "")
                ]
            elif waits.members <= LOOKED_AT_MAX:
                campaigns = [("", 1, len(waits))]
            else:
                continue
            found += [Party(member.name, member.weight, *campaign) for campaign in campaigns]
            left, weight = left - sum([count for _, _, count in campaigns]), weight - member.weight
        if left > 0 and weight > 0:
            found.append(Party(OTHERS, weight, "", 1, left))
        if self._counts[1]:
            found.append(Party(LARGE, max(1, large.weight), "", 1, self._counts[1]))
        return [each for each in found if each.mails]

    def ahead(self, job: Job) -> int:
        """How many of its own client, campaign and size go before it."""
        return self._line(job).before(job)

    def before(self, job: Job) -> int:
        """About how many go before it, of ordinary or of large mail as it is itself."""
        flow = job.flow
        clients = self._clients[flow.is_large]
        client = clients.get(flow.client)
        assert client is not None
        place = self._line(job).before(job)
        if isinstance(client.waits, Rota):
            place = client.waits.before(flow.campaign, place)
        return clients.before(flow.client, place)

    def take(self, job: Job) -> None:
        """It leaves, and comes back perhaps: the oldest of its line, as `peek` and `oldest` give them."""
        self._line(job).take(job)
        job.seat = None
        self._counts[job.flow.is_large] -= 1

    def charge(self, job: Job, size: int) -> None:
        """It has had its turn."""
        flow, counts = job.flow, cost(size)
        clients = self._clients[flow.is_large]
        client = clients.get(flow.client)
        assert client is not None
        if isinstance(client.waits, Rota):
            client.waits.charge(flow.campaign, counts)
        clients.charge(flow.client, counts)
        if self._kinds.get(_KINDS[flow.is_large]) is not None:
            self._kinds.charge(_KINDS[flow.is_large], counts)

    def leave(self, job: Job) -> None:
        """It is withdrawn."""
        job.seat = None
        self._counts[job.flow.is_large] -= 1
        # An action takes the oldest first, so most leave at once, and a million need no room.
        self._line(job).peek()

    def _line(self, job: Job) -> Line:
        """Where it stands, or is to stand."""
        flow = job.flow
        clients = self._clients[flow.is_large]
        client = clients.get(flow.client)
        if client is None:
            client = clients.join(flow.client, self._weights.of_client(flow.client), Line(flow.campaign))
        waits = client.waits
        if isinstance(waits, Line):
            if waits.name == flow.campaign:
                return waits
            campaigns: Campaigns = Rota()
            campaigns.join(waits.name, self._weights.of_campaign(waits.name), waits)
            waits = client.waits = campaigns
        campaign = waits.get(flow.campaign)
        if campaign is None:
            weight = self._weights.of_campaign(flow.campaign)
            campaign = waits.join(flow.campaign, weight, Line(flow.campaign))
        return campaign.waits

    def _know(self, line: Line, id: int) -> None:
        line.known_from = id
        heappush(self._ages, (id, self._knowing(), line))

    def _knowing(self) -> int:
        self._knowings += 1
        return self._knowings
