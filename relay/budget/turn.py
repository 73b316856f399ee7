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


class Turns:
    """The order inside one budget."""

    def __init__(self, shares: Mapping[Priority, int] = SHARES) -> None:
        self._strides = {priority: 1 / share for priority, share in shares.items()}
        self._passes = dict.fromkeys(Priority, 0.0)
        self._reached = 0.0
        """Who comes anew starts here: not waiting gathers no claim."""
        self._high_is_next = False

    def next(self, ledger: Ledger, heads: Mapping[Priority, Sequence[Charge]], now: int) -> Turn | Wait:
        """Who goes now, with the charges taken; or how long all must wait.

        `heads` has the charges of the first mail of each priority that waits; at least one.
        """
        gathering: set[tuple[object, ...]] = set()
        first: Wait | None = None
        for priority in self._order(heads):
            charges = heads[priority]
            if (
                gathering
                and priority is not Priority.HIGH
                and not gathering.isdisjoint(c[:3] for c in charges)
            ):
                continue
            answer = ledger.take(charges, now, priority)
            if isinstance(answer, Wait):
                gathering |= answer.short
                first = answer if first is None else _sooner(first, answer)
                continue
            if isinstance(answer, Taken):
                self._went(priority, heads)
            return Turn(priority, answer)
        assert first is not None, "somebody waits"
        return first

    def _order(self, waiting: Collection[Priority]) -> list[Priority]:
        order = sorted(waiting, key=lambda priority: (self._pass(priority), priority))
        if self._high_is_next and Priority.HIGH in order:
            order.remove(Priority.HIGH)
            order.insert(0, Priority.HIGH)
        return order

    def _pass(self, priority: Priority) -> float:
        return max(self._passes[priority], self._reached)

    def _went(self, priority: Priority, waiting: Collection[Priority]) -> None:
        self._reached = min(map(self._pass, waiting))
        self._passes[priority] = self._pass(priority) + self._strides[priority]
        self._high_is_next = priority is not Priority.HIGH and Priority.HIGH in waiting


def _sooner(one: Wait, other: Wait) -> Wait:
    if one.until is None:
        return other
    return other if other.until is not None and other.until < one.until else one
