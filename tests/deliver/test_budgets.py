"""Limits at work: never more than allowed, whatever happens, and all of it delivered in the end."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from relay.budget.limit import Limit, Scope, Unit
from relay.route.route import Credentials, Route
from relay.trace.event import Delivered
from tests.deliver.relaying import Relaying, relaying, route_to
from tests.fakes.clock import FakeClock
from tests.fakes.loop import in_loop
from tests.fakes.sink import Sink

LOGIN = Credentials("orders@contoso.test", "secret")
THREE = Limit(Scope.ROUTE, Unit.MESSAGES, 3, 60)


def limited(port: int, *limits: Limit, name: str = "smarthost", **changes: object) -> Route:
    return route_to(port, name, limits=limits or (THREE,), **changes)


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


async def quiet(relay: Relaying) -> None:
    """Long enough for anything that may go to have gone."""
    await asyncio.sleep(0.1)


@in_loop
async def test_a_burst_goes_up_to_the_limit_and_the_rest_at_the_moment_there_is_room(tmp_path: Path) -> None:
    clock = FakeClock()
    timers = Timers(clock)
    async with Sink() as sink, relaying(tmp_path, limited(sink.port), clock=clock, later=timers) as relay:
        await relay.hint(*[relay.accept() for _ in range(7)])
        await sink.received(3)
        await quiet(relay)
        assert len(sink.mails) == 3
        timers.pass_by(59.99)
        await quiet(relay)
        assert len(sink.mails) == 3
        timers.pass_by(0.02)
        await sink.received(6)
        await quiet(relay)
        assert len(sink.mails) == 6
        timers.pass_by(60.01)
        await relay.until_empty()
    assert len(sink.mails) == 7
    assert all(event.attempts == 1 for event in relay.told(Delivered))
