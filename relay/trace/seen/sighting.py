"""A sighting: what was seen of one sender in a time, and how two of them are one. No I/O.

A sender is a client's name, the address it came from, and the way in that it took: so a
client that still sends a password from one host and a token from another is two lines.
Whatever grows by what others send is bounded; `more` says which lists are not all there is.
"""

from typing import NamedTuple

from msgspec import Struct, field

DAY_S = 86_400
TEXT_MAX = 254
"""Characters: the longest address (RFC 5321 section 4.5.3.1.3, less its brackets)."""
MOST = {
    "senders": 16,
    "authors": 16,
    "domains": 32,
    "routes": 8,
    "helos": 4,
    "tls": 4,
    "tried": 8,
    "refusals": 8,
}
"""Of each list, how many are kept: what a device does fits; one that does more is no device."""
PASSWORDS = ("PLAIN", "LOGIN")
"""Mechanisms in which the password itself crosses the wire: basic authentication."""
CERTIFICATE, NETWORK, LEARNING, NOTHING = "certificate", "network", "learning", "nothing"
"""Ways in besides the mechanisms of SASL; nothing: a network of the listener's."""


class Who(NamedTuple):
    """What tells one sender from another."""

    account: str
    """The client's name, `learning:ADDRESS`, or empty: nobody we know by name."""
    address: str
    way: str


class Sighting(Struct):
    """Times in seconds since the epoch."""

    first: float = 0.0
    last: float = 0.0
    mails: int = 0
    plain: int = 0
    """Mails without TLS."""
    plain_last: float = 0.0
    size: int = 0
    """Bytes of all mails."""
    largest: int = 0
    recipients: int = 0
    recipients_most: int = 0
    """Of one mail."""
    outside: int = 0
    """Recipients that are not the tenant's own; counted for those who are no client yet."""
    refused: int = 0
    day: int = 0
    """The last day with mail, in days since the epoch."""
    today: int = 0
    """Mails of that day."""
    busiest: int = 0
    """Mails of the day that had most."""
    senders: set[str] = field(default_factory=set)
    """Envelope senders, as the client wrote them; empty is the null sender."""
    authors: set[str] = field(default_factory=set)
    """Addresses in From."""
    domains: set[str] = field(default_factory=set)
    """Domains of recipients that are not the tenant's own."""
    routes: set[str] = field(default_factory=set)
    helos: set[str] = field(default_factory=set)
    tls: set[str] = field(default_factory=set)
    """Version and cipher."""
    tried: set[str] = field(default_factory=set)
    """Logins that failed: mechanism, TLS or not, user name, why."""
    refusals: set[str] = field(default_factory=set)
    more: set[str] = field(default_factory=set)
    """Names of the lists that do not hold all there was."""

    def keep(self, name: str, values: set[str], value: str) -> None:
        """Add to one of the lists; `values` is the one called `name`."""
        if value in values:
            return
        if len(values) >= MOST[name]:
            self.more.add(name)
        else:
            values.add(value[:TEXT_MAX])

    def mailed(self, now: float, size: int, recipients: int, *, is_tls: bool) -> None:
        """One more mail."""
        self.mails += 1
        self.last = now
        self.size += size
        if size > self.largest:
            self.largest = size
        self.recipients += recipients
        if recipients > self.recipients_most:
            self.recipients_most = recipients
        if not is_tls:
            self.plain += 1
            self.plain_last = now
        day = int(now // DAY_S)
        if day != self.day:
            self.day, self.today = day, 0
        self.today += 1
        if self.today > self.busiest:
            self.busiest = self.today

    def add(self, later: "Sighting") -> None:
        """What was seen after it, of the same sender."""
        self.first = min(self.first, later.first) if self.first else later.first
        self.last = max(self.last, later.last)
        self.plain_last = max(self.plain_last, later.plain_last)
        for name in ("mails", "plain", "size", "recipients", "outside", "refused"):
            setattr(self, name, getattr(self, name) + getattr(later, name))
        self.largest = max(self.largest, later.largest)
        self.recipients_most = max(self.recipients_most, later.recipients_most)
        self._add_days(later)
        self.more |= later.more
        for name in MOST:
            values = getattr(self, name)
            for value in sorted(getattr(later, name)):
                self.keep(name, values, value)

    def lose(self, address: str) -> bool:
        """Take a person's address out; was it there?"""
        is_there = False
        for values in (self.senders, self.authors, self.tried, self.refusals):
            named = {each for each in values if address in each.lower()}
            values -= named
            is_there |= bool(named)
        return is_there

    def _add_days(self, later: "Sighting") -> None:
        # Receivers write in turn, so what is added may be of the day before. Of a batch over midnight the seconds
        # before it are missing in the busiest day.
        if later.day == self.day:
            self.today += later.today
        elif later.day > self.day:
            self.day, self.today = later.day, later.today
        self.busiest = max(self.busiest, later.busiest, self.today)


def is_basic(who: Who, seen: Sighting) -> bool:
    """Does it send a password, or try to?"""
    return who.way in PASSWORDS or any(each.startswith(PASSWORDS) for each in seen.tried)


def is_unknown(who: Who) -> bool:
    """Is it no client that has a name?"""
    return who.way in (LEARNING, NOTHING)
