"""A rota: members take turns by weight; one that has no mail leaves its turns to the others.

Start-time fair queueing (Goyal, Vin, Cheng, SIGCOMM 1996), in integers: each member has a
tag, the one with the lowest is next, and a mail of cost c moves its member's tag up by c
over its weight. A member that comes begins at the tag of the last turn, so that not waiting
gathers no claim; one that has gone keeps its tag until the others have passed it, so that
coming one by one gathers none either. For any two members that wait all the while, what
each has sent over its weight differs by no more than one mail of each, over its weight.

One who is alone owes nothing: he takes from nobody.
"""

from __future__ import annotations

from heapq import heappop, heappush, heapreplace
from itertools import islice
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from relay.queue.job import Job

SCALE = 720_720
"""A cost of one, of weight one: any weight up to 16 divides it, so that those shares are exact."""


class Waits(Protocol):
    """Mail in an order of its own."""

    def peek(self) -> Job | None:
        """The first of it, left in its place."""
        ...

    def __len__(self) -> int: ...


W = TypeVar("W", bound=Waits)


class Member(Generic[W]):
    """One that takes turns."""

    __slots__ = ("name", "owes", "waits", "weight")

    def __init__(self, name: str, weight: int, waits: W) -> None:
        self.name = name
        self.weight = weight
        self.waits = waits
        self.owes = 0
        """By how much its tag is to rise, the next time that it is looked at."""


class Rota(Generic[W]):
    """Of one kind of members. Memory: those that wait, and those that have gone but a turn ago."""

    __slots__ = ("_comings", "_members", "_order", "_reached", "weight")

    def __init__(self) -> None:
        self.weight = 0
        """Of all members."""
        self._members: dict[str, Member[W]] = {}
        self._order: list[tuple[int, int, Member[W]]] = []
        self._reached = 0
        """The tag of the last turn."""
        self._comings = 0

    @property
    def is_shared(self) -> bool:
        """There are others whom a turn takes it from."""
        return len(self._order) > 1

    @property
    def members(self) -> int:
        """About how many take turns: one that has just gone may be among them."""
        return len(self._order)

    def only_name(self) -> str | None:
        """Of the only member; None: there are more, or none."""
        return self._order[0][2].name if len(self._order) == 1 else None

    def some(self, most: int, also: str) -> list[Member[W]]:
        """So many of the members at most, and that one in any case, where it is one."""
        found = list(islice(self._members.values(), most))
        member = self._members.get(also)
        if member is not None and len(self._members) > most and member not in found:
            found.append(member)
        return found

    def __len__(self) -> int:
        """How much mail all members have; a step for each."""
        return sum([len(member.waits) for member in self._members.values()])

    def before(self, name: str, place: int) -> int:
        """About how many mails go before one of a member's that has so many of his own before it; a step a member.

        As if all counted one, and nobody owed anything.
        """
        weight = self._members[name].weight
        others = [each for each in self._members.values() if each.name != name]
        return place + sum([min(len(each.waits), (place + 1) * each.weight // weight) for each in others])

    def get(self, name: str) -> Member[W] | None:
        """The member, where it is one."""
        return self._members.get(name)

    def join(self, name: str, weight: int, waits: W) -> Member[W]:
        """It takes turns from now on."""
        member = self._members[name] = Member(name, weight, waits)
        self.weight += weight
        heappush(self._order, (self._reached, self._coming(), member))
        return member

    def peek(self) -> Job | None:
        """The first mail of the member whose turn it is."""
        order = self._order
        while order:
            tag, _, member = order[0]
            if member.owes:
                heapreplace(order, (tag + member.owes, self._coming(), member))
                member.owes = 0
                continue
            job = member.waits.peek()
            if job is not None or len(order) == 1:
                return job
            # All others have come up to it: it owes nobody anything any more.
            heappop(order)
            del self._members[member.name]
            self.weight -= member.weight
            self._reached = max(self._reached, tag)
        return None

    def charge(self, name: str, cost: int) -> None:
        """The first mail of a member has had its turn."""
        order = self._order
        if len(order) > 1:
            member = self._members[name]
            tag, _, first = order[0]
            if first is member:
                self._reached = max(self._reached, tag)
            member.owes += cost * SCALE // member.weight

    def _coming(self) -> int:
        self._comings += 1
        return self._comings
