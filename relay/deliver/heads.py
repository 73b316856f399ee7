"""Heads: the first mail of each priority that a login may have now, read and made ready.

Looked at only when it is its turn. What lets others past on the way is set aside: mail
whose sender the mailbox may not use goes to another lane, mail that waits for a limit of
its own kind (to the outside, of its client, to its recipient) to a siding.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from relay.budget.answer import Wait
from relay.budget.limit import Charge, Place, Scope, Unit
from relay.deliver.gate import Gate, words
from relay.deliver.work import Work
from relay.message.priority import Priority
from relay.queue.job import Job
from relay.queue.lane import Lane
from relay.route.hours import Hours
from relay.route.tariff import TENANT_KEY

LOOKS_MAX = 256
"""Mails looked at in one go: about 10 ms; the rest in the next turn."""
NARROW = frozenset({Scope.CLIENT, Scope.RECIPIENT})
OUTSIDE = Place(Scope.TENANT, TENANT_KEY, Unit.EXTERNAL_RECIPIENTS)


class Aside(NamedTuple):
    """What has stopped mail of a kind, and lets others past."""

    place: Place
    reason: str
    until: float | None = None
    """Monotonic: it asks again then; None: when it is told."""
    hours: tuple[Hours, ...] = ()
    """Outside of which it is, where that is what has stopped it."""


class Source(Protocol):
    """Where mail is read and set aside; in life the desk."""

    def read(self, job: Job, recipients_max: int) -> Work | None: ...
    def relane(self, job: Job, lane: Lane, sender: bytes) -> bool: ...
    def stops_aside(self, gate: Gate, work: Work) -> Aside | None: ...
    def proof_place(self, gate: Gate, sender: bytes) -> Place | None: ...
    def wait_until(self, wait: Wait) -> float: ...


class Sidings(Protocol):
    """Where mail waits aside; in life `relay.deliver.waits.Waits`."""

    def close_siding(
        self, lane: Lane, place: Place, priority: Priority, until: float, reason: str
    ) -> None: ...
    def close_until_told(self, lane: Lane, place: Place, priority: Priority, reason: str) -> None: ...


class Heads:
    """For one question of one gate."""

    def __init__(self, source: Source, sidings: Sidings, gate: Gate, recipients_max: int) -> None:
        self.works: dict[Priority, Work] = {}
        """Those looked at, as they stand."""
        self.is_tired = False
        """More is to be looked at, in another turn."""
        self._source = source
        self._sidings = sidings
        self._gate = gate
        self._recipients_max = recipients_max
        self._looked = 0

    def charges(self, priority: Priority) -> Sequence[Charge] | None:
        """Of the first mail; None when none is left."""
        supply, source = self._gate.supply, self._source
        while (job := supply.head(priority)) is not None:
            if self._looked >= LOOKS_MAX:
                self.is_tired = True
                return None
            self._looked += 1
            work = self.works.get(priority)
            if work is None or work.job is not job:
                lane = job.lane
                work = source.read(job, self._recipients_max)
                if work is None:
                    if supply.head(priority) is job:
                        # No more may start just now.
                        return None
                    continue
                if source.relane(job, lane, work.envelope.sender):
                    continue
                self.works[priority] = work
            charges = self._charges(work)
            if not self._is_parked(work, priority, charges):
                return charges
            del self.works[priority]
        return None

    def steps_aside(self, priority: Priority, wait: Wait) -> bool:
        """A limit of its own kind lets others past."""
        place = Place(wait.limit.scope, wait.key, wait.limit.unit)
        if not is_narrow(place):
            return False
        work = self.works.pop(priority)
        until = self._source.wait_until(wait)
        self._park(work, place, priority)
        reason = words(wait.limit, wait.key)
        self._sidings.close_siding(work.job.lane, place, priority, until, reason)
        return True

    def _charges(self, work: Work) -> list[Charge]:
        tariff = self._gate.tariff
        if tariff is None:
            return []
        return tariff.charges(work.addresses, work.envelope.size, work.client)

    def _is_parked(self, work: Work, priority: Priority, charges: Sequence[Charge]) -> bool:
        """Whether something is known that it waits for, which lets others past."""
        lane, source = work.job.lane, self._source
        if stopped := source.stops_aside(self._gate, work):
            self._park(work, stopped.place, priority, stopped.hours)
            if stopped.until is None:
                self._sidings.close_until_told(lane, stopped.place, priority, stopped.reason)
            else:
                self._sidings.close_siding(lane, stopped.place, priority, stopped.until, stopped.reason)
            return True
        place = source.proof_place(self._gate, work.envelope.sender)
        if place is not None:
            self._park(work, place, priority)
            self._sidings.close_until_told(
                lane, place, priority, "another new sender of the mailbox goes first"
            )
            return True
        if not lane.sidings:
            return False
        for charge in charges:
            place = Place(*charge[:3])
            if lane.is_closed(place, priority):
                self._park(work, place, priority)
                return True
        return False

    def _park(self, work: Work, place: Place, priority: Priority, hours: tuple[Hours, ...] = ()) -> None:
        lane = work.job.lane
        lane.take(work.job)
        lane.park(place, priority, work.job, hours)


def is_narrow(place: Place) -> bool:
    """Whether a limit there stops only mail of a kind."""
    return place.scope in NARROW or place.unit is Unit.EXTERNAL_RECIPIENTS
