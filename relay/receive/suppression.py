"""Addresses no mail is taken for, as a receiver looks them up at RCPT.

A look into the spool costs some microseconds; while nobody is in it, a second's knowledge of
that is enough. What cannot be read refuses nobody: delivering finds out the truth.
"""

from relay.clock import Clock
from relay.errors import SpoolError
from relay.spool.spool import Spool
from relay.spool.suppressed import Suppressed

LOOK_EVERY_S = 1.0


class Suppression:
    """Of one receiver."""

    def __init__(self, spool: Spool, clock: Clock) -> None:
        self._spool = spool
        self._clock = clock
        self._is_empty = True
        self._looked_at = float("-inf")

    def of(self, address: bytes) -> Suppressed | None:
        """Why no mail is taken for it now; None: it is."""
        try:
            if self._is_none():
                return None
            found = self._spool.suppressed(address)
        except SpoolError:
            return None
        return None if found is None or found.is_over(self._clock.now()) else found

    def _is_none(self) -> bool:
        now = self._clock.monotonic()
        if now - self._looked_at >= LOOK_EVERY_S:
            self._looked_at = now
            self._is_empty = not self._spool.count_suppressed()
        return self._is_empty
