"""When mail that comes now would leave is written for receivers, as far as somebody would have to wait."""

from pathlib import Path

import pytest

from relay.budget.limit import Limit, Scope, Unit
from relay.message.priority import Priority
from relay.spool import prospect
from relay.spool.prospect import Prospects
from tests.deliver.relaying import Relaying, relaying, route_to
from tests.deliver.test_campaigns import Never
from tests.fakes.clock import FakeClock
from tests.fakes.loop import in_loop
from tests.fakes.sink import Sink

HOURLY = Limit(Scope.ROUTE, Unit.MESSAGES, 60, 3600)


def told(relay: Relaying) -> dict[int, float]:
    """By priority, in seconds from now."""
    found = prospect.read(relay.folder / prospect.FILE)
    assert isinstance(found, Prospects)
    assert all(each.key[:2] == ("smarthost", ("",)) for each in found.each)
    return {each.key[2]: each.leaves_at - relay.clock.now() for each in found.each}


async def look(relay: Relaying, clock: FakeClock, times: int = 4) -> None:
    """Let some seconds pass, with a tick in each."""
    for _ in range(times):
        clock.advance(1.0)
        ticks = len(relay.events)
        await relay.until(lambda ticks=ticks: len(relay.events) > ticks + 2)  # type: ignore[misc]


@in_loop
async def test_mail_behind_a_campaign_waits_for_it_and_a_reset_does_not(tmp_path: Path) -> None:
    def before(relay: Relaying) -> None:
        for number in range(180):
            relay.accept(f"{number}@c.test", priority=Priority.BULK)

    async with Sink() as sink:
        clock = FakeClock()
        async with relaying(
            tmp_path, route_to(sink.port, limits=(HOURLY,)), clock=clock, before=before,
            later=lambda s, go: Never(),
        ) as relay:  # fmt: skip
            await relay.until(lambda: len(sink.mails) >= 2)
            await look(relay, clock)
            found = told(relay)
            # One a minute, and 178 stand before it.
            assert found[Priority.BULK] == pytest.approx(178 * 60, rel=0.03)
            assert Priority.HIGH not in found


@in_loop
async def test_where_nobody_waits_nothing_is_written(tmp_path: Path) -> None:
    async with Sink() as sink:
        clock = FakeClock()
        async with relaying(tmp_path, route_to(sink.port), clock=clock) as relay:
            # What an earlier process has left is taken back.
            prospect.write(tmp_path / prospect.FILE, Prospects(1.0, ()))
            await relay.send()
            await relay.until_empty()
            await look(relay, clock)
            assert told(relay) == {}
            (tmp_path / prospect.FILE).unlink()
            await look(relay, clock, 2)
            assert not (tmp_path / prospect.FILE).exists()
