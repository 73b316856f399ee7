"""What has stopped, in words: suspensions and breakers, and which of them `resume` means. No I/O."""

import math
from collections.abc import Callable, Iterable

from relay.control.answer import Stop
from relay.m365.row import Scope
from relay.queue.breaker import Breaker, StopKey
from relay.queue.suspension import KINDS, Suspension, proper_name

NULL_SENDER = "<>"
_KINDS = {
    Scope.ROUTE: "route",
    Scope.SENDER: "mailbox",
    Scope.SENDER_AS: "sender",
    Scope.SENDER_DOMAIN: "sender-domain",
    Scope.SOURCE_ADDRESS: "address",
    Scope.FOREST: "host",
    Scope.TENANT: "tenant",
    Scope.TENANT_EXTERNAL: "outside",
}
"""As `resume` calls them."""
_NAMELESS = frozenset({"tenant", "outside", "all"})


def concerns(kind: str, name: str) -> Callable[[StopKey], bool]:
    """Which breakers are meant."""
    if kind == "all":
        return lambda _: True
    wanted = name.lower()

    def is_meant(key: StopKey) -> bool:
        # Somebody who has mended a mailbox has mended what it may send as.
        its_kind = _KINDS.get(key.scope)
        if its_kind != kind and not (kind == "mailbox" and key.scope is Scope.SENDER_AS):
            return False
        if kind in _NAMELESS:
            return True
        found = key.sender or NULL_SENDER if kind == "sender" else key.key
        # High Volume Email and Azure are counted apart, by a word before the name.
        return wanted in (found.lower(), found.lower().partition(":")[2])

    return is_meant


def suspensions_meant(kind: str, name: str, suspensions: Iterable[Suspension]) -> list[Suspension]:
    """Likewise of suspensions."""
    if kind == "all":
        return list(suspensions)
    if kind not in KINDS:
        return []
    wanted = proper_name(KINDS[kind], name)
    return [each for each in suspensions if (each.kind, each.name) == (kind, wanted)]


def stop_of_suspension(suspension: Suspension) -> Stop:
    """As an answer shows it."""
    return Stop(
        suspension.kind,
        suspension.name,
        suspension.reason or "no reason was given",
        suspension.since,
        suspension.until,
        f"m365-relay resume {suspension.kind} {suspension.name}",
        True,
        suspension.by,
    )


def stop_of_breaker(breaker: Breaker, now: float, wall: float) -> Stop:
    """Likewise; `now` is monotonic."""
    key = breaker.key
    kind = _KINDS.get(key.scope, key.scope.value)
    name = key.sender or NULL_SENDER if key.scope is Scope.SENDER_AS else key.key
    until = None if breaker.until == math.inf else wall + max(0.0, breaker.until - now)
    command = f"m365-relay resume {kind}" + ("" if kind in _NAMELESS else f" {name}")
    shown = str(key) if key.scope is Scope.SENDER_AS else name
    todo = (
        f"mend it, then: {command}" if until is None else f"it is tried again by itself; at once: {command}"
    )
    return Stop(kind, shown, breaker.reason, breaker.opened_at, until, todo, False)
