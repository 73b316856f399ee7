"""An account: a window that is kept in the spool.

It knows which of its rows are not as the window is; `rows` hands them out.
"""

from collections.abc import Iterable

from relay.budget.cover import Cover
from relay.budget.limit import DAY_US, Limit, Place
from relay.budget.row import OPEN, Row, Use, number, use_prefix
from relay.budget.window import Window

NEVER = OPEN
"""Later than every moment."""
AHEAD_DAYS = 400
"""Nobody foresees more; a ramp may begin in ten years."""


class Account(Window):
    """The use of one limit by one key, with its rows."""

    __slots__ = ("_changed", "_prefix", "_utc_offset_us", "cover", "place", "steps_at")

    def __init__(self, limit: Limit, place: Place, utc_offset_us: int) -> None:
        super().__init__(limit, utc_offset_us)
        self.place = place
        self.cover = Cover(limit.count)
        self._prefix = use_prefix(limit, place.key)
        self._utc_offset_us = utc_offset_us
        self.steps_at = 0 if limit.ramp else NEVER
        """Ledger time from which another number holds: a ramp has one for each day."""
        self._changed: dict[int, int] = {}
        """Release to amount; 0 is to be deleted."""

    def restore(self, uses: Iterable[Use], now: int) -> None:
        """Take over what the rows say.

        Nobody knows how the open sends ended, or when: they count from now on.
        """
        stated = 0
        for use in sorted(uses, key=lambda use: use.release):
            if use.release == OPEN:
                stated = use.amount
            else:
                release = self._hold(self._midnight(use.release), use.amount)
                if release != use.release:
                    self._changed |= {use.release: 0, release: self.amounts[-1]}
        self.cover = Cover(self.count, stated)
        self.expire(now)
        if stated:
            self.stamp(now, stated)

    def adopt(self, count: int) -> None:
        """The limit's count is another one from now on."""
        if count != self.count:
            self.set_count(count)
            self.cover = Cover(count, self.cover.stated)
            self.cover.lose()

    def step(self, now: int) -> None:
        """The number of this day, of a limit with a ramp."""
        day = (now + self._utc_offset_us) // DAY_US
        self.adopt(self.limit.on(day))
        self.steps_at = NEVER if day >= self.limit.ramp_end else (day + 1) * DAY_US - self._utc_offset_us

    def ahead(self, now: int) -> tuple[int, ...]:
        """The numbers of the days after this one, the last of which holds on; none: this one does."""
        day = (now + self._utc_offset_us) // DAY_US
        return tuple(
            self.limit.on(each) for each in range(day + 1, min(self.limit.ramp_end, day + AHEAD_DAYS) + 1)
        )

    def expire(self, now: int) -> list[int]:
        """Give free what is due; the releases that are over."""
        gone = super().expire(now)
        for release in gone:
            self._changed[release] = 0
        return gone

    def stamp(self, now: int, amount: int) -> int:
        """Hold an amount for a whole window from now on; returns the moment of its release."""
        release = super().stamp(now, amount)
        self._changed[release] = self.amounts[-1]
        return release

    def rows(self, durable: int, following: int) -> list[Row]:
        """What changed since the last call, as batch `following`."""
        prefix = self._prefix
        rows: list[Row] = [
            (prefix + number(release), number(amount) if amount else None)
            for release, amount in self._changed.items()
        ]
        self._changed.clear()
        if self.cover.restate(self.open, durable, following):
            stated = self.cover.stated
            rows.append((prefix + number(OPEN), number(stated) if stated else None))
        return rows

    def lose(self) -> None:
        """A batch with rows of this account failed: hand out all that holds again."""
        for release, amount in zip(self.releases, self.amounts, strict=True):
            self._changed.setdefault(release, amount)
        self.cover.lose()

    def row_keys(self) -> list[bytes]:
        """Keys of the rows an idle account may still have."""
        keys = [self._prefix + number(release) for release in self._changed]
        return [*keys, self._prefix + number(OPEN)] if self.cover.stated else keys
