"""The simulator's clock: it may run faster than the world's, and it may be moved ahead."""

from relay.clock import Clock


class Pace:
    """Begins with the wall clock's time and never goes back."""

    def __init__(self, clock: Clock, speed: float) -> None:
        self._clock = clock
        self._began = clock.monotonic()
        self._epoch = clock.now()
        self._speed = speed

    def now(self) -> float:
        """Seconds since the epoch, as the tenant sees them."""
        return self._epoch + (self._clock.monotonic() - self._began) * self._speed

    def real_s(self, seconds: float) -> float:
        """How long somebody outside waits for so many of the simulator's seconds."""
        return max(0.0, seconds) / self._speed

    def advance(self, seconds: float) -> None:
        """Let time pass at once."""
        self._epoch += seconds
