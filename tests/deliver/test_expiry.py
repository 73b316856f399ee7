"""Mail that may not go any more ends while it waits, and its sender is told; what only waits does not grow old."""

import asyncio
from functools import partial
from pathlib import Path

import pytest

from relay.budget.limit import Limit, Scope, Unit
from relay.deliver.report_options import ReportOptions
from relay.message.envelope import Recipient
from relay.queue.suspension import Kind
from relay.spool.change import RecipientState, Record, Status
from relay.spool.memory import MemoryStore
from relay.spool.options import SpoolOptions
from relay.trace import event as trace
from tests.deliver.relaying import Relaying, relaying, route_to, states
from tests.deliver.test_suspended import ready, resume, suspend
from tests.fakes.clock import FakeClock
from tests.fakes.loop import in_loop
from tests.fakes.sink import Script, Sink, closed_port

REPORT = ReportOptions("relay.test")
HOUR, DAY = 3_600.0, 86_400.0
ONE_A_DAY = Limit(Scope.ROUTE, Unit.MESSAGES, 1, 86_400)


def _tried(relay: Relaying, id: int, times: int) -> bool:
    """And it is on the disk."""
    return [state.attempts for state in relay.store.state(id) or ()] == [times]


def gone(relay: Relaying, id: int) -> bool:
    return relay.store.read(id) is None


@in_loop
async def test_a_mail_that_is_put_off_ends_at_its_deadline_and_its_sender_is_told(tmp_path: Path) -> None:
    clock = FakeClock()
    script = Script(replies={b"RCPT TO:<b@c.test>": b"450 4.2.1 Later"})
    async with (
        Sink(script) as sink,
        relaying(tmp_path, route_to(sink.port, retry_steps_s=(HOUR,)), clock=clock, report=REPORT) as relay,
    ):
        mail = await relay.send(deadline=clock.now() + 600)
        await relay.until(lambda: relay.told(trace.Deferred))
        assert relay.told(trace.Deferred)[0].next_attempt == clock.now() + 540
        clock.advance(539)
        await asyncio.sleep(0.1)
        assert states(relay, mail.id) == [Status.QUEUED]
        clock.advance(2)
        await relay.until(lambda: len(relay.told(trace.Deferred)) == 2)
        clock.advance(70)
        await relay.until(lambda: gone(relay, mail.id))
        [report] = await sink.received(1)
        assert b"Status: 5.4.7" in report.content
        assert relay.told(trace.Failed)[0].attempts == 3


@in_loop
async def test_a_mail_that_waits_for_a_limit_ends_at_its_deadline(tmp_path: Path) -> None:
    clock = FakeClock()
    async with Sink() as sink:
        async with relaying(tmp_path, route_to(sink.port, limits=(ONE_A_DAY,)), clock=clock) as relay:
            await relay.send()
            await sink.received(1)
            mail = await relay.send(deadline=clock.now() + 600)
            other = await relay.send()
            await relay.until(lambda: ready(relay) == 2)
            clock.advance(601)
            await relay.until(lambda: states(relay, mail.id) == [Status.HELD])
            assert "5.4.7" in relay.told(trace.Held)[0].reply
            assert states(relay, other.id) == []
        assert len(sink.mails) == 1


@pytest.mark.parametrize("kind", ["route", "campaign"])
@in_loop
async def test_a_mail_that_is_suspended_ends_at_its_deadline_and_lets_others_go_on(
    tmp_path: Path, kind: str
) -> None:
    clock = FakeClock()
    async with Sink() as sink, relaying(tmp_path, route_to(sink.port), clock=clock) as relay:
        await suspend(relay, Kind(kind), "smarthost" if kind == "route" else "May")
        mails = [await relay.send(campaign="May", deadline=clock.now() + 600 + i) for i in range(3)]
        last = await relay.send(campaign="May")
        await relay.until(lambda: ready(relay) == 4)
        await asyncio.sleep(0.1)
        clock.advance(1_000)
        await relay.until(lambda: [states(relay, mail.id) for mail in mails] == [[Status.HELD]] * 3)
        assert states(relay, last.id) == []
        await resume(relay, Kind(kind), "smarthost" if kind == "route" else "May")
        await sink.received(1)
        await relay.until(lambda: gone(relay, last.id))


