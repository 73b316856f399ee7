"""What a gate tells of limits that hold mail back."""

from relay.deliver.gate import TOLD_MAX, Gate
from relay.deliver.reach import Reach
from relay.queue.supply import Supply
from relay.route.route import Route
from relay.trace import event as trace
from tests.fakes.clock import FakeClock
from tests.fakes.timers import Timers


class Told:
    """A gate and what it told."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.events: list[trace.Event] = []
        reach = Reach(Route(name="r", hosts=("h",)), None)
        self.gate = Gate(
            reach, None, Supply(), self.events.append, self.clock, Timers(self.clock), lambda: None
        )

    def tell(self, limit: str, wait_s: float = 5.0) -> None:
        self.gate.tell(limit, self.clock.monotonic() + wait_s, self.clock.now() + wait_s)

    @property
    def limits(self) -> list[str]:
        return [event.limit for event in self.events if isinstance(event, trace.Throttled)]


def test_a_limit_is_told_once_a_minute() -> None:
    told = Told()
    for _ in range(3):
        told.tell("30 messages")
        told.clock.advance(25)
    assert told.limits == ["30 messages"]
    told.clock.advance(25)
    told.tell("30 messages")
    assert told.limits == ["30 messages"] * 2


def test_a_limit_is_told_although_another_one_was_told_just_now() -> None:
    told = Told()
    told.tell("30 messages")
    told.tell("1000 external recipients", 86_400.0)
    assert told.limits == ["30 messages", "1000 external recipients"]


def test_a_short_wait_is_not_told() -> None:
    told = Told()
    told.tell("30 messages", 0.5)
    assert told.limits == []


def test_limits_without_end_are_not_remembered_without_end() -> None:
    told = Told()
    for number in range(TOLD_MAX + 1):
        told.tell(f"of recipient {number}")
    told.tell("of recipient 0")
    assert len(told.limits) == TOLD_MAX + 2
