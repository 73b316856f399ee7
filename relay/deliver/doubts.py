"""Doubts: mails whose final reply was lost, and what is done about them while they are kept.

    kept ──► a route's rule (`uncertain_after`, `uncertain_then`), when its time has come
        └──► a question to Exchange's message trace (`uncertain = "ask"`), again until it is clear
        └──► somebody's word (`m365-relay queue settle`)

Whatever it finds it gives as an order (`relay.deliver.actions`): what is on the disk, counted and
told of is the same whoever settles. What it remembers itself is only when it asked last; after
a restart it begins anew with what the disk knows. One question at a time; mail never waits for it.
"""

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from relay.clock import Clock
from relay.deliver import doubt
from relay.deliver.actions import Count
from relay.deliver.agenda import Agenda
from relay.deliver.doubt import Absent, NotYet, There, Unclear
from relay.deliver.order import Arrived, GiveUp, NotArrived, Order
from relay.errors import RecordDamaged, RelayError, SpoolError
from relay.identity.graph import GraphOptions, GraphRefused
from relay.identity.message_trace import Found, can_be_asked_for
from relay.identity.thread import in_thread
from relay.m365.preset import TRACED
from relay.message.queue_id import format_id
from relay.message.uncertain import Then, Uncertain
from relay.route.route import Route
from relay.spool.change import Status
from relay.spool.entry import Mail
from relay.spool.selection import Selection
from relay.spool.spool import Spool
from relay.trace import event as trace

LOOK_S = 1.0
"""Between two looks at what is due."""
SLICE = 200
"""Mails read between two turns of the loop, about 10 ms."""
HISTORY_WITHIN_S = 30.0
TRACE = "Microsoft's message trace"

Give = Callable[[Order, Selection], Awaitable[Count]]
Namesakes = Callable[[int, bytes], bool]
"""Whether another mail than that one had this Message-ID in these days. Blocking, any thread; OSError, RelayError."""


class Asks(Protocol):
    """The part of `relay.identity.message_trace.MessageTrace` that is needed here."""

    options: GraphOptions

    @property
    def ready_at(self) -> float: ...
    async def find(self, message_id: str, since: float, until: float) -> Found: ...


@dataclass(frozen=True, slots=True)
class Doubted:
    """A transaction that is in doubt: recipients of a mail that have a moment in common."""

    id: int
    route: str
    """That the recipients have."""
    sent_at: float
    sent_by: str
    """The route whose next hop has it, or has it not."""


@dataclass(slots=True)
class Asked:
    """The last question about one."""

    at: float
    said: str
    is_last: bool = False
    """Asking more often will not make it clearer."""


