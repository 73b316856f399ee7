"""The queue: every mail that waits, in lanes, and those deferred in order of time.

It knows ids, not contents, and is told the time. A mail is here from the first
word of it until it left the spool, so that a hint that comes twice, or a scan
that finds a mail again, does not deliver it twice. Its jobs are found by its id, for
whoever wants something of a mail wherever it waits.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from relay.m365.preset import Kind
from relay.message.priority import Priority
from relay.queue.deferred import Deferred
from relay.queue.denial import Denials, text_of
from relay.queue.flow import Flows
from relay.queue.job import Job
from relay.queue.lane import Lane, LaneKey
from relay.queue.weights import ALIKE, Weights
from relay.route.mailbox import Mailboxes
from relay.route.route import Login, Route
from relay.route.tariff import mailbox_key


@dataclass(frozen=True, slots=True)
class Depth:
    """How much waits; jobs, and mails that are held."""

    ready: int
    deferred: int
    held: int
    oldest_at: float | None
    """When the oldest ready mail came, seconds since the epoch."""
    postponed: int = 0
    """Of the deferred, those whose sender does not want them to leave yet."""


class Queue:
    """Lanes, the deferred in a heap, and the ids of all that is known."""

    def __init__(self, route_named: Callable[[str], Route], weights: Weights = ALIKE) -> None:
        """`route_named` gives a route for every name, even one that is no longer configured."""
        self.denials = Denials()
        self.weights = weights
        self._route_named = route_named
        self._lanes: dict[LaneKey, Lane] = {}
        self._plain: dict[str, Lane] = {}
        """Of routes whose one login sends for everybody, by name."""
        self._mailboxes: dict[str, tuple[Route, Mailboxes]] = {}
        self._flows = Flows()
        self._deferred = Deferred()
        self._known: dict[int, Job | tuple[Job, ...] | None] = {}
        """Jobs by id; None: the mail is held, (): it is in the hands of somebody who will `forget` it."""
        self._held = 0

    def __contains__(self, id: int) -> bool:
        return id in self._known

    @property
    def lanes(self) -> Iterable[Lane]:
        """All lanes there ever was mail for."""
        return self._lanes.values()

    def lane(self, route_name: str, sender: bytes = b"") -> Lane:
        """Where mail of that sender waits for the route now."""
        if not self.denials and (lane := self._plain.get(route_name)) is not None:
            return lane
        route, logins, stopped = self.logins(route_name, sender)
        key = LaneKey(route_name, tuple(login.username if login else "" for login in logins), stopped)
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane(key, route, logins, self.weights)
            if not logins and not stopped:
                lane.reason = f"no mailbox of the route {route_name} may send for its senders"
        if not route.mailboxes and not self.denials:
            self._plain[route_name] = lane
        return lane

    def logins(self, route_name: str, sender: bytes) -> tuple[Route, tuple[Login | None, ...], str]:
        """The route, those of it that may send for the sender now, and who is stopped where none is left."""
        found = self._mailboxes.get(route_name)
        if found is None:
            route = self._route_named(route_name)
            found = self._mailboxes[route_name] = (route, Mailboxes(route))
        route, mailboxes = found
        return route, *self._allowed(route, mailboxes.of(sender), sender)

    def _allowed(
        self, route: Route, logins: tuple[Login | None, ...], sender: bytes
    ) -> tuple[tuple[Login | None, ...], str]:
        """Those that nothing speaks against; and who is stopped, where none is left."""
        if not self.denials or not logins:
            return logins, ""
        # What Microsoft says of a domain concerns no other server.
        if route.kind is not Kind.SMTP and (domain := self.denials.stops(sender)):
            return (), f"@{text_of(domain)}"
        may_send = self.denials.may_send
        left = tuple(login for login in logins if may_send(mailbox_key(route, login), sender))
        return left, "" if left else text_of(sender) or "<>"

    def add(
        self,
        id: int,
        route_name: str,
        *,
        sender: bytes = b"",
        priority: Priority = Priority.NORMAL,
        attempts: int = 0,
        has_state: bool = False,
        client: str = "",
        campaign: str = "",
        size: int = 0,
    ) -> Job:
        """A job for a mail; the caller places it with `push` or `defer`."""
        flow = self._flows.flow(route_name, client, campaign, size)
        job = Job(id, self.lane(route_name, sender), attempts, has_state, priority, flow)
        self._known[id] = (*self.jobs(id), job) if self._known.get(id) else job
        return job

    def jobs(self, id: int) -> tuple[Job, ...]:
        """Those of a mail; none where it is held, in somebody's hands or not known."""
        found = self._known.get(id)
        return (found,) if isinstance(found, Job) else found or ()

    def is_under_way(self, id: int) -> bool:
        """Whether something of the mail is tried just now."""
        return any(job.seat is None for job in self.jobs(id))

    def withdraw(self, id: int) -> None:
        """Take the mail into one's hands: nothing of it waits any more, and no hint brings it back before `forget`."""
        self.stand_down(id)
        self.forget(id)
        self._known[id] = ()

    def withdraw_standing(self, id: int) -> bool:
        """As `withdraw`, unless something of the mail is tried just now: False, and all is as it was."""
        found = self._known.get(id, ())
        # What most are, of a million that an order takes: one job that waits, or held.
        if isinstance(found, Job) and (seat := found.seat) is not None:
            seat.leave(found)
            self._known[id] = ()
            return True
        if found is None:
            self._held -= 1
            self._known[id] = ()
            return True
        if self.is_under_way(id):
            return False
        self.withdraw(id)
        return True

    def stand_down(self, id: int) -> None:
        """What of a mail waits does so no more; what is under way goes on."""
        jobs = self.jobs(id)
        for job in jobs:
            if job.seat is not None:
                job.seat.leave(job)
                self.part(job)

    def part(self, job: Job) -> None:
        """The job is over, and others of its mail may not be."""
        self._known[job.id] = tuple(other for other in self.jobs(job.id) if other is not job)

    def defer(self, job: Job, at: float) -> None:
        """Back in its lane at `at`, seconds since the epoch."""
        self._deferred.push(job, at)

    def due(self, now: float, limit: int) -> Iterator[Job]:
        """Deferred jobs whose time has come, in that order, at most `limit`; they are in their lanes again."""
        for job in self._deferred.due(now, limit):
            job.lane.push(job)
            yield job

    def hold(self, id: int) -> None:
        """The mail stays in the spool and is not tried again."""
        self.forget(id)
        self._known[id] = None
        self._held += 1

    def forget(self, id: int) -> None:
        """The mail has left the spool."""
        if self._known.pop(id, ()) is None:
            self._held -= 1

    def depth(self) -> Depth:
        """How much waits now; costs a step a lane."""
        heads = [head.queued_at for lane in self._lanes.values() if (head := lane.peek()) is not None]
        ready = sum([len(lane) + lane.parked for lane in self._lanes.values()])
        deferred = self._deferred
        return Depth(ready, len(deferred), self._held, min(heads, default=None), deferred.untried)
