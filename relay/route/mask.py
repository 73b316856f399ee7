"""Masks: for one property of a mail, the rows that it fits, each a bit of an integer.

A row is one match of one route; rows stand in the order of the routes, the first is the
lowest bit. What a mail fits altogether is the `and` of the masks of its properties, so a
choice costs a few look-ups, however many routes there are. Answers are remembered within
a bound.
"""

from bisect import bisect_left
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from relay.message.priority import Priority
from relay.route.match import Match, network_like
from relay.route.network import Networks
from relay.route.pattern import keys_of, rule_key
from relay.route.route import Route

CACHE_MAX = 4096
"""Answers remembered for each property. A campaign has few senders and many recipients of few
domains; at about 150 bytes each this bounds the memory to 1.2 MB, and starting over is cheap."""

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Row:
    """One match of one route."""

    route: Route
    match: Match

    @property
    def size_max(self) -> int:
        """The largest mail that fits; 0: any."""
        bounds = [bound for bound in (self.match.up_to_bytes, self.route.message_size_bytes) if bound]
        return min(bounds, default=0)


def rows_of(route: Route) -> list[Row]:
    """What the route matches, its short forms written out; without any of them, one row for every mail."""
    matches = list(route.matches)
    if route.recipients:
        matches.append(Match(recipients=route.recipients))
    if route.senders:
        matches.append(Match(senders=route.senders))
    return [Row(route, match) for match in matches or [Match()]]


def mask(rows: Sequence[Row], holds: Callable[[Row], bool]) -> int:
    """The rows for which it holds."""
    return sum(1 << index for index, row in enumerate(rows) if holds(row))


def indices(rows: int) -> Iterator[int]:
    """Of the rows in a mask, the first one first."""
    while rows:
        lowest = rows & -rows
        yield lowest.bit_length() - 1
        rows ^= lowest


class Addresses:
    """By the address of one side: which patterns name it, and what else is to be said about it."""

    def __init__(self, patterns: Sequence[Sequence[str]], taking: Callable[[bytes], int] | None) -> None:
        """`patterns` are those of each row; `taking` says which rows take an address whatever their patterns, None: all."""
        self._any = sum(1 << index for index, each in enumerate(patterns) if not each)
        self._by_key: dict[bytes, int] = {}
        for index, each in enumerate(patterns):
            for pattern in each:
                key = rule_key(pattern)
                self._by_key[key] = self._by_key.get(key, 0) | 1 << index
        self._taking = taking
        self._asks = bool(self._by_key) or taking is not None
        self._known: dict[bytes, int] = {}
        self._same: dict[int, int] = {}

    def of(self, address: bytes) -> int:
        """The rows whose patterns fit and which take it."""
        if not self._asks:
            return self._any
        found = self._known.get(address)
        if found is None:
            found = self.fitting(address)
            if self._taking is not None:
                found &= self._taking(address)
            # Of many rows the mask is long, and most addresses have the same one.
            found = self._same.setdefault(found, found)
            _remember(self._known, address, found)
            if len(self._same) > CACHE_MAX:
                self._same.clear()
        return found

    def fitting(self, address: bytes) -> int:
        """The rows whose patterns fit; not remembered."""
        found = self._any
        if self._by_key:
            for key in keys_of(address):
                found |= self._by_key.get(key, 0)
        return found


class Clients:
    """By the client: its address, and its name where it has proved who it is."""

    def __init__(self, rows: Sequence[Row], bounds: Mapping[str, Sequence[str]]) -> None:
        """`bounds`: by the name of a client, the routes that it may take; who is not in it may take all.

        A name that ends with a colon speaks of all clients whose names begin so.
        """
        self._any = mask(rows, lambda row: not row.match.clients)
        self._bounds = {name: _of_routes(rows, names) for name, names in bounds.items()}
        self._networks: list[tuple[Networks, int]] = []
        self._accounts: dict[str, int] = {}
        self._known: dict[tuple[str, str], int] = {}
        for index, row in enumerate(rows):
            names = [each for each in row.match.clients if not network_like(each)]
            for name in names:
                self._accounts[name] = self._accounts.get(name, 0) | 1 << index
            if networks := [each for each in row.match.clients if network_like(each)]:
                self._networks.append((Networks(networks), 1 << index))
        self.asks = bool(self._networks or self._accounts or self._bounds)

    def are_bound(self, account: str) -> bool:
        """Is this client held to routes of its own?"""
        return self._bound(account) is not None

    def of(self, client: str, account: str) -> int:
        """The rows that name it, or no client at all."""
        if not self.asks:
            return self._any
        found = self._known.get((client, account))
        if found is None:
            found = self._any | (self._accounts.get(account, 0) if account else 0)
            for networks, bit in self._networks:
                if networks.hold(client):
                    found |= bit
            bound = self._bound(account)
            found &= -1 if bound is None else bound
            _remember(self._known, (client, account), found)
        return found

    def _bound(self, account: str) -> int | None:
        kind, colon, _ = account.partition(":")
        return self._bounds.get(kind + colon if colon else account)


class Sizes:
    """By the size of the mail."""

    def __init__(self, rows: Sequence[Row]) -> None:
        bounds = {bound for row in rows for bound in (row.match.larger_than_bytes, row.size_max) if bound}
        self._bounds = sorted(bounds)
        # Between two bounds nothing changes: (bounds[i - 1], bounds[i]] has the mask i, what is larger the last one.
        self._masks = [_taking_size(rows, top) for top in self._bounds]
        self._masks.append(mask(rows, lambda row: not row.size_max))
        self.asks = bool(self._bounds)

    def of(self, size: int) -> int:
        """The rows that take a mail of so many bytes."""
        return self._masks[bisect_left(self._bounds, size)]


class Campaigns:
    """By the campaign."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._any = mask(rows, lambda row: not row.match.campaigns)
        self._exact: dict[str, int] = {}
        self._prefixes: dict[str, int] = {}
        self._known: dict[str, int] = {}
        for index, row in enumerate(rows):
            for pattern in row.match.campaigns:
                into = self._prefixes if pattern.endswith("*") else self._exact
                name = pattern.removesuffix("*")
                into[name] = into.get(name, 0) | 1 << index
        self.asks = bool(self._exact or self._prefixes)

    def of(self, campaign: str) -> int:
        """The rows that name it, or no campaign at all."""
        if not campaign or not self.asks:
            return self._any
        found = self._known.get(campaign)
        if found is None:
            found = self._any | self._exact.get(campaign, 0)
            for prefix, bits in self._prefixes.items():
                if campaign.startswith(prefix):
                    found |= bits
            _remember(self._known, campaign, found)
        return found


def taking_priority(rows: Sequence[Row], priority: Priority) -> int:
    """The rows that take mail of this priority."""
    return mask(rows, lambda row: not row.match.priorities or priority in row.match.priorities)


def _of_routes(rows: Sequence[Row], names: Sequence[str]) -> int:
    return mask(rows, lambda row: row.route.name in names)


def _taking_size(rows: Sequence[Row], size: int) -> int:
    return mask(
        rows,
        lambda row: size > row.match.larger_than_bytes and (not row.size_max or size <= row.size_max),
    )


def _remember(known: dict[Key, int], key: Key, found: int) -> None:
    if len(known) >= CACHE_MAX:
        known.clear()
    known[key] = found
