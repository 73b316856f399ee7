"""A window: what was used of one limit, and when it comes free again.

Time is ledger time: whole microseconds that never go back (`timeline.py`). Windows
are half-open: never more than `count` in any [t, t + width). So what was counted
at t is free again at t + width exactly.

The next hop counts a send at some moment between our first byte and its reply. So
a send is `open` from before its first byte until its end is known, and only then
gets its stamp. Proof that no window of the next hop's own counting is exceeded:
of the sends it counts in [t, t + width) let c be the last we began. Each other one
is still open when c begins, or ended at e with e >= its count >= t, so that it is
held until e + width >= t + width > c. Both are counted against c.

Entries are (moment of release, amount), in order. A limit of up to EXACT_COUNT has
one for every moment of use; above that, moments are rounded up to GRAINS parts of
the window. That errs to the safe side alone: a place comes free at most one grain
late, so at least GRAINS / (GRAINS + 1) = 99.95 % of the limit can be used, in at
most GRAINS + 1 entries. A limit since midnight has one entry a day.
"""

from collections import deque
from itertools import islice

from relay.budget.headroom import PACED_BELOW, headroom
from relay.budget.limit import DAY_US, SECOND_US, Limit
from relay.message.priority import Priority

EXACT_COUNT = 1024
"""30 a minute and 100 an hour are kept exactly; 10,000 a day for 1,000 mailboxes would take a gigabyte."""
GRAINS = 2048
_HIGH, _NORMAL = Priority.HIGH, Priority.NORMAL
"""Looking up a member of an enum costs as much as the rest of a comparison (Python 3.11)."""


class Window:
    """The use of one limit by one key."""

    __slots__ = (
        "amounts", "count", "day_end_us", "grain_us", "held", "interval_us", "is_paced", "keep", "limit",
        "open", "paced_until", "releases", "width_us",
    )  # fmt: skip

    def __init__(self, limit: Limit, utc_offset_us: int = 0) -> None:
        """`utc_offset_us` is UTC less ledger time."""
        self.limit = limit
        self.width_us = limit.window_s * SECOND_US
        self.day_end_us = -utc_offset_us % DAY_US if limit.since_midnight else -1
        """Ledger time of midnights, modulo a day; -1 for a rolling window."""
        self.releases: deque[int] = deque()
        self.amounts: deque[int] = deque()
        self.held = 0
        """Sum of `amounts`."""
        self.open = 0
        """Amount of sends whose end is not known."""
        self.paced_until = 0
        """Bulk does not go before."""
        self.set_count(limit.count)

    def set_count(self, count: int) -> None:
        """Another limit from now on; what was used stays used."""
        assert count >= 1
        self.count = count
        self.grain_us = 1 if count <= EXACT_COUNT else max(1, self.width_us // GRAINS)
        self.keep = headroom(count)
        self.interval_us = -(-self.width_us // count)
        self.is_paced = count < PACED_BELOW and self.day_end_us < 0

    def is_idle(self, now: int) -> bool:
        """After `expire(now)`: a new window would say the same, of the pace after the next bulk mail too."""
        return not self.open and not self.releases and self.paced_until <= now - self.interval_us

    @property
    def room(self) -> int:
        """What is free; negative when the count was lowered."""
        return self.count - self.open - self.held

    def admits(self, amount: int, now: int, priority: Priority) -> bool:
        """Whether it may go now, after `expire(now)`: a quick `earliest(...) == now`."""
        spare = self.count - self.open - self.held - amount
        if spare < 0:
            return False
        if priority is _HIGH:
            return True
        if spare >= self.keep and (priority is _NORMAL or not self.is_paced):
            return True
        return amount <= self.count and self.earliest(amount, now, priority) == now

    def expire(self, now: int) -> list[int]:
        """Give free what is due; the releases that are over."""
        releases, amounts = self.releases, self.amounts
        gone = []
        while releases and releases[0] <= now:
            gone.append(releases.popleft())
            self.held -= amounts.popleft()
        return gone

    def stamp(self, now: int, amount: int) -> int:
        """Hold an amount for a whole window from now on; returns the moment of its release."""
        return self._hold(self._release(now), amount)

    def _hold(self, release: int, amount: int) -> int:
        releases = self.releases
        if releases and releases[-1] >= release:
            self.amounts[-1] += amount
        else:
            releases.append(release)
            self.amounts.append(amount)
        self.held += amount
        return releases[-1]

    def pace(self, now: int, amount: int) -> None:
        """Bulk went: the next one an interval later. Up to one interval of lateness is made good."""
        interval = self.interval_us
        self.paced_until = max(self.paced_until, now - interval) + interval * amount

    def earliest(self, amount: int, now: int, priority: Priority) -> int | None:
        """When this may go if nothing else does; None: not before something open has ended.

        Exact, provided `amount` is at most `count`.
        """
        over = self.open + self.held + amount - self.count
        at = now
        index = 0
        if over > 0:
            for release, part in zip(self.releases, self.amounts, strict=True):
                index += 1
                over -= part
                at = release
                if over <= 0:
                    break
            else:
                return None
        if priority is _HIGH:
            return at
        polite = self._earliest_polite(amount, at, -over, index)
        if polite is None or priority is _NORMAL or not self.is_paced:
            return polite
        return max(polite, self.paced_until, self._earliest_even(now, -over, index))

    def _earliest_polite(self, amount: int, at: int, spare: int, index: int) -> int | None:
        """As `earliest`, when from `at` on there is room and `spare` left after it: with headroom.

        `index` is the first entry not yet given free.
        """
        keep = min(self.keep, self.count - amount)
        later = islice(zip(self.releases, self.amounts, strict=True), index, None)
        for release, part in later:
            if release > at:
                if spare >= keep:
                    return at
                if self.is_paced:
                    return max(at, release - self.interval_us)
                at = release
            spare += part
        if spare >= keep:
            return at
        return None

    def _earliest_even(self, now: int, spare: int, index: int) -> int:
        """When places come free evenly enough: the j-th after this one within j + 1 intervals.

        So high priority keeps its pace whatever bulk and high have sent before. The one
        interval more is for the time a send is open: without it a latency of 0.1 s costs
        5 % of 30 a minute, with it nothing.
        """
        interval = self.interval_us
        at = 0
        if not self.releases or self.releases[-1] <= now + (spare + 2) * interval:
            return at
        for release, part in islice(zip(self.releases, self.amounts, strict=True), index, None):
            at = max(at, release - (spare + 2) * interval)
            spare += part
        return at

    def _midnight(self, release: int) -> int:
        """A release an earlier process recorded, when the clock that told it midnights may have been set since.

        The nearest midnight when that is later: nothing comes free before its day is over.
        """
        if self.day_end_us < 0:
            return release
        half = DAY_US // 2
        return max(release, release + half - (release + half - self.day_end_us) % DAY_US)

    def _release(self, now: int) -> int:
        if self.day_end_us >= 0:
            return now + DAY_US - (now - self.day_end_us) % DAY_US
        grain = self.grain_us
        return -(-now // grain) * grain + self.width_us
