"""Why a mail waits: where each part of it stands, what is in its way, and until when.

Read off the queue, the gates, the breakers and what the disk knows, at the moment of the
question; nothing is changed by asking.
"""

import math
from collections.abc import Callable, Sequence
from zoneinfo import ZoneInfo

from msgspec import Struct, structs

from relay.clock import Clock
from relay.deliver.breakers import Breakers
from relay.deliver.desk import stop_place
from relay.deliver.doubted import Doubted, groups, sides
from relay.deliver.outlook import Outlook
from relay.deliver.pool import Pool
from relay.deliver.suspended import Suspended, place_of
from relay.deliver.timetable import Timetable
from relay.errors import ProtocolError
from relay.m365.classify import classify
from relay.m365.row import Row
from relay.message.queue_id import format_id
from relay.queue.breaker import Breaker
from relay.queue.deferred import Deferred
from relay.queue.forecast import forecast
from relay.queue.job import Job
from relay.queue.lane import Lane
from relay.queue.queue import Queue
from relay.queue.siding import Siding
from relay.queue.situation import Kind
from relay.queue.suspension import Suspension
from relay.smtp.reply import ReplyReader
from relay.spool.change import Status
from relay.spool.entry import Damaged, Mail
from relay.spool.selection import status_word
from relay.spool.spool import Spool

EARLIER = (
    "m365-relay queue priority high {id} (before others), or queue rebind ROUTE {id}; what makes all of it \
earlier says m365-relay plan"
)
UNREACHABLE = "see that the next hop answers from this machine; m365-relay queue rebind ROUTE {id} sends it by another one"
MEND = "mend what the reply says; m365-relay stopped has the command that lets it be tried at once"


class Reason(Struct, omit_defaults=True):
    """One thing that some of a mail waits for."""

    what: str
    """turn, under way, deferred, not before, hours, limit, stopped, suspended, unreachable, aside, held, uncertain or unknown."""
    text: str
    route: str = ""
    recipients: tuple[str, ...] = ()
    since: float = 0.0
    """Seconds since the epoch; 0: not known."""
    until: float | None = None
    """When it goes on, as far as is known; None: it is not."""
    todo: str = ""
    """What to change, where that helps."""
    before: int = 0
    """Mails of its priority that go before it."""
    leaves_at: float | None = None
    """When it is expected to leave; None: nobody knows."""


class Explained(Struct, omit_defaults=True):
    """A mail, and all that it waits for."""

    id: str
    received_at: float
    sender: str
    size: int
    priority: str
    campaign: str
    client: str
    statuses: dict[str, int]
    """How many of its recipients stand so."""
    reasons: list[Reason]


