"""Doubts: mails whose final reply was lost, and what is done about them while they are kept.

    kept ──► a route's rule (`uncertain_after`, `uncertain_then`), when its time has come
        └──► a question to Exchange's message trace (`uncertain = "ask"`), again until it is clear
        └──► somebody's word (`m365-relay queue settle`)

Whatever it finds it gives as an order (`relay.deliver.actions`): what is on the disk, counted and
told of is the same whoever settles. It keeps nothing itself that a restart would miss.
"""

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable

from relay.clock import Clock
from relay.deliver.actions import Count
from relay.deliver.agenda import Agenda
from relay.deliver.doubt import Absent, There
from relay.deliver.doubted import Doubted, groups
from relay.deliver.inquiry import TRACE, Inquiry
from relay.deliver.order import Arrived, GiveUp, NotArrived, Order
from relay.errors import RecordDamaged, SpoolError
from relay.m365.preset import TRACED
from relay.message.queue_id import format_id
from relay.message.uncertain import Then, Uncertain
from relay.route.route import Route
from relay.spool.change import Status
from relay.spool.entry import Mail
from relay.spool.selection import Selection
from relay.spool.spool import Spool

SLICE = 200
"""Mails read between two turns of the loop, about 10 ms."""

Give = Callable[[Order, Selection], Awaitable[Count]]


class Doubts:
    """Of one process."""

    def __init__(
        self,
        store: Spool,
        give: Give,
        routes: Callable[[str], Route | None],
        inquiry: Inquiry,
        clock: Clock,
    ) -> None:
        self._store = store
        self._give = give
        self._routes = routes
        self._inquiry = inquiry
        self._clock = clock
        self._new: dict[int, None] = {}
        self._rules = Agenda()
        """When a rule's time comes."""
        self._questions = Agenda()
        """When the next question is due."""
        self._turn = asyncio.Lock()

    def add(self, id: int) -> None:
        """A mail has recipients that are uncertain, and the disk knows it."""
        self._new[id] = None

    async def watch(self, every_s: float) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(every_s)
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
        while self._inquiry.is_ready and (asked := self._questions.due(self._clock.now())) is not None:
            await self._ask(asked)

    # When.

    def _schedule(self, id: int) -> None:
        mail = self._mail(id)
        rule_at = question_at = math.inf
        if mail is not None:
            rule_at = min(map(self._rule_at, groups(mail)))
            question_at = min(self._question_at(mail, each) for each in groups(mail))
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
        return self._inquiry.next_at(doubted) if wanted is Uncertain.ASK else math.inf

    # What.

    async def _rule(self, id: int) -> None:
        mail, now = self._mail(id), self._clock.now()
        for each in [] if mail is None else groups(mail):
            if self._rule_at(each) <= now:
                route = self._routes(each.sent_by)
                assert route is not None, "a rule is a route's"
                by = f"the rule uncertain_then of the route {each.sent_by}"
                await self._settle(each, _by_rule(route.uncertain_then, each.sent_at, by))
        self.add(id)

    async def _ask(self, id: int) -> None:
        mail, now = self._mail(id), self._clock.now()
        for each in [] if mail is None else groups(mail):
            if mail is None or self._question_at(mail, each) > now:
                continue
            match await self._inquiry.ask(mail, each):
                case There(statuses):
                    await self._arrived(each, statuses)
                case Absent():
                    reason = f"it does not show the mail {_length(now - each.sent_at)} after it was sent"
                    await self._settle(each, NotArrived(by=TRACE, reason=reason, sent_at=each.sent_at))
        self.add(id)

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
        await self._give(order, where)

    def _mail(self, id: int) -> Mail | None:
        """None: nothing of it is in doubt any more, or it cannot be read."""
        with contextlib.suppress(RecordDamaged):
            states = self._store.state(id)
            if states is not None and any(state.status is Status.UNCERTAIN for state in states):
                found = self._store.read(id)
                if found is not None:
                    return Mail(found[0], states, True)
        self._inquiry.forget(id)
        return None

    # For those who want to know why a mail waits.

    def why(self, mail: Mail, doubted: Doubted) -> tuple[str, float | None]:
        """What such recipients wait for, and when that is; None: for somebody's word."""
        question_at, rule_at = self._question_at(mail, doubted), self._rule_at(doubted)
        if question_at < math.inf:
            question_at = max(question_at, self._inquiry.paused_until)
        words = []
        asked = self._inquiry.last(doubted)
        if asked is not None:
            words.append(f"{TRACE} was asked {_length(self._clock.now() - asked.at)} ago: {asked.said}")
        if question_at < math.inf:
            words.append(f"{TRACE} is asked{' again' if asked is not None else ''} in time")
            if self._inquiry.trouble:
                words.append(f"it cannot be asked just now: {self._inquiry.trouble}")
        if rule_at < math.inf:
            route = self._routes(doubted.sent_by)
            then = route.uncertain_then.value if route is not None and route.uncertain_then else ""
            words.append(
                f"the route's rule says {then} {_length(rule_at - doubted.sent_at)} after it was sent"
            )
        at = min(question_at, rule_at)
        if at == math.inf:
            words.append("it waits for somebody's word")
        return "; ".join(words), None if at == math.inf else max(at, self._clock.now())


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
