"""Timers that ring when a test lets time pass."""

from collections.abc import Callable

from tests.fakes.clock import FakeClock


class Timers:
    """Timers of a clock that moves when told."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.set: list[Alarm] = []

    def __call__(self, seconds: float, go: "Callable[[], None]") -> "Alarm":
        alarm = Alarm(self._clock.monotonic() + seconds, go)
        self.set.append(alarm)
        return alarm

    def pass_by(self, seconds: float) -> None:
        """Let so much time go by, and whatever is due ring."""
        self._clock.advance(seconds)
        due = [alarm for alarm in self.set if alarm.at <= self._clock.monotonic()]
        self.set = [alarm for alarm in self.set if alarm not in due]
        for alarm in due:
            if not alarm.is_cancelled:
                alarm.go()


class Alarm:
    def __init__(self, at: float, go: "Callable[[], None]") -> None:
        self.at = at
        self.go = go
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True
