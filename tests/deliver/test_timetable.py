"""Mail outside of its hours waits without an attempt, lets others past, and goes when they begin."""

import asyncio
from datetime import UTC, datetime, tzinfo
from pathlib import Path

import pytest

from relay.deliver.timetable import LOOK_AGAIN_S, Timetable
from relay.message.priority import Priority
from relay.route.hours import Hours
from relay.route.route import Route
from relay.spool.change import Status
from relay.spool.memory import MemoryStore
from relay.spool.options import SpoolOptions
from relay.trace import event as trace
from tests.deliver.relaying import Relaying, relaying, route_to, states
from tests.fakes.clock import FakeClock
from tests.fakes.loop import in_loop
from tests.fakes.sink import Script, Sink
from tests.fakes.timers import Timers

EIGHT = datetime(2026, 11, 25, 8, tzinfo=UTC).timestamp()
HOUR = 3_600.0
DAY = (0, 1, 2, 3, 4, 5, 6)
OFFICE = Hours(DAY, 8 * 60, 18 * 60, "UTC")
OFFICE_FOR_BULK = Hours(DAY, 8 * 60, 18 * 60, "UTC", priorities=(Priority.BULK,))


def aside(relay: Relaying) -> int:
    assert relay.deliverer is not None
    return sum(lane.parked for lane in relay.deliverer._queue.lanes)


@in_loop
async def test_bulk_waits_for_its_hours_and_all_else_goes_past(tmp_path: Path) -> None:
    clock = FakeClock(EIGHT - HOUR)
    timers = Timers(clock)
    async with (
        Sink() as sink,
        relaying(tmp_path, route_to(sink.port, hours=(OFFICE_FOR_BULK,)), clock=clock, later=timers) as relay,
    ):
        mails = [await relay.send(priority=Priority.BULK) for _ in range(30)]
        await relay.send("other@c.test", priority=Priority.NORMAL)
        [mail] = await sink.received(1)
        assert mail.rcpts == [b"RCPT TO:<other@c.test>"]
        await relay.until(lambda: aside(relay) == 30)
        timers.pass_by(HOUR - 1)
        await asyncio.sleep(0.1)
        assert len(sink.mails) == 1 and all(states(relay, each.id) == [] for each in mails)
        timers.pass_by(2)
        await sink.received(31)
        await relay.until_empty()
        assert {event.attempts for event in relay.told(trace.Delivered)} == {1}


@in_loop
async def test_what_waits_for_its_hours_is_not_foreseen_before_them(tmp_path: Path) -> None:
    clock = FakeClock(EIGHT - HOUR)
    # Nobody listens at port 1, so that the mail stands in its lane.
    async with relaying(tmp_path, route_to(1, hours=(OFFICE,)), clock=clock, later=Timers(clock)) as relay:
        mail = await relay.send()
        assert relay.deliverer is not None
        await relay.until(lambda: relay.told(trace.ConnectionFailed))
        explained = relay.deliverer.reasons.of(mail.id)
        assert explained is not None
        [reason] = explained.reasons
        assert reason.what == "hours" and reason.until == EIGHT
        assert reason.leaves_at is not None and EIGHT <= reason.leaves_at < EIGHT + 60


@in_loop
async def test_what_was_put_off_within_the_hours_is_not_tried_outside_of_them(tmp_path: Path) -> None:
    clock = FakeClock(EIGHT + 9.9 * HOUR)
    timers = Timers(clock)
    async with (
        Sink(Script(once={b".": b"451 4.3.0 Later"})) as sink,
        relaying(
            tmp_path,
            route_to(sink.port, hours=(OFFICE,), retry_steps_s=(HOUR,), expire_s=2 * HOUR),
            clock=clock,
            later=timers,
        ) as relay,
    ):
        mail = await relay.send()
        await relay.until(lambda: states(relay, mail.id) == [Status.QUEUED])
        timers.pass_by(2 * HOUR)
        await relay.until(lambda: aside(relay) == 1)
        timers.pass_by(11 * HOUR)
        await asyncio.sleep(0.1)
        assert sink.mails == []
        # The night has made it no older: two hours were all it had.
        timers.pass_by(1.2 * HOUR)
        await sink.received(1)
        assert relay.told(trace.Delivered)[0].attempts == 2


