"""The timeline: ledger time from the two clocks of a machine, across restarts.

Ledger time is whole microseconds, near the epoch's, and never goes back. While a
process lives it follows the monotonic clock alone: steps of the wall clock, back or
forward, do not touch it. Across a restart:

- same boot: the monotonic clock went on; so does ledger time, exactly;
- another boot (or another machine): two witnesses say how long it has been, the
  wall clock and the time since boot. The smaller is believed, never less than 0.

So a wall clock that is wrong, in either direction, can make windows longer and never
shorter. The price: after a reboot windows last longer by the time the machine was
off, once. Suspended time does not count either (CLOCK_MONOTONIC stands still).

Midnight UTC is what the wall clock says when the process starts; a step while it
runs is followed at the next start.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from struct import Struct, error

from relay.budget.limit import SECOND_US
from relay.budget.row import NOW, TIME, Row, read_number

_BOOT = TIME + b"boot"
_ANCHOR = Struct(">qqq")


class Timeline:
    """Ledger time of one process."""

    def __init__(self, rows: Iterable[Row], wall: float, monotonic: float, boot: str) -> None:
        """`rows` is what the spool holds; `boot` names this running of the machine (Linux: its
        boot id), "" when nobody knows. ValueError for rows that cannot be read.
        """
        kept = {key: value for key, value in rows if key in (NOW, _BOOT) and value is not None}
        left_at = read_number(kept[NOW]) if NOW in kept else 0
        last = _Anchor.read(kept[_BOOT]) if _BOOT in kept else None
        wall_us, monotonic_us = _us(wall), _us(monotonic)
        if last is None:
            start = max(left_at, wall_us)
        elif boot and last.boot == boot:
            start = max(left_at, last.start, monotonic_us + last.ahead)
        else:
            left_at = max(left_at, last.start)
            by_wall = wall_us - last.utc_offset - left_at
            start = left_at + max(0, min(by_wall, monotonic_us))
        self._anchor = _Anchor(start, start - monotonic_us, wall_us - start, boot)

    @property
    def utc_offset_us(self) -> int:
        """UTC less ledger time."""
        return self._anchor.utc_offset

    def now(self, monotonic: float) -> int:
        """Ledger time at this reading of the monotonic clock."""
        return _us(monotonic) + self._anchor.ahead

    def monotonic(self, at: int) -> float:
        """A reading of the monotonic clock at which `now` has just reached `at`."""
        # Half a microsecond more than the quotient, which may round to less than it is.
        return (at - self._anchor.ahead + 0.5) / SECOND_US

    def rows(self) -> list[Row]:
        """What the next process must know; to be written once, before the first send."""
        return [(_BOOT, self._anchor.value())]


@dataclass(frozen=True, slots=True)
class _Anchor:
    start: int
    """Ledger time when the process started."""
    ahead: int
    """Ledger time less monotonic clock."""
    utc_offset: int
    boot: str

    @staticmethod
    def read(value: bytes) -> "_Anchor":
        try:
            start, ahead, utc_offset = _ANCHOR.unpack_from(value)
            return _Anchor(start, ahead, utc_offset, value[_ANCHOR.size :].decode())
        except (error, UnicodeDecodeError) as trouble:
            raise ValueError(f"budget row of the boot: {trouble}") from None

    def value(self) -> bytes:
        return _ANCHOR.pack(self.start, self.ahead, self.utc_offset) + self.boot.encode()


def _us(seconds: float) -> int:
    return int(seconds * SECOND_US)
