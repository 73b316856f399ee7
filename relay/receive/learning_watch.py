"""Says when the learning mode is on and when it has ended; in one process, for all of them."""

from datetime import UTC, datetime

from relay.clock import Clock
from relay.receive.learning_options import LearningOptions
from relay.trace.event import LearningBegan, LearningEnded, Record

INTERVAL_S = 5.0
"""Between two looks: what is told may be late by so much, what is done is not."""


class LearningWatch:
    """From a start or a reload on."""

    def __init__(self, options: LearningOptions, record: Record, clock: Clock) -> None:
        self._options = options
        self._record = record
        self._clock = clock
        self._is_over: bool | None = None
        """None: nothing was said yet."""

    def look(self) -> bool:
        """Say what is new; False: there is nothing to look for any more."""
        options = self._options
        until = moment(options.until)
        if self._clock.now() >= options.until:
            if not self._is_over:
                self._record(LearningEnded(options.networks, until))
            self._is_over = True
        elif self._is_over is None:
            self._is_over = False
            self._record(LearningBegan(options.networks, options.route, until, options.until))
        return not self._is_over


def moment(at: float) -> str:
    """Date and time as people read them."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
