"""Shares: what each priority has of one sender's flow, as turns give it out (`relay.budget.turn`).

Stride scheduling of streams: each priority has a pass that grows as it flows, by its
share; who is behind goes first until he has caught up, and those that are even flow by
their shares. What one may not take is the others'.
"""

from collections.abc import Collection, Mapping
from itertools import pairwise
from math import inf

from relay.budget.turn import SHARES
from relay.message.priority import Priority

EVEN = 0.5
"""Passes that differ by less are even: half a turn of bulk."""
_NOTHING = 1e-9


class Shares:
    """Of one sender, in one walk."""

    __slots__ = ("_passes", "_waited")

    def __init__(self) -> None:
        self._passes = dict.fromkeys(Priority, 0.0)
        self._waited: frozenset[Priority] = frozenset()

    def rates(self, total: float, caps: Mapping[Priority, float]) -> dict[Priority, float]:
        """How fast each of those that wait flows, of `total` in all; none faster than its cap."""
        self._begin(caps)
        rates = dict.fromkeys(caps, 0.0)
        left, others = total, sorted(caps, key=self._passes.__getitem__)
        while others and left > _NOTHING:
            least = self._passes[others[0]]
            even = [each for each in others if self._passes[each] <= least + EVEN]
            others = others[len(even) :]
            left = _poured(left, even, caps, rates)
        return rates

    def _begin(self, waiting: Collection[Priority]) -> None:
        """Who comes anew starts where those are that wait: not waiting gathers no claim."""
        new = frozenset(waiting) - self._waited
        if new:
            old = self._waited.intersection(waiting)
            reached = min((self._passes[each] for each in old), default=max(self._passes.values()))
            for each in new:
                self._passes[each] = max(self._passes[each], reached)
        self._waited = frozenset(waiting)

    def even_after(self, rates: Mapping[Priority, float]) -> float:
        """When one that is behind has caught up with the next."""
        found = inf
        order = sorted(rates, key=self._passes.__getitem__)
        for behind, ahead in pairwise(order):
            gap = self._passes[ahead] - self._passes[behind] - EVEN / 2
            closing = rates[behind] / SHARES[behind] - rates[ahead] / SHARES[ahead]
            if gap > EVEN / 2 and closing > _NOTHING:
                found = min(found, gap / closing)
        return found

    def go_on(self, rates: Mapping[Priority, float], seconds: float) -> None:
        """So much flowed."""
        for priority, rate in rates.items():
            self._passes[priority] += rate * seconds / SHARES[priority]


def _poured(
    left: float, even: list[Priority], caps: Mapping[Priority, float], rates: dict[Priority, float]
) -> float:
    """By shares, to each at most its cap; what is left over."""
    while even and left > _NOTHING:
        total = sum(SHARES[priority] for priority in even)
        full = [each for each in even if caps[each] <= left * SHARES[each] / total]
        if not full:
            for priority in even:
                rates[priority] = left * SHARES[priority] / total
            return 0.0
        for priority in full:
            rates[priority] = caps[priority]
            left -= caps[priority]
        even = [each for each in even if each not in full]
    return left
