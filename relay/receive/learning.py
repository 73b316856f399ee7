"""The learning mode: an unknown device inside a named network is a client for a time, and what it does is recorded.

Never outside the networks, never after the moment it ends, however long a session has been
open; nothing but the time switches it off. Who is known, disabled or not, is never learnt,
nor is a proxy: behind its address anybody may stand. No password is taken for good.

A device has its place, one of a bounded number, from its first MAIL on, over all
receivers and restarts: to connect takes none, so that a scan of the network uses up nothing.
"""

from collections.abc import Callable, Sequence
from ipaddress import IPv6Address, ip_address

from relay.clock import Clock
from relay.errors import SpoolError
from relay.identity.client import Client
from relay.identity.directory import Directory
from relay.receive.allowance import BUSY
from relay.receive.learning_options import LearningOptions
from relay.receive.policy import DISK_TROUBLE
from relay.route.network import Networks
from relay.smtp.reply import Reply
from relay.spool.usage import Busy, Enrolled, Usage
from relay.trace.event import DeviceAdmitted, DeviceRefused, Record

PREFIX = "learning:"
"""Of such a client's name; no other's has a colon."""
KNOWN_MAX = 4_096
"""Addresses whose client is remembered; those of whom was told are bounded alike."""
FULL_S = 10.0
"""When there was no place, that is believed for so long: to look costs reading a folder."""
FULL = Reply(450, "4.7.1", "This relay takes no mail from your address yet")
OVER = Reply(451, "4.7.1", "What you may send has changed meanwhile; try again")


class Learning:
    """One a receiver."""

    def __init__(
        self,
        options: LearningOptions,
        directory: Directory,
        proxies: Sequence[str],
        usage: Usage,
        clock: Clock,
        record: Record,
    ) -> None:
        """`proxies` are those of all listeners."""
        self.options = options
        self._networks = Networks(options.networks)
        self._directory = directory
        # A client that is disabled is let in nowhere, so not by this door either.
        barred = (each for client in directory.clients if client.is_disabled for each in client.networks)
        self._barred = Networks((*proxies, *barred))
        self._usage = usage
        self._clock = clock
        self._record = record
        # A wall clock that is set back must not give more time.
        self._ends_at = clock.monotonic() + options.until - clock.now()
        self._is_over = False
        self._policy = options.policy()
        self._known: dict[str, Client | None] = {}
        self._admitted: set[str] = set()
        self._full_until = 0.0
        self._told: set[tuple[str, str]] = set()

    @property
    def is_over(self) -> bool:
        """Once it is, it stays so."""
        if not self._is_over:
            clock, options = self._clock, self.options
            self._is_over = clock.now() >= options.until or clock.monotonic() >= self._ends_at
        return self._is_over

    def client_at(self, address: str) -> Client | None:
        """Who an address is as long as it is learnt; for one that is no client's."""
        if address in self._known:
            found = self._known[address]
        else:
            if len(self._known) >= KNOWN_MAX:
                self._known.clear()
            found = self._known[address] = self._client(address)
        return None if found is None or self.is_over else found

    def is_inside(self, address: str) -> bool:
        """Is it one that is learnt, or was?"""
        self.client_at(address)
        return self._known[address] is not None

    def admit(self, client: Client, address: str, listener: str) -> Reply | None:
        """MAIL of one that `client_at` gave; None: it has a place."""
        name = client.name
        if name in self._admitted:
            return None
        now = self._clock.monotonic()
        try:
            places = 0 if now < self._full_until else self.options.devices
            enrolled = self._usage.enrol(name, PREFIX, places)
        except Busy:
            return BUSY
        except SpoolError:
            return DISK_TROUBLE
        if enrolled is Enrolled.FULL:
            self._full_until = max(self._full_until, now + FULL_S if places else 0.0)
            self._refused(address, listener, "full")
            return FULL
        self._admitted.add(name)
        if enrolled is Enrolled.NEW:
            self._record(DeviceAdmitted(address, listener, name, self.options.route))
        return None

    def serves(self, address: str, listener: str) -> bool:
        """Is it one that is learnt now? One that comes after the end is told of."""
        if self.client_at(address) is not None:
            return True
        if self.is_over and self.is_inside(address):
            self._refused(address, listener, "over")
        return False

    def holds(self, name: str) -> bool:
        """Is this one of its clients, as the configuration is now? Its place is given to others, else."""
        return self.is_inside(name.removeprefix(PREFIX))

    def _client(self, address: str) -> Client | None:
        if (
            not self._networks.hold(address)
            or self._barred.hold(address)
            or self._directory.by_address(address) is not None
        ):
            return None
        return Client(PREFIX + canonical(address), policy=self._policy)

    def _refused(self, address: str, listener: str, reason: str) -> None:
        if (address, reason) in self._told:
            return
        if len(self._told) >= KNOWN_MAX:
            self._told.clear()
        self._told.add((address, reason))
        self._record(DeviceRefused(address, listener, reason))


def canonical(address: str) -> str:
    """The one way to write it: an IPv4 address that comes mapped into IPv6 is itself. ValueError."""
    parsed = ip_address(address.partition("%")[0])
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(parsed)


def give_back_places(usage: Usage, learning: Learning | None) -> None:
    """At the start: places of devices that the learning mode does not hold any more."""
    keeps: Callable[[str], bool] = (lambda name: False) if learning is None else learning.holds
    usage.give_up(PREFIX, keeps)


def learning_bounds(options: LearningOptions | None) -> dict[str, tuple[str, ...]]:
    """For the table of routes: the one route of all of them."""
    return {} if options is None else {PREFIX: (options.route,)}