@in_loop
async def test_a_deadline_that_passed_while_the_relay_was_down_is_found_at_the_start(tmp_path: Path) -> None:
    clock, store = FakeClock(), MemoryStore(SpoolOptions(tmp_path))
    async with Sink() as sink:
        relay = Relaying(tmp_path, clock, store)
        mail = relay.accept(deadline=clock.now() + 60)
        clock.advance(61)
        async with relaying(tmp_path, route_to(sink.port), clock=clock, store=store) as relay:
            await relay.until(lambda: states(relay, mail.id) == [Status.HELD])
        assert sink.mails == []


@in_loop
async def test_of_a_mail_by_two_routes_what_has_gone_stays_gone(tmp_path: Path) -> None:
    clock = FakeClock()
    async with Sink() as sink, closed_port() as port:
        slow = route_to(port, "slow", recipients=("c.test",))
        async with relaying(tmp_path, slow, route_to(sink.port), clock=clock) as relay:
            mail = await relay.send(Recipient(b"b@c.test", "slow"), "b@d.test", deadline=clock.now() + 600)
            await sink.received(1)
            await relay.until(lambda: relay.told(trace.ConnectionFailed))
            clock.advance(601)
            await relay.until(lambda: states(relay, mail.id) == [Status.HELD, Status.DELIVERED])


@in_loop
async def test_what_is_held_stays_held_and_when_released_too_late_is_not_sent(tmp_path: Path) -> None:
    clock, store = FakeClock(), MemoryStore(SpoolOptions(tmp_path))
    async with Sink() as sink:
        relay = Relaying(tmp_path, clock, store)
        mail = relay.accept(deadline=clock.now() + 60)
        store.apply([Record(mail.id, (RecipientState(Status.HELD, 1, 0.0, "550 no"),))])
        clock.advance(61)
        async with relaying(tmp_path, route_to(sink.port), clock=clock, store=store) as relay:
            await asyncio.sleep(0.1)
            assert relay.store.state(mail.id) == (RecipientState(Status.HELD, 1, 0.0, "550 no"),)
        store.apply([Record(mail.id, (RecipientState(Status.QUEUED, 0, 0.0, "550 no"),))])
        async with relaying(tmp_path, route_to(sink.port), clock=clock, store=store) as relay:
            await relay.until(lambda: states(relay, mail.id) == [Status.HELD])
            assert "5.4.7" in relay.told(trace.Held)[0].reply
        assert sink.mails == []


# Age.


@in_loop
async def test_a_wait_for_a_limit_makes_a_mail_no_older_unless_the_route_says_so(tmp_path: Path) -> None:
    clock = FakeClock()
    async with Sink() as sink:
        plain = route_to(sink.port, limits=(ONE_A_DAY,), expire_s=HOUR)
        strict = route_to(
            sink.port, "strict", limits=(ONE_A_DAY,), expire_s=HOUR, waiting_ages=True, recipients=("d.test",)
        )
        async with relaying(tmp_path, strict, plain, clock=clock) as relay:
            for name in ("strict", "smarthost"):
                await relay.send(Recipient(b"a@d.test", name))
            await sink.received(2)
            patient = await relay.send()
            hasty = await relay.send(Recipient(b"b@d.test", "strict"))
            await relay.until(lambda: ready(relay) == 2)
            clock.advance(2 * HOUR)
            await relay.until(lambda: states(relay, hasty.id) == [Status.HELD])
            assert "4.4.7" in relay.told(trace.Held)[0].reply
            await asyncio.sleep(0.1)
            assert states(relay, patient.id) == []


@in_loop
async def test_a_mail_that_is_suspended_for_a_month_has_all_of_its_time_left(tmp_path: Path) -> None:
    clock = FakeClock()
    script = Script(replies={b".": b"451 4.3.0 Later"})
    async with (
        Sink(script) as sink,
        relaying(
            tmp_path, route_to(sink.port, retry_steps_s=(HOUR,), expire_s=2.5 * HOUR), clock=clock
        ) as relay,
    ):
        await suspend(relay, Kind.ROUTE, "smarthost")
        mail = await relay.send()
        await relay.until(lambda: ready(relay) == 1)
        clock.advance(30 * DAY)
        await resume(relay, Kind.ROUTE, "smarthost")
        for tries in (1, 2, 3):
            await relay.until(partial(_tried, relay, mail.id, tries))
            [state] = relay.store.state(mail.id) or ()
            assert (state.aged_s, state.as_of) == ((tries - 1) * HOUR, clock.now())
            clock.advance(HOUR)
        # The fourth try is the last one: half an hour was left for it.
        await relay.until(lambda: states(relay, mail.id) == [Status.HELD])
        assert relay.told(trace.Deferred)[2].next_attempt == clock.now() - HOUR / 2


