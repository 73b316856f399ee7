"""Who is turned away, as the log is told of it: the first of an address at once, further ones by their number.

A client that is not served costs 15 µs; a line of the log for each would cost more than that, and
a day of them the disk. So within a window each address is named once for each reason, some
addresses in all, and at its end it is said how many more there were. The events are all there, at
debug, for the metrics and the audit log, which has a bound of its own. Of a ban the log is told
when it begins, so whoever is banned is not counted here.
"""

from collections import Counter

from relay.receive.brake import BRAKED
from relay.receive.brake_memory import source_of
from relay.trace.event import Level, Record, SessionRefused, SessionsRefused

WINDOW_S = 10.0
NAMED_MAX = 64
"""Addresses within the window: six lines a second at most, which a person may still want to read."""
REASONS_MAX = 32
"""Told apart; there are a dozen, but what TLS and PROXY headers complain of depends on what was sent."""
_BRAKED = frozenset(map(str, BRAKED))


class TurnedAway:
    """One a receiver."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._named: set[tuple[str, str, str]] = set()
        self._more: Counter[tuple[str, str]] = Counter()
        self._until = float("-inf")

    def tell(self, client: str, listener: str, reason: str) -> None:
        """This one was."""
        self._record(SessionRefused(client, listener, reason, self._level(client, listener, reason)))

    def sweep(self, now: float) -> None:
        """Now and then: say how many more there were, when the window is over."""
        if now < self._until:
            return
        self._until = now + WINDOW_S
        self._named.clear()
        more, self._more = self._more, Counter()
        for (listener, reason), sessions in more.items():
            self._record(SessionsRefused(listener, reason, sessions))

    def _level(self, client: str, listener: str, reason: str) -> Level:
        if reason in _BRAKED:
            return "debug"
        named = (source_of(client), listener, reason)
        if named not in self._named and len(self._named) < NAMED_MAX:
            self._named.add(named)
            return "warning"
        is_room = len(self._more) < REASONS_MAX
        self._more[(listener, reason) if is_room or (listener, reason) in self._more else (listener, "")] += 1
        return "debug"
