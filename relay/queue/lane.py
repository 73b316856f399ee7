"""A lane: the jobs that the same mailboxes of a route may send, by priority, and in fair turns.

A mail goes through whichever of its mailboxes has room first, so mails for the same set
of mailboxes wait together. A lane without mailboxes is stopped: its key says what for, and
its mail waits until that is over.
"""

from dataclasses import dataclass

from relay.budget.limit import Place
from relay.message.priority import Priority
from relay.queue.job import Job
from relay.queue.party import Party
from relay.queue.siding import Siding
from relay.queue.strand import Strand
from relay.queue.weights import ALIKE, Weights
from relay.route.hours import Hours
from relay.route.route import Login, Route

SidingKey = tuple[Place, Priority]
_PRIORITIES = tuple(Priority)
"""The class itself takes a microsecond to walk through."""


BACK_TOGETHER = 64
"""Mails that are back when one has gone, of what has waited for its hours: some 0.1 ms. Within 160 mails 10,000 take
turns again; one at a time they would go in order of age, whosever they are."""


@dataclass(frozen=True, slots=True)
class LaneKey:
    """Route by name, and the user names of the mailboxes."""

    route: str
    identities: tuple[str, ...] = ("",)
    """("",) where nobody logs in; () where nobody may send now."""
    stopped: str = ""
    """Whose mail it is, where nobody may send: a sender, or `@` and a domain."""


class Lane:
    """Ready jobs of one key."""

    def __init__(
        self,
        key: LaneKey,
        route: Route,
        logins: tuple[Login | None, ...] = (None,),
        weights: Weights = ALIKE,
    ) -> None:
        self.key = key
        self.weights = weights
        self.route = route
        self.logins = logins
        self.reason = ""
        """Why nothing goes, where that is a matter of the lane and not of its mailboxes."""
        self.sidings: dict[SidingKey, Siding] = {}
        self._opened: dict[SidingKey, None] = {}
        """Sidings that let their mail ask again, one at a time."""
        self._strands = (Strand(weights), Strand(weights), Strand(weights))

    def __len__(self) -> int:
        high, normal, bulk = self._strands
        return len(high) + len(normal) + len(bulk)

    def count(self, *, with_large: bool) -> int:
        """How many wait, with or without large ones."""
        high, normal, bulk = self._strands
        return sum([strand.count(with_large=with_large) for strand in (high, normal, bulk)])

    def waiting(self, *, with_large: bool = True) -> list[Priority]:
        """Priorities of which mail waits, the highest first."""
        return [
            priority
            for priority, strand in zip(_PRIORITIES, self._strands, strict=True)
            if strand.count(with_large=with_large)
        ]

    def lengths(self) -> list[tuple[Priority, int]]:
        """How many wait, by priority."""
        return [(priority, len(strand)) for priority, strand in zip(_PRIORITIES, self._strands, strict=True)]

    def parties(self, priority: Priority, client: str) -> list[Party]:
        """Who takes turns in a priority, this client campaign by campaign; without what stands aside."""
        return self._strands[priority].parties(client)

    def only_client(self, priority: Priority) -> str | None:
        """The one whose mail of a priority waits; None: of several, or of nobody."""
        return self._strands[priority].only_client

    def push(self, job: Job) -> None:
        """The job waits for its turn."""
        job.lane = self
        self._strands[job.priority].push(job)

    def head(self, priority: Priority, *, with_large: bool = True) -> Job | None:
        """Whose turn it is in a priority, left in its place."""
        return self._strands[priority].peek(with_large=with_large)

    def peek(self) -> Job | None:
        """The oldest of all, left in its place."""
        heads = [head for strand in self._strands if (head := strand.oldest()) is not None]
        return min(heads, key=_id) if heads else None

    def take(self, job: Job) -> None:
        """It leaves, as `head` or `peek` gave it."""
        self._strands[job.priority].take(job)

    def ahead(self, job: Job) -> int:
        """How many of its own client, campaign and priority go before a job that stands here."""
        return self._strands[job.priority].ahead(job)

    def before(self, job: Job) -> int:
        """About how many of its priority go before a job that stands here."""
        return self._strands[job.priority].before(job)

    def charge(self, job: Job, size: int) -> None:
        """It has had its turn, a mail of so many bytes."""
        self._strands[job.priority].charge(job, size)

    # Mail that stands aside.

    @property
    def parked(self) -> int:
        """Jobs that stand aside; `len` does not count them."""
        return sum(map(len, self.sidings.values())) if self.sidings else 0

    def is_closed(self, place: Place, priority: Priority) -> bool:
        """Whether mail of that kind need not ask."""
        siding = self.sidings.get((place, priority))
        return siding is not None and siding.is_closed

    def park(self, place: Place, priority: Priority, job: Job, hours: tuple[Hours, ...] = ()) -> None:
        """Let the others past; until its hours, where it waits for such."""
        self._siding((place, priority), hours).park(job)

    def close_siding(self, key: SidingKey, until: float, reason: str) -> None:
        """Nothing of that kind goes before."""
        self._siding(key).close(until, reason)
        self._opened.pop(key, None)

    def open_siding(self, key: SidingKey) -> None:
        """Let it ask again: the oldest first, the next one when that has gone; of hours, in numbers."""
        siding = self.sidings.get(key)
        if siding is not None:
            siding.open()
            self._opened[key] = None
            self._unpark(key)

    def unpark(self) -> bool:
        """Something has gone: the next of each open siding is back in its place; False when there was none."""
        found = False
        for key in list(self._opened):
            found = self._unpark(key) or found
        return found

    def _siding(self, key: SidingKey, hours: tuple[Hours, ...] = ()) -> Siding:
        siding = self.sidings.get(key)
        if siding is None:
            siding = self.sidings[key] = Siding(hours)
        return siding

    def _unpark(self, key: SidingKey) -> bool:
        siding = self.sidings[key]
        for number in range(BACK_TOGETHER if siding.hours else 1):
            job = siding.take()
            if job is None:
                del self.sidings[key], self._opened[key]
                return number > 0
            self.push(job)
        return True


def _id(job: Job) -> int:
    return job.id
