"""A breaker: what is in trouble stops, and its mail waits until a probe has gone through.

    closed ── trip ──► open ── its time has come ──► due ── a probe begins ──► probed
                         ▲                            ▲                          │
                         └───────── trip ─────────────┼──────────────────────────┤
                                                      └────── no verdict ────────┤
    closed ◄─────────────────────────── the probe has passed ────────────────────┘

One mail is the probe, or one connection that is opened for it. One whose time is
infinity waits for the administrator. Times are monotonic seconds; over a restart they
are kept by the wall clock (`Kept`).
"""

import math
from dataclasses import dataclass

import msgspec
from msgspec import Struct

from relay.budget.row import BREAKER, MAX_KEY_BYTES, Row
from relay.m365.row import Scope
from relay.queue.denial import bytes_of

STILL_S = 5.0
"""A probe that ended without a verdict is followed by the next one after so long."""

LONGEST_S = 86_400.0
"""The catalogue knows no longer time: what Microsoft counts in a day has passed by then."""


@dataclass(frozen=True, slots=True)
class StopKey:
    """What has stopped."""

    scope: Scope
    key: str
    """Whose: a mailbox, a route, a host, a domain; as `relay.route.tariff` names them."""
    sender: str = ""
    """With SENDER_AS: as whom the mailbox may not send."""

    def __str__(self) -> str:
        name = f"{self.key} as {self.stopped}" if self.scope is Scope.SENDER_AS else self.key
        return bytes_of(name).decode("utf-8", "backslashreplace")

    @property
    def stopped(self) -> str:
        """What lanes are named by that wait for it; empty where it stops no sender of his own."""
        if self.scope is Scope.SENDER_AS:
            return self.sender or "<>"
        return f"@{self.key}" if self.scope is Scope.SENDER_DOMAIN else ""


class Breaker:
    """Open since it was made; whoever closes it throws it away."""

    __slots__ = ("key", "opened_at", "probe", "reason", "told_at", "trips", "until")

    def __init__(self, key: StopKey, reason: str, until: float, opened_at: float) -> None:
        self.key = key
        self.reason = reason
        """For people: the reply, and the next step."""
        self.until = until
        """Monotonic: no probe before; infinity: none until the administrator has acted."""
        self.opened_at = self.told_at = opened_at
        """Seconds since the epoch; `told_at`: by its last reply."""
        self.trips = 1
        self.probe: object | None = None
        """Who probes."""

    def lets_pass(self, who: object, now: float) -> bool:
        """Whether `who` may probe, or does so already."""
        return self.until <= now and (self.probe is None or self.probe is who)

    def trip(self, reason: str, until: float, now: float, wall: float) -> bool:
        """Told again. False: an echo, of mail that was under way when it opened."""
        if self.probe is None and self.until > now and until != math.inf:
            return False
        self.probe = None
        self.reason, self.until, self.told_at = reason, until, wall
        self.trips += 1
        return True

    def give_up(self, now: float) -> None:
        """The probe has no verdict."""
        self.probe = None
        self.until = max(self.until, now + STILL_S)


class Kept(Struct, frozen=True, array_like=True):
    """A breaker as it lies in the spool."""

    scope: str
    key: bytes
    sender: bytes
    """Bytes: what a client gave as its sender need not be text."""
    reason: str
    opened_at: float
    until: float | None
    """Seconds since the epoch; None: until the administrator has acted."""
    told_at: float


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Kept).decode


def row_key(key: StopKey) -> bytes:
    """Of its row; keys are bounded, so that two long ones may share a row, and then one is forgotten."""
    name = f"{key.scope.value}\0{key.key}\0{key.sender}".encode(errors="surrogateescape")
    return BREAKER + name[:MAX_KEY_BYTES]


def row_of(breaker: Breaker, now: float, wall: float) -> Row:
    """As it lies in the spool."""
    until = None if breaker.until == math.inf else wall + max(0.0, breaker.until - now)
    key = breaker.key
    kept = Kept(
        key.scope.value,
        bytes_of(key.key),
        bytes_of(key.sender),
        breaker.reason,
        breaker.opened_at,
        until,
        breaker.told_at,
    )
    return row_key(key), _encode(kept)


def from_row(value: bytes, now: float, wall: float) -> Breaker:
    """A breaker that an earlier process left; ValueError for a row that is none."""
    try:
        kept = _decode(value)
        key = StopKey(Scope(kept.scope), *map(_text, (kept.key, kept.sender)))
    except (msgspec.MsgspecError, ValueError) as error:
        raise ValueError(f"no breaker: {error}") from None
    until = math.inf
    if kept.until is not None:
        # A clock that was ahead when it was written must not make the wait longer than any there is.
        until = now + min(max(0.0, kept.until - wall), LONGEST_S)
    breaker = Breaker(key, kept.reason, until, kept.opened_at)
    breaker.told_at = kept.told_at
    return breaker


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