class Reasons:
    """Of one process."""

    def __init__(
        self,
        store: Spool,
        queue: Queue,
        breakers: Breakers,
        suspended: Suspended,
        timetable: Timetable,
        pools_for: Callable[[Lane], Sequence[Pool]],
        outlook: Outlook,
        clock: Clock,
        doubt: Callable[[Mail, Doubted], tuple[str, float | None]],
    ) -> None:
        """`doubt` says what is done about recipients whose reply was lost, and when."""
        self._store = store
        self._queue = queue
        self._breakers = breakers
        self._suspended = suspended
        self._timetable = timetable
        self._pools_for = pools_for
        self._outlook = outlook
        self._clock = clock
        self._doubt = doubt

    def of(self, id: int) -> Explained | None:
        """None: there is no such mail here; SpoolError."""
        found = [mail for mail in self._store.mails(id - 1, 1) if mail.id == id]
        if not found:
            return None
        mail = found[0]
        if isinstance(mail, Damaged):
            text = f"its {mail.table} cannot be read ({mail.reason}); the next start moves it aside"
            return Explained(format_id(id), 0.0, "", 0, "", "", "", {}, [Reason("unknown", text)])
        envelope = mail.envelope
        statuses: dict[str, int] = {}
        for state in mail.states:
            statuses[status_word(state)] = statuses.get(status_word(state), 0) + 1
        reasons = self._held(mail) + self._uncertain(mail)
        for job in self._queue.jobs(id):
            reasons += self._of_job(mail, job)
        if not reasons:
            reasons = [Reason("turn", "it has just come, or its outcome is being written; ask again")]
        return Explained(
            format_id(id),
            envelope.received_at,
            _text(envelope.sender),
            envelope.size,
            envelope.priority.word,
            envelope.campaign,
            envelope.client,
            statuses,
            reasons,
        )

    def _held(self, mail: Mail) -> list[Reason]:
        """Those that are held, by what they are held for."""
        groups: dict[tuple[str, str], list[str]] = {}
        for recipient, state in zip(mail.envelope.recipients, mail.states, strict=True):
            if state.status is Status.HELD:
                groups.setdefault((recipient.route, state.reply), []).append(_text(recipient.address))
        todo = f"m365-relay queue release {format_id(mail.id)} (tries again), or queue cancel"
        return [
            Reason("held", meaning(reply, "held until somebody decides: "), route, tuple(names), todo=todo)
            for (route, reply), names in groups.items()
        ]

    def _uncertain(self, mail: Mail) -> list[Reason]:
        """Those whose reply was lost, by the transaction it was of."""
        todo = f"m365-relay queue settle {format_id(mail.id)} --arrived (or --not-arrived: it is sent again)"
        found = []
        for each in groups(mail):
            ours, _ = sides(mail, each)
            words, until = self._doubt(mail, each)
            replies = {state.reply for state in mail.states if state.sent_at == each.sent_at}
            lost = "; ".join(sorted(replies))
            text = f"it was sent whole, and its reply was lost ({lost}); it may have arrived. {words}"
            names = tuple(map(_text, ours))
            found.append(Reason("uncertain", text, each.route, names, each.sent_at, until, todo))
        return found

    def _of_job(self, mail: Mail, job: Job) -> list[Reason]:
        concerned = [
            index
            for index, (recipient, state) in enumerate(
                zip(mail.envelope.recipients, mail.states, strict=True)
            )
            if recipient.route == job.home and state.status is Status.QUEUED
        ]
        if not concerned:
            return []
        match job.seat:
            case None:
                found = [Reason("under way", "it is being sent just now, or its outcome is being written")]
            case Deferred():
                found = [self._deferred(mail, concerned)]
            case Siding() as siding:
                found = self._outside_hours(mail, job.lane) or [self._aside(job.lane, siding)]
            case _:
                found = self._outside_hours(mail, job.lane) or self._in_lane(job.lane, job)
        names = tuple(_text(mail.envelope.recipients[index].address) for index in concerned)
        before, leaves_at = self._leaves(mail, job, len(concerned), found)
        for reason in found:
            reason.route, reason.recipients = job.lane.key.route, names
            reason.before, reason.leaves_at = before, leaves_at
            reason.todo = reason.todo.replace("{id}", format_id(mail.id))
        return found

    def _leaves(
        self, mail: Mail, job: Job, recipients: int, found: Sequence[Reason]
    ) -> tuple[int, float | None]:
        """How many go before it, and when it will leave, as far as can be foreseen."""
        lane = job.lane
        from_s = max(0.0, *(reason.until or 0.0 for reason in found)) - self._clock.now()
        match job.seat:
            case None:
                return 0, None
            case Deferred() | Siding():
                if any(reason.until is None for reason in found):
                    return 0, None
                # When its time has come it stands before mail that is younger than it.
                before, ahead = 0, 0
                if isinstance(job.seat, Siding) and job.seat.hours:
                    ahead = job.seat.before(job)
            case _:
                before, ahead = lane.before(job), lane.ahead(job)
        if not lane.logins:
            return before, None
        flow = job.flow
        situation, errand = self._outlook.of_lane(lane, job.priority, flow.client, flow.campaign, ahead)
        kind = Kind(recipients, recipients * self._outlook.external(lane), mail.envelope.size)
        told = forecast(situation, structs.replace(errand, kind=kind, from_s=max(0.0, from_s)), ZoneInfo)
        return before, None if told.first_s is None else situation.at + told.first_s

    def _deferred(self, mail: Mail, concerned: Sequence[int]) -> Reason:
        first = min(concerned, key=lambda index: mail.states[index].next_attempt)
        state = mail.states[first]
        id = format_id(mail.id)
        until = max(state.next_attempt, mail.envelope.not_before)
        if not state.attempts:
            return Reason(
                "not before",
                "its sender wants it to leave no earlier (X-Relay-Not-Before)",
                since=mail.envelope.received_at,
                until=until,
                todo=f"nothing here makes it earlier; m365-relay queue cancel {id} takes it back, to be sent anew",
            )
        tries = "once" if state.attempts == 1 else f"{state.attempts} times"
        text = meaning(state.reply, f"put off; it was tried {tries}: ")
        return Reason("deferred", text, until=until, todo=f"m365-relay queue retry {id} (tries at once)")

    def _outside_hours(self, mail: Mail, lane: Lane) -> list[Reason]:
        closed = self._timetable.closed(lane.route, mail.envelope.priority, mail.envelope.campaign)
        if closed is None:
            return []
        todo = "m365-relay queue priority or queue rebind, where other hours hold then; or change [[route.hours]]"
        return [Reason("hours", closed.reason, until=closed.opens_at, todo=todo)]

    def _aside(self, lane: Lane, siding: Siding) -> Reason:
        for (place, _), other in lane.sidings.items():
            if other is not siding:
                continue
            suspension = next((each for each in self._suspended if place_of(each) == place), None)
            if suspension is not None:
                return _suspended(suspension)
            stop = next((each for each in self._breakers if stop_place(each.key) == place), None)
            if stop is not None and siding.is_closed:
                return self._stopped(stop)
        if not siding.is_closed:
            return Reason("aside", "it stood aside for a limit and lets those before it go first")
        until = None if siding.needs_an_end else self._wall(siding.until)
        return Reason("aside", f"it lets other mail past: {siding.reason}", until=until, todo=EARLIER)

    def _in_lane(self, lane: Lane, job: Job) -> list[Reason]:
        if lane.key.stopped:
            stops = [self._stopped(each) for each in self._breakers if each.key.stopped == lane.key.stopped]
            return stops or [Reason("turn", "what had stopped its sender goes on just now")]
        if lane.reason:
            return [Reason("stopped", lane.reason, todo="name a mailbox for the sender in [[route.mailbox]]")]
        found = [self._in_the_way(pool) for pool in self._pools_for(lane)]
        reasons = [reason for reason in found if reason is not None]
        if len(reasons) < len(found) or not found:
            text = f"it waits for its turn; {len(lane):,} mails wait for the same mailboxes"
            text += f", and about {lane.before(job):,} of its priority go before it"
            if not any(pool.open_connections for pool in self._pools_for(lane)):
                text += ", and no connection is open yet"
            return [Reason("turn", text, todo="m365-relay queue priority high {id} lets it go before others")]
        return list({reason.text: reason for reason in reasons}.values())

    def _in_the_way(self, pool: Pool) -> Reason | None:
        """Why a login sends nothing now; None: nothing is in its way."""
        suspension = self._suspended.stopping(pool.reach)
        if suspension is not None:
            return _suspended(suspension)
        stop = self._breakers.stopping(pool.reach, None)
        if stop is not None:
            return self._stopped(stop)
        if pool.pause_reason and not pool.open_connections:
            # Also while the next try is under way: it may take half a minute.
            text = f"no connection to {pool.reach.route.next_hop}: {pool.pause_reason}"
            until = self._wall(pool.paused_until)
            return Reason("unreachable", text, since=pool.failing_since, until=until, todo=UNREACHABLE)
        gate = pool.gate
        if gate.until and gate.is_closed:
            return Reason("limit", gate.reason, since=gate.since, until=self._until(gate.until), todo=EARLIER)
        return None

    def _stopped(self, stop: Breaker) -> Reason:
        text = f"the {stop.key.scope.value} {stop.key} has stopped: {stop.reason}"
        return Reason("stopped", text, "", (), stop.opened_at, self._until(stop.until), MEND)

    def _until(self, monotonic: float) -> float | None:
        return None if monotonic == math.inf else self._wall(monotonic)

    def _wall(self, monotonic: float) -> float:
        # To the millisecond, as timers are: midnight is not to be told as 23:59:59.
        return round(self._clock.now() + max(0.0, monotonic - self._clock.monotonic()), 3)


def meaning(reply: str, before: str) -> str:
    """A reply with what the catalogue knows of it."""
    row = _row_of(reply)
    return before + reply if row is None else f"{before}{reply} (that means: {row.meaning} {row.advice})"


def _row_of(text: str) -> Row | None:
    try:
        replies = ReplyReader().feed(text.encode("utf-8", "replace") + b"\r\n")
    except ProtocolError:
        # Our own words, or somebody's: not what a next hop has said.
        return None
    return classify(replies[0]) if len(replies) == 1 else None


def _suspended(suspension: Suspension) -> Reason:
    todo = f"m365-relay resume {suspension.kind} {suspension.name}"
    return Reason("suspended", str(suspension), "", (), suspension.since, suspension.until, todo)


def _text(address: bytes) -> str:
    return address.decode("utf-8", "backslashreplace")
