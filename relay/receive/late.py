"""Late: a mail that cannot leave before its own deadline (X-Relay-Deadline).

Its sender learns so with the reply to the mail, while it can still do something else; or the
mail is refused at once, where its route says so. What is not known is not told: a mail whose
prospects are unknown is queued as any other.
"""

import math
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from relay.clock import Clock
from relay.message.envelope import Envelope
from relay.message.own_field import DEADLINE
from relay.route.hours import next_moment
from relay.route.mailbox import Mailboxes
from relay.route.route import Late as Policy
from relay.route.table import RouteTable
from relay.smtp.reply import Reply
from relay.spool import prospect
from relay.spool.prospect import BELIEVED_S, Key, Prospects

LOOK_S = 1.0
"""The deliverer writes no more often."""


@cache
def _zone_of(name: str) -> tzinfo:
    return ZoneInfo(name)


class Late:
    """Of one receiver. Costs nothing for mail without a deadline: nobody asks."""

    def __init__(
        self,
        path: Path | None,
        routes: RouteTable,
        clock: Clock,
        read: Callable[[Path], Prospects | None] = prospect.read,
    ) -> None:
        """`path` is the deliverer's; None: it foresees nothing."""
        self._path = path
        self._routes = routes
        self._clock = clock
        self._read = read
        self._mailboxes: dict[str, Mailboxes] = {}
        self._known: dict[Key, float] = {}
        self._look_at = 0.0

    def judge(self, envelope: Envelope) -> Reply | str:
        """What is said of it behind `queued as …`, empty mostly; or the reply that refuses it."""
        latest = 0.0
        for name in envelope.routes():
            leaves_at = self._leaves_at(name, envelope)
            if leaves_at <= envelope.deadline:
                continue
            latest = max(latest, leaves_at)
            route = self._routes.get(name)
            if route is not None and route.on_late is Policy.REFUSE:
                # RFC 3463 section 3.5: delivery time expired. For good: later it would be later still.
                text = f"{DEADLINE} cannot be kept: mail that comes now would leave {_about(leaves_at)}"
                return Reply(550, "5.4.7", text)
        return f"; expected to leave {_about(latest)}, after its deadline" if latest else ""

    def _leaves_at(self, name: str, envelope: Envelope) -> float:
        at = max(self._clock.now(), envelope.not_before)
        route = self._routes.get(name)
        if route is None:
            return at
        mailboxes = self._mailboxes.get(name)
        if mailboxes is None:
            mailboxes = self._mailboxes[name] = Mailboxes(route)
        identities = tuple(login.username if login else "" for login in mailboxes.of(envelope.sender))
        at = max(at, self._prospects().get((name, identities, int(envelope.priority)), 0.0))
        if not route.hours:
            return at
        # What is foreseen is of mail without a campaign, which may have other hours.
        moment = next_moment(route.hours, envelope.priority, envelope.campaign, at, _zone_of)
        return math.inf if moment is None else moment

    def _prospects(self) -> dict[Key, float]:
        now = self._clock.monotonic()
        if self._path is not None and now >= self._look_at:
            self._look_at = now + LOOK_S
            found = self._read(self._path)
            is_believed = found is not None and abs(self._clock.now() - found.at) <= BELIEVED_S
            self._known = {each.key: each.leaves_at for each in found.each} if found and is_believed else {}
        return self._known


def _about(at: float) -> str:
    if at == math.inf:
        return "at no hour within two weeks"
    return f"about {datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"