class Doubts:
    """Of one process."""

    def __init__(
        self,
        store: Spool,
        give: Give,
        routes: Callable[[str], Route | None],
        asks: Asks | None,
        namesakes: Namesakes | None,
        record: trace.Record,
        clock: Clock,
    ) -> None:
        """`asks`: the message trace, where it may be asked; `namesakes`: the history, where one is kept."""
        self._store = store
        self._give = give
        self._routes = routes
        self._asks = asks
        self._namesakes = namesakes
        self._record = record
        self._clock = clock
        self._new: dict[int, None] = {}
        self._rules = Agenda()
        """When a rule's time comes."""
        self._questions = Agenda()
        """When the next question is due."""
        self._asked: dict[Doubted, Asked] = {}
        self._trouble = ""
        self._turn = asyncio.Lock()

    def add(self, id: int) -> None:
        """A mail has recipients that are uncertain, and the disk knows it."""
        self._new[id] = None

    async def watch(self) -> None:
        """Look every second, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self.look()
            except SpoolError:
                # The committer tells people; what is in doubt stays so.
                continue

    async def look(self) -> None:
        """Settle what can be settled now; SpoolError. One look at a time."""
        async with self._turn:
            await self._look()

    async def _look(self) -> None:
        for count, id in enumerate(list(self._new)):
            del self._new[id]
            self._schedule(id)
            if count % SLICE == SLICE - 1:
                await asyncio.sleep(0)
        while (ruled := self._rules.due(self._clock.now())) is not None:
            await self._rule(ruled)
        while self._may_ask() and (asked := self._questions.due(self._clock.now())) is not None:
            await self._ask(asked)

    def _may_ask(self) -> bool:
        return self._asks is not None and self._asks.ready_at <= self._clock.monotonic()

    # When.

    def _schedule(self, id: int) -> None:
        mail = self._mail(id)
        groups = [] if mail is None else list(_groups(mail))
        rule_at = min(map(self._rule_at, groups), default=math.inf)
        question_at = math.inf
        if mail is not None:
            question_at = min(self._question_at(mail, each) for each in groups)
        for agenda, at in ((self._rules, rule_at), (self._questions, question_at)):
            if at < math.inf:
                agenda.put(id, at)
            else:
                agenda.drop(id)

    def _rule_at(self, doubted: Doubted) -> float:
        route = self._routes(doubted.sent_by)
        if route is None or route.uncertain_after_s is None or route.uncertain_then is None:
            return math.inf
        return doubted.sent_at + route.uncertain_after_s

    def _question_at(self, mail: Mail, doubted: Doubted) -> float:
        route = self._routes(doubted.sent_by)
        if route is None or route.kind not in TRACED:
            # The trace would never show it, and it would be sent again.
            return math.inf
        wanted = mail.envelope.uncertain or route.on_uncertain
        asked = self._asked.get(doubted)
        if wanted is not Uncertain.ASK or self._asks is None or (asked is not None and asked.is_last):
            return math.inf
        options = self._asks.options
        return doubt.next_question(
            doubted.sent_at, asked.at if asked else 0.0, options.trace_first_s, options.trace_absent_after_s
        )

    # Rules.

    async def _rule(self, id: int) -> None:
        mail, now = self._mail(id), self._clock.now()
        for each in [] if mail is None else _groups(mail):
            if self._rule_at(each) <= now:
                route = self._routes(each.sent_by)
                assert route is not None, "a rule is a route's"
                by = f"the rule uncertain_then of the route {each.sent_by}"
                await self._settle(each, _by_rule(route.uncertain_then, each.sent_at, by))
        self.add(id)

    # Questions.

    async def _ask(self, id: int) -> None:
        mail, now = self._mail(id), self._clock.now()
        for each in [] if mail is None else _groups(mail):
            if mail is not None and self._question_at(mail, each) <= now:
                await self._ask_about(mail, each)
        self.add(id)

    async def _ask_about(self, mail: Mail, doubted: Doubted) -> None:
        message_id, now = mail.envelope.message_id, self._clock.now()
        if not can_be_asked_for(message_id):
            self._asked[doubted] = Asked(now, "it has no Message-ID that could be asked for", is_last=True)
            return
        if now - doubted.sent_at > doubt.OLDEST_S:
            self._asked[doubted] = Asked(now, "it is too old: the trace keeps 90 days", is_last=True)
            return
        try:
            found, has_namesake = await self._answer(mail, doubted, now)
        except (RelayError, OSError) as error:
            self._refused(error)
            return
        self._trouble = ""
        assert self._asks is not None
        is_late = now - doubted.sent_at >= self._asks.options.trace_absent_after_s
        await self._conclude(mail, doubted, found, now, is_late=is_late, has_namesake=has_namesake)

    async def _answer(self, mail: Mail, doubted: Doubted, now: float) -> tuple[Found, bool]:
        assert self._asks is not None
        since, until = doubted.sent_at - doubt.BEFORE_S, min(doubted.sent_at + doubt.AFTER_S, now)
        text = mail.envelope.message_id.decode("ascii").strip()
        found = await self._asks.find(text, since, until)
        if not found.rows:
            return found, False
        if self._namesakes is None:
            return found, True
        work = partial(self._namesakes, mail.envelope.id, mail.envelope.message_id)
        try:
            return found, await in_thread(work, "namesakes", HISTORY_WITHIN_S)
        except TimeoutError:
            raise OSError("the history gave no answer") from None

    async def _conclude(
        self, mail: Mail, doubted: Doubted, found: Found, now: float, *, is_late: bool, has_namesake: bool
    ) -> None:
        ours, others = _sides(mail, doubted)
        match doubt.judge(found, ours, others, is_late=is_late, has_namesake=has_namesake):
            case There(statuses):
                await self._arrived(doubted, statuses)
            case Absent():
                reason = f"it does not show the mail {_length(now - doubted.sent_at)} after it was sent"
                await self._settle(doubted, NotArrived(by=TRACE, reason=reason, sent_at=doubted.sent_at))
            case Unclear(why):
                self._asked[doubted] = Asked(now, why, is_last=True)
                self._tell(doubted, f"unclear: {why}", "warning")
            case NotYet(why):
                self._asked[doubted] = Asked(now, why)
                self._tell(doubted, why, "info")

    async def _arrived(self, doubted: Doubted, statuses: dict[bytes, str]) -> None:
        if len(set(statuses.values())) > 1:
            # Each with what became of it; whom the trace shows under another name, after them.
            for address, status in statuses.items():
                order = Arrived(by=TRACE, reason=f"shown as {status}", sent_at=doubted.sent_at)
                await self._settle(doubted, order, address.decode("utf-8", "surrogateescape"))
        reason = f"shown as {' and '.join(sorted(set(statuses.values())))}"
        await self._settle(doubted, Arrived(by=TRACE, reason=reason, sent_at=doubted.sent_at))

    async def _settle(self, doubted: Doubted, order: Order, recipient: str = "") -> None:
        where = Selection(
            ids=(format_id(doubted.id),), route=doubted.route, status="uncertain", recipient=recipient
        )
        count = await self._give(order, where)
        if not count.failed and not recipient:
            self._asked.pop(doubted, None)

    def _refused(self, error: Exception) -> None:
        if str(error) != self._trouble:
            self._trouble = str(error)
            is_fault = isinstance(error, GraphRefused) and error.is_fault
            self._record(trace.TraceUnavailable(str(error), "error" if is_fault else "warning"))

    def _tell(self, doubted: Doubted, said: str, level: trace.Level) -> None:
        self._record(trace.TraceAsked(format_id(doubted.id), doubted.route, said, level))

    # For those who want to know why a mail waits.

    def why(self, mail: Mail, route: str, sent_at: float, sent_by: str) -> tuple[str, float | None]:
        """What such recipients wait for, and when that is; None: for somebody's word."""
        doubted = Doubted(mail.envelope.id, route, sent_at, sent_by)
        question_at, rule_at = self._question_at(mail, doubted), self._rule_at(doubted)
        words = []
        asked = self._asked.get(doubted)
        if asked is not None:
            words.append(f"{TRACE} was asked {_length(self._clock.now() - asked.at)} ago: {asked.said}")
        if question_at < math.inf:
            words.append(f"{TRACE} is asked{' again' if asked is not None else ''} in time")
            if self._trouble:
                words.append(f"it cannot be asked just now: {self._trouble}")
        if rule_at < math.inf:
            found = self._routes(sent_by)
            then = found.uncertain_then.value if found is not None and found.uncertain_then else ""
            words.append(f"the route's rule says {then} {_length(rule_at - sent_at)} after it was sent")
        at = min(question_at, rule_at)
        if at == math.inf:
            words.append("it waits for somebody's word")
        return "; ".join(words), None if at == math.inf else max(at, self._clock.now())

    def _mail(self, id: int) -> Mail | None:
        """None: nothing of it is in doubt any more, or it cannot be read."""
        with contextlib.suppress(RecordDamaged):
            states = self._store.state(id)
            if states is not None and any(state.status is Status.UNCERTAIN for state in states):
                found = self._store.read(id)
                if found is not None:
                    return Mail(found[0], states, True)
        for known in [each for each in self._asked if each.id == id]:
            del self._asked[known]
        return None


