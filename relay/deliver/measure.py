"""A measure: what mails take of one login, in the mean of the last ones.

How long each is open (from its charge to its end), how soon the next one has its end while
mail waits and nothing holds it back, and how many recipients it has. A forecast needs
these; nothing else looks at them.
"""

from relay.budget.limit import Unit
from relay.deliver.work import Work
from relay.queue.situation import Kind

LAST = 50
"""Mails of which the mean is kept: an hour-old trouble must not speak of today's."""
LEAST = 5
"""Fewer prove nothing: the first mail of a connection waits for its greeting."""


class Measure:
    """Of one login."""

    __slots__ = ("_busy_since", "_ends", "_gaps", "_mails", "every_s", "kind", "open_s")

    def __init__(self) -> None:
        self.open_s = 0.0
        """0: not known yet."""
        self.every_s = 0.0
        """Between two ends, while nothing but the connections held it back; 0: not known yet."""
        self.kind = Kind()
        self._mails = 0
        self._gaps = 0
        self._ends = 0
        self._busy_since = 0.0

    def ended(self, work: Work, now: float, *, is_busy: bool) -> None:
        """A mail has its end, before its charge is settled. `is_busy`: more waits, and no limit holds it back."""
        if not work.transaction.content_begun:
            return
        external = len(work.indices)
        if work.taken is not None:
            counted = [amount for account, amount in work.taken.parts if account.place.unit is _EXTERNAL]
            external = max(counted, default=0) if counted else 0
        self._mails = min(self._mails + 1, LAST)
        part, kind = 1.0 / self._mails, self.kind
        self.open_s += (now - work.handed_out_at - self.open_s) * part
        self.kind = Kind(
            kind.recipients + (len(work.indices) - kind.recipients) * part,
            kind.external + (external - kind.external) * part,
            kind.size + (work.envelope.size - kind.size) * part,
        )
        self._pace(now, is_busy=is_busy)

    def _pace(self, now: float, *, is_busy: bool) -> None:
        """The mean of some ends at a time: those of one commit come together."""
        if not is_busy:
            self._busy_since = 0.0
        elif not self._busy_since:
            self._busy_since, self._ends = now, 0
        else:
            self._ends += 1
            if self._ends >= LEAST:
                self._gaps = min(self._gaps + 1, LAST // LEAST)
                gap = (now - self._busy_since) / self._ends
                self.every_s += (gap - self.every_s) / self._gaps
                self._busy_since, self._ends = now, 0

    @property
    def is_known(self) -> bool:
        """Enough of it was seen."""
        return self._mails >= LEAST


_EXTERNAL = Unit.EXTERNAL_RECIPIENTS
