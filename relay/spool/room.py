"""May new mail come in? The free-space floor, with hysteresis. No I/O.

Mail is refused below the floor and taken again a quarter above it, so that one mail
that leaves does not open the door for one that comes. Between two looks at the disk
what was written since the last one counts as used.
"""

from relay.spool.options import MIB

RETRY_S = 5.0
"""After a commit that failed as full although there seemed to be room (a quota, a map in pieces), nothing is
taken for this long; then one commit tries again."""
_LOOK_AGAIN_BYTES = 64 * MIB
"""A quarter of the default floor: other receivers write meanwhile, too."""


class Room:
    """What is known of the free space."""

    def __init__(self, floor_bytes: int, interval_s: float) -> None:
        self.refusing: str | None = None
        """Why no new mail is taken, or None."""
        self._floor = floor_bytes
        self._interval_s = interval_s
        self._look_at = float("-inf")
        self._retry_at = float("-inf")
        self._free = 0
        self._spent = 0

    def is_stale(self, now: float) -> bool:
        """It is time to look at the disk again."""
        return now >= self._look_at or self._spent >= _LOOK_AGAIN_BYTES

    def look(self, free_bytes: int, now: float) -> None:
        """The disk was looked at."""
        self._free = free_bytes
        self._spent = 0
        self._look_at = now + self._interval_s
        if now >= self._retry_at:
            self._decide()

    def spend(self, size_bytes: int) -> None:
        """So much was written."""
        self._spent += size_bytes
        if self.refusing is None:
            self._decide()

    def fail(self, reason: str, now: float) -> None:
        """A commit found the spool full."""
        self.refusing = reason
        self._retry_at = now + RETRY_S

    def _decide(self) -> None:
        free = self._free - self._spent
        enough = self._floor if self.refusing is None else self._floor + self._floor // 4
        self.refusing = None if free >= enough else _reason(free, self._floor)


def _reason(free: int, floor: int) -> str:
    return f"{max(0, free) // MIB} MiB are free in the spool, and new mail needs {floor // MIB} MiB to be"
