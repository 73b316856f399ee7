"""The slow truth about budgets: every send is kept, every question asks all of them.

Written from the rules, not from the code: no deque, no sum kept, no shortcut.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from relay.budget.answer import Wait
from relay.budget.limit import DAY_US, Charge, Limit
from relay.budget.row import Row
from relay.message.priority import Priority

SECOND = 1_000_000


@dataclass(slots=True)
class Send:
    """One send against one limit, as the ledger knows it."""

    amount: int
    begin: int
    end: int | None = None
    """None while it is open."""


@dataclass(slots=True)
class Book:
    """All sends against one limit of one key."""

    limit: Limit
    count: int
    sends: list[Send]
    paced_until: int = 0

    @property
    def width(self) -> int:
        return self.limit.window_s * SECOND

    @property
    def is_small(self) -> bool:
        return self.count < 1000 and not self.limit.since_midnight

    @property
    def keep(self) -> int:
        return 1 if self.count < 1000 else self.count // 200

    def release(self, send: Send) -> int | None:
        """When it is free again; ledger time is UTC here."""
        if send.end is None:
            return None
        if self.limit.since_midnight:
            return (send.end // DAY_US + 1) * DAY_US
        return send.end + self.width

    def used(self, at: int) -> int:
        return sum(s.amount for s in self.sends if (release := self.release(s)) is None or release > at)

    def may_go(self, amount: int, at: int, priority: Priority) -> bool:
        spare = self.count - self.used(at) - amount
        if spare < 0:
            return False
        if priority is Priority.HIGH:
            return True
        if (
            priority is Priority.BULK
            and self.is_small
            and (at < self.paced_until or not self.is_even(spare, at))
        ):
            return False
        if spare >= min(self.keep, self.count - amount):
            return True
        later = [r for s in self.sends if (r := self.release(s)) is not None and r > at]
        return self.is_small and bool(later) and min(later) <= at + self.interval

    @property
    def interval(self) -> int:
        return -(-self.width // self.count)

    def is_even(self, spare: int, at: int) -> bool:
        """The j-th place from now on is free within j + 1 intervals, as far as releases are known."""
        places = [at] * spare
        for send in self.sends:
            if (release := self.release(send)) is not None and release > at:
                places += [release] * send.amount
        return all(free <= at + (j + 1) * self.interval for j, free in enumerate(sorted(places), 1))

    def moments(self, now: int) -> Iterable[int]:
        """Every moment at which the answer can change by itself."""
        yield now
        yield self.paced_until
        for send in self.sends:
            if (release := self.release(send)) is not None:
                yield release
                for places in range(1, self.count + 3):
                    yield release - places * self.interval

    def pace(self, amount: int, now: int) -> None:
        self.paced_until = max(self.paced_until, now - self.interval) + self.interval * amount


def earliest(books: list[tuple[Book, int]], now: int, priority: Priority) -> int | None:
    """When all of them may go, by trying every moment."""
    moments = sorted({m for book, _ in books for m in book.moments(now) if m >= now} | {now})
    for moment in moments:
        if all(book.may_go(amount, moment, priority) for book, amount in books):
            return moment
    return None


def most_in_any_window(limit: Limit, counted: list[tuple[int, int, int]]) -> int:
    """The most that a next hop may have counted in one window of its own.

    `counted` is (amount, first moment, last moment) of each send: it counted the send
    somewhere between. An adversary chooses each moment and the window.
    """
    width = limit.window_s * SECOND
    starts = {last for _, _, last in counted}
    if limit.since_midnight:
        starts = {moment // DAY_US * DAY_US for _, first, last in counted for moment in (first, last)}
    return max(
        (sum(a for a, first, last in counted if first < start + width and last >= start) for start in starts),
        default=0,
    )


def write(disk: dict[bytes, bytes], rows: Iterable[Row]) -> None:
    """A commit, in the rows' order."""
    for key, value in rows:
        if value is None:
            disk.pop(key, None)
        else:
            disk[key] = value


class Charged:
    """Heads whose charges are known beforehand, and which let nobody past."""

    def __init__(self, heads: Mapping[Priority, Sequence[Charge]]) -> None:
        self._heads = heads

    def charges(self, priority: Priority) -> Sequence[Charge] | None:
        return self._heads[priority]

    def steps_aside(self, priority: Priority, wait: Wait) -> bool:
        return False