@in_loop
async def test_a_restart_at_night_keeps_it_waiting_and_says_until_when(tmp_path: Path) -> None:
    clock, store = FakeClock(EIGHT - HOUR), MemoryStore(SpoolOptions(tmp_path))
    async with Sink() as sink:
        route = route_to(sink.port, hours=(OFFICE,))
        async with relaying(tmp_path, route, clock=clock, store=store, later=Timers(clock)) as relay:
            mail = await relay.send()
            await relay.until(lambda: aside(relay) == 1)
        async with relaying(tmp_path, route, clock=clock, store=store, later=Timers(clock)) as relay:
            await relay.until(lambda: aside(relay) == 1)
            assert relay.deliverer is not None
            explained = relay.deliverer.reasons.of(mail.id)
            assert explained is not None
            [reason] = explained.reasons
            assert reason.what == "hours"
            assert reason.text == (
                "outside the hours of the route smarthost (mon-sun 08:00-18:00 UTC); opens at 2026-11-25 08:00 UTC"
            )
            assert reason.until == pytest.approx(EIGHT)
        assert sink.mails == []


@in_loop
async def test_hours_of_a_campaign_let_the_same_priority_of_others_past(tmp_path: Path) -> None:
    clock = FakeClock(EIGHT - HOUR)
    hours = (
        Hours(DAY, 480, 600, "UTC", campaigns=("news*",)),
        Hours(DAY, 840, 900, "UTC", campaigns=("ads",)),
    )
    timers = Timers(clock)
    async with (
        Sink() as sink,
        relaying(tmp_path, route_to(sink.port, hours=hours), clock=clock, later=timers) as relay,
    ):
        for campaign in ("ads", "news-1", "news-2", "", "offers"):
            await relay.send(f"{campaign or 'none'}@c.test", campaign=campaign)
        await sink.received(2)
        await relay.until(lambda: aside(relay) == 3)
        timers.pass_by(HOUR + 1)
        await sink.received(4)
        timers.pass_by(6 * HOUR)
        await sink.received(5)
        assert sink.mails[-1].rcpts == [b"RCPT TO:<ads@c.test>"]


def test_it_is_looked_up_once_until_something_changes() -> None:
    clock, looks = FakeClock(EIGHT - HOUR), 0

    def zone_of(name: str) -> tzinfo:
        nonlocal looks
        looks += 1
        return UTC

    table = Timetable(clock, zone_of)
    route = Route("r", ("h.test",), hours=(OFFICE,))
    closed = table.closed(route, Priority.HIGH, "")
    assert closed is not None and closed.opens_at == EIGHT and table.wait_s(closed) == HOUR
    before = looks
    assert table.closed(route, Priority.HIGH, "") is closed and looks == before
    clock.advance(HOUR)
    assert table.closed(route, Priority.HIGH, "") is None and looks > before
    clock.advance(10 * HOUR - 1)
    assert table.closed(route, Priority.HIGH, "") is None
    clock.advance(1)
    assert table.closed(route, Priority.HIGH, "") is not None
    # A wall clock that is set back is believed at once.
    clock.set_wall(EIGHT + HOUR)
    assert table.closed(route, Priority.HIGH, "") is None


def test_it_looks_again_once_a_day_at_least() -> None:
    clock = FakeClock(EIGHT)
    table = Timetable(clock)
    closed = table.closed(Route("r", ("h.test",), hours=(Hours((1,), 0, 60, "UTC"),)), Priority.HIGH, "")
    assert closed is not None and table.wait_s(closed) == LOOK_AGAIN_S
    assert table.closed(Route("r", ("h.test",)), Priority.HIGH, "") is None
