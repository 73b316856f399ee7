"""The outlook: the situation of a deliverer at work, as forecasts need it (`relay.queue.situation`).

Read off the queue, the budgets, the breakers and the suspensions at the moment of the
question; nothing is changed by asking. Bounded: beyond so many logins those with the least
mail are left out, and it says so.
"""

import math
from collections.abc import Callable, Iterable

from relay.budget.connection import Connections
from relay.budget.limit import Limit
from relay.clock import Clock
from relay.deliver.backlogs import Backlogs
from relay.deliver.breakers import Breakers
from relay.deliver.budgets import Budgets
from relay.deliver.gate import Gate
from relay.deliver.reach import Reach
from relay.deliver.suspended import Suspended
from relay.m365.row import Scope
from relay.message.priority import Priority
from relay.queue.breaker import Breaker
from relay.queue.lane import Lane
from relay.queue.lineup import LineUp, left_out
from relay.queue.queue import Queue
from relay.queue.situation import Aside, Errand, Kind, Sender, Situation
from relay.queue.suspension import Kind as Suspendable
from relay.route.hours import concerning
from relay.route.route import Login, Route
from relay.route.table import RouteTable
from relay.route.tariff import Tariff
from relay.route.tenant import Tenant

SENDERS_MAX = 200
"""Logins in one situation: a walk through so many takes a tenth of a second."""
_ASIDE = {
    Suspendable.CAMPAIGN.value: "campaign",
    Suspendable.SENDER_DOMAIN.value: "sender-domain",
}