@in_loop
async def test_an_outage_makes_a_mail_older_until_it_has_failed_over_a_restart(tmp_path: Path) -> None:
    clock, store = FakeClock(), MemoryStore(SpoolOptions(tmp_path))
    async with closed_port() as port:
        route = route_to(port, expire_s=3 * HOUR)
        async with relaying(tmp_path, route, clock=clock, store=store) as relay:
            mail = await relay.send()
            await relay.until(lambda: store.budget_records)
            clock.advance(2 * HOUR)
        # Two hours of it were lost by then; what lasted is over when the relay starts.
        async with relaying(tmp_path, route, clock=clock, store=store) as relay:
            await relay.until(lambda: relay.told(trace.ConnectionFailed))
            await asyncio.sleep(0.1)
            assert states(relay, mail.id) == []
            clock.advance(0.9 * HOUR)
            await asyncio.sleep(0.1)
            assert states(relay, mail.id) == []
            clock.advance(0.2 * HOUR)
            await relay.until(lambda: states(relay, mail.id) == [Status.HELD])
            assert "too old, and the route is stuck" in relay.told(trace.Held)[0].reply


@in_loop
async def test_what_stands_aside_grows_old_where_the_route_says_so(tmp_path: Path) -> None:
    clock = FakeClock()
    async with Sink() as sink:
        route = route_to(sink.port, expire_s=HOUR, waiting_ages=True)
        async with relaying(tmp_path, route, clock=clock) as relay:
            await suspend(relay, Kind.CAMPAIGN, "May")
            mails = [await relay.send(campaign="May") for _ in range(3)]
            await relay.until(
                lambda: relay.deliverer and sum(x.parked for x in relay.deliverer._queue.lanes) == 3
            )
            clock.advance(HOUR - 1)
            young = await relay.send(campaign="May")
            await asyncio.sleep(0.1)
            assert [states(relay, mail.id) for mail in mails] == [[]] * 3
            clock.advance(2)
            await relay.until(lambda: [states(relay, mail.id) for mail in mails] == [[Status.HELD]] * 3)
            assert states(relay, young.id) == []
            await resume(relay, Kind.CAMPAIGN, "May")
            await sink.received(1)


@in_loop
async def test_of_two_recipients_only_the_one_who_was_tried_for_so_long_has_failed(tmp_path: Path) -> None:
    clock, store = FakeClock(), MemoryStore(SpoolOptions(tmp_path))
    script = Script(replies={b"RCPT": b"450 4.2.1 Later"})
    async with Sink(script) as sink:
        relay = Relaying(tmp_path, clock, store)
        mail = relay.accept("old@c.test", "new@c.test", age_s=9 * HOUR)
        tried = RecipientState(Status.QUEUED, 9, clock.now(), "450 later", 5 * HOUR, clock.now() - HOUR)
        store.apply([Record(mail.id, (tried, RecipientState()))])
        async with relaying(
            tmp_path, route_to(sink.port, expire_s=6 * HOUR), clock=clock, store=store
        ) as relay:
            await relay.until(lambda: states(relay, mail.id) == [Status.HELD, Status.QUEUED])
            [old, new] = store.state(mail.id) or ()
            assert (old.aged_s, new.aged_s) == (6 * HOUR, 0.0)


@in_loop
async def test_an_outage_lasts_only_while_somebody_tries(tmp_path: Path) -> None:
    clock = FakeClock()
    async with closed_port() as port, relaying(tmp_path, route_to(port), clock=clock) as relay:
        assert relay.deliverer is not None
        outages = relay.deliverer._outages
        mail = await relay.send(deadline=clock.now() + 60)
        await relay.until(lambda: outages._lasting)
        clock.advance(61)
        await relay.until(lambda: states(relay, mail.id) == [Status.HELD])
        await relay.until(lambda: not outages._lasting)
        clock.advance(9 * DAY)
        [lane] = relay.deliverer._queue.lanes
        assert outages.lost_s(lane, 0.0, clock.now()) == pytest.approx(61)
