"""Time as an argument.

Everything below the sockets is told the time by its caller. Those who must ask
hold a Clock, so that a day of queue life runs in a test in a second.
"""

import time
from typing import Protocol


class Clock(Protocol):
    """Two clocks: one for records and for people, one that never steps."""

    def now(self) -> float:
        """Seconds since the epoch, as an administrator may set them."""
        ...

    def monotonic(self) -> float:
        """Seconds since some fixed moment; never goes back."""
        ...


class SystemClock:
    """The clocks of this machine."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)