class Outlook:
    """Of one process."""

    def __init__(
        self,
        routes: RouteTable,
        queue: Queue,
        budgets: Budgets | None,
        limits: Iterable[Limit],
        tenant: Tenant,
        connections: Connections,
        breakers: Breakers,
        suspended: Suspended,
        gates_of: Callable[[str, str], Gate | None],
        clock: Clock,
    ) -> None:
        """`gates_of` gives the gate of a route's login, where there is one yet."""
        self.weights = queue.weights
        self._routes = routes
        self._queue = queue
        self._budgets = budgets
        self._limits = tuple(limits)
        self._tenant = tenant
        self._connections = connections
        self._breakers = breakers
        self._suspended = suspended
        self._gate_of = gates_of
        self._clock = clock
        self._tariffs: dict[tuple[str, str], Tariff] = {}
        """Of logins without a gate; there are as many as logins."""

    def of(
        self, route_names: Iterable[str], sender: bytes, client: str
    ) -> tuple[Situation, dict[str, tuple[int, ...]]]:
        """The situation, and for each of these routes who may send for the sender, and what of the client waits there."""
        line_up = self._line_up()
        ways = {}
        for name in route_names:
            route, logins, _ = self._queue.logins(name, sender)
            ways[name] = line_up.of(route, logins)
        return self._situation(line_up, Backlogs(client, set(ways.values()))), ways

    def of_lane(
        self, lane: Lane, priority: Priority, client: str, campaign: str, ahead: float | None = None
    ) -> tuple[Situation, Errand]:
        """The situation, and an errand for one mail of a client and campaign behind what waits of them.

        `ahead`: so many of these go before it, and the rest is left out; None: all of them.
        """
        line_up = self._line_up()
        way = line_up.of(lane.route, lane.logins)
        weights = self.weights
        asked = Errand(
            way, int(priority), 1, client=client, weight=weights.of_client(client), campaign=campaign,
            campaign_weight=weights.of_campaign(campaign),
            hours=concerning(lane.route.hours, priority, campaign),
        )  # fmt: skip
        backlogs = Backlogs(client, {way}, None if ahead is None else (asked, ahead))
        return self._situation(line_up, backlogs), asked

    def external(self, lane: Lane) -> float:
        """The part of the recipients outside the tenant, as it was with the last mails."""
        kind = self._kind(lane)
        return kind.external / max(1.0, kind.recipients)

    def _line_up(self) -> LineUp:
        ledger, now = (None, 0) if self._budgets is None else (self._budgets.ledger, self._budgets.now())
        return LineUp(self._tariff, ledger, now, self._connections, self._completed)

    def _situation(self, line_up: LineUp, backlogs: Backlogs) -> Situation:
        notes = self._notes()
        is_cut = self._gather(line_up, backlogs)
        if is_cut:
            notes.append(f"mail of more than {SENDERS_MAX} mailboxes waits; the largest are looked at")
        return Situation(
            self._clock.now(), tuple(line_up.senders), tuple(line_up.standings), tuple(backlogs.found),
            tuple(self._asides()), tuple(notes),
        )  # fmt: skip

    def _notes(self) -> list[str]:
        notes = left_out(self._routes.routes)
        deferred = self._queue.depth().deferred
        if deferred:
            notes.append(f"{deferred:,} mails that were put off are not looked at")
        return notes

    # What waits.

    def _gather(self, line_up: LineUp, backlogs: Backlogs) -> bool:
        """What waits in lanes, and outside of its hours; True: not all of it was looked at."""
        lanes = [lane for lane in self._queue.lanes if lane.logins and (len(lane) or lane.sidings)]
        for lane in sorted(lanes, key=len, reverse=True):
            if len(line_up.senders) + len(lane.logins) > SENDERS_MAX:
                return True
            backlogs.add(lane, line_up.of(lane.route, lane.logins), self._kind(lane))
        return False

    def _kind(self, lane: Lane) -> Kind:
        """What its mails take, as those did that were sent last."""
        for login in lane.logins:
            gate = self._gate_of(lane.route.name, login.username if login else "")
            if gate is not None and gate.measure.is_known:
                return gate.measure.kind
        return Kind()

    # What is known of a login.

    def _tariff(self, route: Route, login: Login | None) -> Tariff | None:
        if self._budgets is None:
            return None
        identity = login.username if login else ""
        gate = self._gate_of(route.name, identity)
        if gate is not None:
            return gate.tariff
        key = (route.name, identity)
        if key not in self._tariffs:
            self._tariffs[key] = Tariff(route, login, self._limits, self._tenant)
        return self._tariffs[key]

    def _completed(self, sender: Sender, route: Route, login: Login | None) -> Sender:
        gate = self._gate_of(route.name, sender.identity)
        reach = gate.reach if gate is not None else Reach(route, login)
        closed_s, for_good, why = self._stopped(reach)
        seconds, every_s, is_measured = sender.seconds, 0.0, False
        if gate is not None and gate.measure.is_known:
            seconds, every_s, is_measured = max(0.001, gate.measure.open_s), gate.measure.every_s, True
        return Sender(
            sender.route, sender.identity, sender.standings, sender.connections, seconds, every_s, is_measured,
            closed_s, for_good, why,
        )  # fmt: skip

    def _stopped(self, reach: Reach) -> tuple[float, bool, str]:
        """Until when nothing leaves, whether only somebody can change that, and why."""
        suspension = self._suspended.stopping(reach)
        if suspension is not None:
            until = suspension.until
            closed_s = 0.0 if until is None else max(0.0, until - self._clock.now())
            return closed_s, until is None, str(suspension)
        stop = self._breakers.stopping(reach, None)
        if stop is None:
            return 0.0, False, ""
        until_s = self._rest(stop)
        why = f"the {stop.key.scope.value} {stop.key} has stopped: {stop.reason}"
        return until_s or 0.0, until_s is None, why

    def _rest(self, stop: Breaker) -> float | None:
        return None if stop.until == math.inf else max(0.0, stop.until - self._clock.monotonic())

    def _asides(self) -> Iterable[Aside]:
        for each in self._suspended:
            if each.kind in _ASIDE:
                until_s = None if each.until is None else max(0.0, each.until - self._clock.now())
                yield Aside(_ASIDE[each.kind], each.name, str(each), until_s)
        for stop in self._breakers:
            if stop.key.scope in (Scope.TENANT_EXTERNAL, Scope.SENDER_DOMAIN):
                what = "outside" if stop.key.scope is Scope.TENANT_EXTERNAL else "sender-domain"
                yield Aside(what, stop.key.key, stop.reason, self._rest(stop))
