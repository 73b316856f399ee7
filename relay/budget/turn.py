"""Turns: which priority of one budget goes next, and that none waits for ever.

Each priority has a share of the sends while all of them wait (stride scheduling);
one that does not wait leaves its share to the others and gathers no claim. High
goes first when it comes, and at most one other mail goes before each high one.

Work-conserving: when the one whose turn it is may not go, the next is asked. But
one that waits for room (and not for its own pace) keeps it: nobody of lower
priority takes from the places it waits for, or a mail to 500 recipients would never
gather its room among mails to one. High alone passes a normal or bulk mail that
gathers.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from relay.budget.answer import Taken, TooLarge, Wait
from relay.budget.ledger import Ledger
from relay.budget.limit import Charge
from relay.message.priority import Priority

SHARES = {Priority.HIGH: 16, Priority.NORMAL: 4, Priority.BULK: 1}
"""Of 21 sends with all three waiting."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One priority's head, and what the ledger says to it."""

    priority: Priority
    answer: Taken | TooLarge


class Heads(Protocol):
    """The first mail of each priority, looked at only when it is its turn."""

    def charges(self, priority: Priority) -> Sequence[Charge] | None:
        """What it is to be charged; None when of that priority nothing waits after all."""
        ...

    def steps_aside(self, priority: Priority, wait: Wait) -> bool:
        """It must wait: does it let others of its priority past? Then another one is the first."""
        ...


class Turns:
    """The order inside one budget."""

    def __init__(self, shares: Mapping[Priority, int] = SHARES) -> None:
        self._strides = {priority: 1 / share for priority, share in shares.items()}
        self._passes = dict.fromkeys(Priority, 0.0)
        self._reached = 0.0
        """Who comes anew starts here: not waiting gathers no claim."""
        self._high_is_next = False

    def next(
        self, ledger: Ledger, waiting: Collection[Priority], heads: Heads, now: int
    ) -> Turn | Wait | None:
        """Who goes now, with the charges taken; how long all must wait; None when nobody is left.

        `waiting` are the priorities of which mail waits.
        """
        gathering: set[tuple[object, ...]] = set()
        first: Wait | None = None
        for priority in self.order(waiting):
            while (charges := heads.charges(priority)) is not None:
                if (
                    gathering
                    and priority is not Priority.HIGH
                    and not gathering.isdisjoint(c[:3] for c in charges)
                ):
                    break
                answer = ledger.take(charges, now, priority)
                if not isinstance(answer, Wait):
                    if isinstance(answer, Taken):
                        self.went(priority, waiting)
                    return Turn(priority, answer)
                if heads.steps_aside(priority, answer):
                    continue
                gathering |= answer.short
                first = answer if first is None else _sooner(first, answer)
                break
        return first

    def order(self, waiting: Collection[Priority]) -> Collection[Priority]:
        """Who is asked first, second, third."""
        if len(waiting) == 1:
            return waiting
        order = sorted(waiting, key=lambda priority: (self._pass(priority), priority))
        if self._high_is_next and Priority.HIGH in order:
            order.remove(Priority.HIGH)
            order.insert(0, Priority.HIGH)
        return order

    def went(self, priority: Priority, waiting: Collection[Priority]) -> None:
        """One of those that waited has gone."""
        if len(waiting) == 1:
            # Alone, it gathers no debt either: who comes next begins where it stands.
            self._reached = self._pass(priority)
            self._passes[priority] = self._reached + self._strides[priority]
            self._high_is_next = False
            return
        self._reached = min(map(self._pass, waiting))
        self._passes[priority] = self._pass(priority) + self._strides[priority]
        self._high_is_next = priority is not Priority.HIGH and Priority.HIGH in waiting

    def _pass(self, priority: Priority) -> float:
        return max(self._passes[priority], self._reached)


def _sooner(one: Wait, other: Wait) -> Wait:
    if one.until is None:
        return other
    return other if other.until is not None and other.until < one.until else one
