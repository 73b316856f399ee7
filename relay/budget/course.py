"""A course: how the room of one limit goes on when mail is a stream and not single sends.

A `Window` answers for the next send; a course answers for the next stretch of time: how
fast may mail flow, and until when does that hold? It keeps the window's rules (what a
send holds for a window from its end, what is kept free for higher priorities, bulk evenly
spaced) in masses and rates, so that fifty thousand sends at one pace are one step.

After many windows of a small limit only its pace matters: `settle_down` makes it a rate.
Seconds from the moment of the standing; amounts in the unit of the limit.
"""

from collections import deque
from math import inf

from relay.budget.headroom import PACED_BELOW, headroom
from relay.budget.limit import DAY_S
from relay.budget.standing import Standing
from relay.message.priority import Priority

LITTLE = 1e-6
"""Of an amount, or of a time: below it is nothing."""


class Course:
    """Of one limit at one key, in one walk."""

    __slots__ = (
        "ahead", "amount", "blocks", "count", "credit", "credit_max", "delay_s", "from_s", "grain_s", "interval_s", "is_paced", "is_steady",
        "keep", "midnight_s", "pace", "room", "since_s", "standing", "today",
    )  # fmt: skip

    def __init__(self, standing: Standing, open_s: float, amount: float = 1.0) -> None:
        """A send is open for `open_s`; `amount` is what a mail of those that are asked for takes."""
        self.standing = standing
        self.amount = amount
        self.is_paced = standing.count < PACED_BELOW and not standing.since_midnight
        self.today = self.count = self.keep = self.room = 0.0
        self._allow(standing.count)
        self.ahead = deque(standing.ahead)
        """Of a ramp: the numbers of the days to come."""
        self.grain_s = standing.grain_s
        self.interval_s = standing.window_s / standing.count
        self.delay_s = standing.window_s + open_s + self.grain_s
        self.midnight_s = standing.midnight_s
        self.credit_max = amount + 1.0
        self.credit = min(self.credit_max, amount - standing.paced_s / self.interval_s)
        """Of bulk: what of it may go before it is spaced; up to one interval of lateness is made good
        (`Window.pace`). Below 0: it waits."""
        self.blocks: deque[list[float]] = deque([list(block) for block in standing.blocks])
        self.room -= standing.used
        self.is_steady = False
        self.since_s = 0.0
        """It was unused before."""
        self.from_s = 0.0
        """While it is steady: nothing comes free before."""
        self.pace = self.count / self.delay_s
        """What may flow in the long run."""
        if standing.open:
            self._hold(0.0, 0.0, float(standing.open))

    def _allow(self, count: int) -> None:
        """So much from now on; what was used stays used."""
        before, self.today = self.count, count
        self.count, self.keep = float(count), float(headroom(count))
        amount = self.amount
        if amount > 1:
            # What is left when no whole mail fits any more is never used.
            self.count -= max(0.0, self.count - self.keep) % amount if amount <= self.count else 0.0
        self.keep = min(self.keep, max(0.0, self.count - amount))
        self.room += self.count - before

    # What may flow now.

    def usable(self, priority: Priority, at: float) -> float:
        """How much may go at once."""
        if self.is_steady or priority is Priority.HIGH:
            return self.room
        if not self.is_paced:
            return self.room - self.keep
        return self.room - self.keep + min(self.keep, self._soon(at))

    def inflow(self, at: float, priority: Priority = Priority.HIGH) -> float:
        """How fast it comes free now, for mail of that priority."""
        if self.is_steady:
            return self.pace if at >= self.from_s - LITTLE else 0.0
        now = self._rate_at(at)
        if priority is Priority.HIGH or not self.is_paced:
            return now
        # The last place is taken when the next one is about to come free (`Window._earliest_polite`).
        soon = self._soon(at)
        if soon > self.keep + LITTLE:
            return now
        then = self._rate_at(at + self.interval_s)
        return then if soon < self.keep - LITTLE else min(now, then)

    def pace_of(self, priority: Priority, at: float) -> float:
        """How fast bulk may flow where it is spaced; infinity for all else."""
        if priority is not Priority.BULK or not self.is_paced:
            return inf
        if self.is_steady:
            return 1.0 / self.interval_s
        spare_s = at - self._even_at()
        if self.credit < -LITTLE or spare_s < -LITTLE:
            return 0.0
        is_free = self.credit > LITTLE and spare_s > LITTLE
        return inf if is_free else 1.0 / self.interval_s

    def _rate_at(self, at: float) -> float:
        for begin, end, amount in self.blocks:
            if begin > at + LITTLE:
                return 0.0
            if end > at + LITTLE:
                return amount / (end - begin)
        return 0.0

    def _soon(self, at: float) -> float:
        """What comes free within one send interval."""
        found, until = 0.0, at + self.interval_s
        for begin, end, amount in self.blocks:
            if begin > until + LITTLE:
                break
            found += amount if end <= until + LITTLE else amount * (until - begin) / (end - begin)
        return found

    def _even_at(self) -> float:
        """When places come free evenly enough for bulk to begin (`Window._earliest_even`); it then takes an interval."""
        room, at = self.room, -inf
        for begin, end, amount in self.blocks:
            at = max(at, begin - (room + 2) * self.interval_s)
            room += amount
            if end > begin:
                at = max(at, end - (room + 2) * self.interval_s)
        return at

    # Until when that holds.

    def next_change(self, at: float, priority: Priority) -> float:
        """When something of it changes by itself."""
        if self.is_steady:
            return self.from_s if self.from_s > at + LITTLE else inf
        moments = [self._midnight(at + 2 * LITTLE)] if self.standing.since_midnight else []
        is_polite = self.is_paced and priority is not Priority.HIGH
        ahead_s = self.interval_s if is_polite else 0.0
        for begin, end, amount in self.blocks:
            moments += [begin, end]
            if is_polite:
                moments += [begin - ahead_s, end - ahead_s]
                if end > begin:
                    # From there on less comes free than is kept.
                    moments.append(end - self.keep * (end - begin) / amount)
            if begin > at + ahead_s:
                break
        if self.is_paced and priority is Priority.BULK:
            moments += [self._even_at(), at - self.credit * self.interval_s]
        return min((moment for moment in moments if moment > at + LITTLE), default=inf)

    def safe_until(self, at: float, outflow: float, priority: Priority) -> float:
        """Until when there is something to use, even if nothing came free."""
        usable = self.usable(priority, at)
        if usable <= LITTLE or self.standing.since_midnight:
            return at
        # What flows out now comes free after the delay: with so much room it never fills up.
        is_ample = usable > outflow * self.delay_s
        if priority is Priority.BULK and self.is_paced and not self.is_steady:
            is_calm = self.credit >= 0 and self._even_at() <= at and outflow * self.interval_s <= 1.0
            return inf if is_ample and is_calm else at
        return inf if is_ample else at + usable / outflow

    def full_at(self, at: float, outflow: float, priority: Priority) -> float:
        """When nothing can be used at once any more, at that outflow."""
        usable = self.usable(priority, at)
        falling = outflow - self.inflow(at, priority)
        return at + usable / falling if usable > LITTLE and falling > LITTLE else inf

    def spaced_at(self, at: float, outflow: float) -> float:
        """When bulk has used up its credit, at that outflow of bulk."""
        if not self.is_paced or self.is_steady or outflow * self.interval_s <= 1.0 + LITTLE:
            return inf
        spare = (at - self._even_at()) / self.interval_s
        return at + max(0.0, min(self.credit, spare)) / (outflow - 1.0 / self.interval_s)

    # Time passes.

    def go_on(self, at: float, until: float, outflow: float, bulk: float) -> None:
        """So much flowed out between the two moments, and of it so much bulk, in each second."""
        if self.is_steady:
            self.room += (self.inflow(at) - outflow) * (until - at)
            self.room = min(max(0.0, self.room), self.count)
            if self.room >= self.count - LITTLE:
                self._wake(until)
            return
        length = until - at
        self.credit = min(self.credit_max, self.credit + (1.0 / self.interval_s - bulk) * length)
        self._expire(until)
        while self.ahead and self.midnight_s <= until + LITTLE:
            self.midnight_s += DAY_S
            self._allow(self.ahead.popleft())
        if outflow * length > LITTLE * LITTLE:
            self.room -= outflow * length
            self._hold(at, until, outflow * length)
        elif not self.blocks:
            self.since_s = until

    def _expire(self, until: float) -> None:
        blocks = self.blocks
        while blocks and blocks[0][0] <= until + LITTLE:
            block = blocks[0]
            if block[1] <= until + LITTLE:
                self.room += block[2]
                blocks.popleft()
                continue
            part = block[2] * max(0.0, until - block[0]) / (block[1] - block[0])
            self.room += part
            block[0], block[2] = max(until, block[0]), block[2] - part
            return

    def _hold(self, at: float, until: float, amount: float) -> None:
        if self.standing.since_midnight:
            begin = end = self._midnight(until)
        else:
            begin, end = at + self.delay_s, until + self.delay_s
        last = self.blocks[-1] if self.blocks else None
        if last is not None and self._continues(last, begin, end, amount):
            last[1], last[2] = max(last[1], end), last[2] + amount
        else:
            self.blocks.append([begin, end, amount])

    def _midnight(self, at: float) -> float:
        """The first one that is not before."""
        return self.midnight_s + max(0.0, -((self.midnight_s - at) // DAY_S)) * DAY_S

    def _continues(self, last: list[float], begin: float, end: float, amount: float) -> bool:
        """Whether it comes free as the last block does, and right behind it."""
        if begin == end or last[0] == last[1]:
            return end <= last[1] + LITTLE
        if begin - last[1] > self.interval_s / 4:
            return False
        rate, other = last[2] / (last[1] - last[0]), amount / (end - begin)
        return abs(rate - other) <= 0.02 * max(rate, other)

    # In the long run.

    @property
    def is_used_up(self) -> bool:
        """It is a bound, and not only a count."""
        return self.room <= self.keep + 1.0 + self.count / 20

    def looks_steady(self, at: float) -> bool:
        """Whether it is used up, and comes free evenly."""
        if not self.is_paced or self.is_steady or self.room > 1.0 + LITTLE:
            return False
        held, end = 0.0, at
        for begin, until, amount in self.blocks:
            held += amount
            if begin - end > 3 * self.interval_s or held > self.pace * (until - at) + 2 * self.credit_max:
                return False
            end = until
        return held >= 0.97 * self.count

    def _wake(self, at: float) -> None:
        """It was not used for a window (a night, perhaps): what comes next is a burst, and no rate."""
        self.is_steady = False
        self.since_s, self.room, self.credit = at, self.count, self.credit_max

    def settle_down(self, at: float) -> None:
        """From now on it is a rate, which in the mean is where the single steps would be."""
        ahead = sum(
            amount * (1 - ((begin + end) / 2 - at) / self.delay_s) for begin, end, amount in self.blocks
        )
        ahead += self.room - self.count / 2
        self.is_steady = True
        self.room = max(0.0, ahead)
        self.from_s = at + max(0.0, -ahead) / self.pace
        self.blocks.clear()
