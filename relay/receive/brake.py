"""Brakes: who gets too much wrong is answered later and later, then told 421, and who goes on is banned for a while.

An address (its /64 in IPv6) bears the consequences, never a name: nobody can lock out
somebody else's account. When a name is guessed at from many addresses, answers about it
get slow for addresses that never logged in by it. Decisions without I/O; time is an
argument. Each receiver has its own, and its part of the limits: what is not shared
costs nothing and cannot fail, and all of them together never allow more than one would.
"""

from typing import Literal

from msgspec import Struct

from relay.receive.brake_memory import Levels, Marks, source_of
from relay.receive.brake_options import BrakeOptions
from relay.route.network import Networks
from relay.smtp.reply import Reply

BANNED = Reply(421, "4.7.0", "Too much went wrong from your address; try again later")
TOO_MANY_REFUSED = Reply(421, "4.7.0", "Too many recipients that are not known here; try again later")
TOO_FAST = Reply(421, "4.7.0", "Too many connections from your address in a short time; try again later")
FREE_PART = 0.25
"""Of a limit: answered at once, as somebody mistypes a password or has an old list."""
KNOWN_S = 30 * 86_400.0
"""How long an address counts as the place where a name logs in: longer than holidays."""
BRAKED = (BANNED, TOO_FAST)
"""Of these the log is told once, when they begin, and not for each connection."""
Reason = Literal["logins", "name", "recipients", "connections", "sessions"]


class Braked(Struct, frozen=True):
    """A brake began to hold: told once, and not again while it does."""

    source: str
    reason: Reason
    seconds: float


class Brake(Struct, frozen=True):
    """What comes of something wrong."""

    delay_s: float = 0.0
    """Answer so much later."""
    reply: Reply | None = None
    """Instead of what else was to be said."""
    begun: Braked | None = None


FREE = Brake()


class Brakes:
    """One a receiver."""

    def __init__(self, options: BrakeOptions) -> None:
        self._options = options
        self._exempt = Networks(options.exempt)
        size, period_s = options.remembered, options.period_s
        self._connections = Levels[str](options.connections_per_minute, 60.0, size)
        self._failures = Levels[str](options.login_failures, period_s, size)
        self._pairs = Levels[tuple[str, int]](options.login_failures, period_s, size)
        self._names = Levels[int](options.name_failures, period_s, size)
        self._recipients = Levels[str](options.refused_recipients, period_s, size)
        self._sessions = Levels[str](options.faulty_sessions, period_s, size)
        self._bans = Marks[str](size)
        self._told = Marks[tuple[Reason, str]](size)
        self._homes = Marks[tuple[str, int]](size)
        """Where a name has logged in."""
        self._tried = Marks[tuple[str, int]](size)
        """Wrong passwords that an address has tried lately."""

    def is_banned(self, address: str, now: float) -> bool:
        """Is it told 421, whatever it wants?"""
        return self._bans.has(source_of(address), now)

    def refusal(self, address: str, now: float) -> Reply | None:
        """The reply to a connection that is not wanted."""
        source = source_of(address)
        if self._bans.has(source, now):
            return BANNED
        if self._connections.level(source, now) + 1 > self._connections.limit and not self._is_exempt(
            address
        ):
            return TOO_FAST
        return None

    def connected(self, address: str, now: float) -> Braked | None:
        """It has connected and is welcome: who is refused does not count, else a flood would shut its neighbours out for good."""
        if self._is_exempt(address):
            return None
        source = source_of(address)
        level = self._connections.add(source, now)
        return self._tell("connections", source, now, 60.0) if level + 1 > self._connections.limit else None

    def login_failed(self, address: str, username: str, password: bytes, now: float) -> Brake:
        """A name or password was wrong. Neither is kept: hashes of this process are, which mean nothing elsewhere."""
        if self._is_exempt(address):
            return FREE
        source, name = source_of(address), hash(username.lower())
        if self._bans.has(source, now):
            return Brake(0.0, BANNED)
        tried = (source, hash((name, password)))
        is_repeated = bool(password) and self._tried.has(tried, now)
        self._tried.put(tried, now + self._options.period_s)
        level = self._pairs.add((source, name), now)
        if not is_repeated:
            self._names.add(name, now)
            failures = self._failures.add(source, now)
            # Some of it has sunk since the first.
            if failures > self._options.login_failures - 1:
                # What led to the ban is paid for by it.
                self._failures.drop(source)
                return Brake(0.0, BANNED, self._ban(source, "logins", now))
            level = max(level, failures)
        slowed = self._slowed(source, name, now)
        return Brake(
            max(self._delay(level, self._options.login_failures), slowed.delay_s), None, slowed.begun
        )

    def login_succeeded(self, address: str, username: str, now: float) -> Brake:
        """An address that is new to the name waits as long as if it had been wrong, while the name is guessed at."""
        if self._is_exempt(address):
            return FREE
        source, name = source_of(address), hash(username.lower())
        brake = self._slowed(source, name, now)
        self._homes.put((source, name), now + KNOWN_S)
        # Not the failures of the address: who has one account would guess at another's with pauses.
        self._pairs.drop((source, name))
        return brake

    def recipient_refused(self, address: str, now: float) -> Brake:
        """A recipient that there is no way to."""
        if self._is_exempt(address):
            return FREE
        source = source_of(address)
        level = self._recipients.add(source, now)
        if level <= self._options.refused_recipients:
            return Brake(self._delay(level, self._options.refused_recipients))
        begun = self._tell("recipients", source, now, self._options.period_s)
        return Brake(self._options.delay_max_s, TOO_MANY_REFUSED, begun)

    def greeting_delay(self, address: str, now: float) -> float:
        """Greet it so much later: 0 for nearly everybody."""
        level = self._sessions.level(source_of(address), now)
        return 0.0 if not level or self._is_exempt(address) else self._delay(level, self._sessions.limit)

    def session_failed(self, address: str, now: float) -> Braked | None:
        """One of its sessions came to a bad end."""
        if self._is_exempt(address):
            return None
        source = source_of(address)
        if self._sessions.add(source, now) <= self._sessions.limit - 1:
            return None
        self._sessions.drop(source)
        return self._ban(source, "sessions", now)

    def session_sent(self, address: str) -> None:
        """One of its sessions brought mail: whoever shares an address with something broken is not shut out with it."""
        self._sessions.drop(source_of(address))

    def _is_exempt(self, address: str) -> bool:
        return self._exempt.allow(address)

    def _ban(self, source: str, reason: Reason, now: float) -> Braked | None:
        self._bans.put(source, now + self._options.ban_s)
        return self._tell(reason, source, now, self._options.ban_s)

    def _slowed(self, source: str, name: int, now: float) -> Brake:
        is_guessed_at = self._names.level(name, now) >= self._options.name_failures
        if not is_guessed_at or self._homes.has((source, name), now):
            return FREE
        # Of the name only that there is one: it may be a password in the wrong place.
        begun = self._tell("name", f"{name & 0xFFFF_FFFF:08x}", now, self._options.period_s)
        return Brake(self._options.delay_max_s, None, begun and Braked(source, "name", begun.seconds))

    def _tell(self, reason: Reason, source: str, now: float, seconds: float) -> Braked | None:
        if self._told.has((reason, source), now):
            return None
        self._told.put((reason, source), now + seconds)
        return Braked(source, reason, seconds)

    def _delay(self, level: float, limit: float) -> float:
        """None up to a part of the limit, the longest at the limit, and in a straight line between them."""
        free = limit * FREE_PART
        return self._options.delay_max_s * min(1.0, max(0.0, (level - free) / (limit - free)))