def _groups(mail: Mail) -> Iterator[Doubted]:
    """Each once, in order."""
    found = dict.fromkeys(
        Doubted(mail.envelope.id, recipient.route, state.sent_at, state.sent_by)
        for recipient, state in zip(mail.envelope.recipients, mail.states, strict=True)
        if state.status is Status.UNCERTAIN
    )
    yield from found


def _sides(mail: Mail, doubted: Doubted) -> tuple[list[bytes], list[bytes]]:
    """Addresses of the transaction, and of the rest of the mail."""
    ours: list[bytes] = []
    others: list[bytes] = []
    for recipient, state in zip(mail.envelope.recipients, mail.states, strict=True):
        is_ours = (
            state.status is Status.UNCERTAIN
            and (recipient.route, state.sent_at) == (doubted.route, doubted.sent_at)
        )  # fmt: skip
        (ours if is_ours else others).append(recipient.address)
    return ours, others


def _by_rule(then: Then | None, sent_at: float, by: str) -> Order:
    match then:
        case Then.ARRIVED:
            return Arrived(by=by, sent_at=sent_at)
        case Then.FAIL:
            return GiveUp(by=by, sent_at=sent_at)
    return NotArrived(by=by, sent_at=sent_at)


def _length(seconds: float) -> str:
    minutes = max(0, round(seconds / 60))
    return f"{minutes} minutes" if minutes < 120 else f"{minutes // 60} hours"
