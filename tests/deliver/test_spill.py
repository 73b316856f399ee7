"""Spilling over: what finds its route's budget used up, or stopped, takes the next one where it may."""

import asyncio
from pathlib import Path

from relay.budget.limit import Limit, Scope, Unit
from relay.message.envelope import Recipient
from relay.message.priority import Priority
from relay.route.tenant import Tenant
from relay.trace import event as trace
from tests.deliver.relaying import relaying, route_to
from tests.fakes.clock import FakeClock
from tests.fakes.loop import in_loop
from tests.fakes.sink import Script, Sink
from tests.fakes.timers import Timers

TWO = Limit(Scope.ROUTE, Unit.MESSAGES, 2, 60)
BLOCKED = b"550 5.7.711 Access denied, bad inbound connector. AS(2204)"
TENANT = Tenant(("contoso.test",))


def to(address: str = "b@c.test") -> Recipient:
    return Recipient(address.encode(), "first")


@in_loop
async def test_what_a_budget_has_no_room_for_takes_the_next_route_and_the_rest_stays(tmp_path: Path) -> None:
    clock = FakeClock()
    async with Sink() as sink, Sink() as other:
        first = route_to(sink.port, "first", limits=(TWO,), spill="second")
        second = route_to(other.port, "second")
        async with relaying(tmp_path, first, second, clock=clock, later=Timers(clock)) as relay:
            await relay.hint(*[relay.accept(to()) for _ in range(300)])
            await relay.until_empty()
            assert (len(sink.mails), len(other.mails)) == (2, 298)
            told = relay.told(trace.Spilled)
            assert len(told) == 298
            assert {(event.route, event.to) for event in told} == {("first", "second")}
            assert told[0].reason == "the limit of 2 messages in 60 s of the route first"
            assert {event.attempts for event in relay.told(trace.Delivered)} == {1}


@in_loop
async def test_mail_that_the_next_route_may_not_have_waits_and_lets_the_rest_past(tmp_path: Path) -> None:
    clock = FakeClock()
    timers = Timers(clock)
    async with Sink() as sink, Sink() as other:
        first = route_to(sink.port, "first", limits=(TWO,), spill="second")
        second = route_to(other.port, "second", internal_only=True)
        async with relaying(
            tmp_path, first, second, clock=clock, later=timers, tenant=TENANT
        ) as relay:  # fmt: skip
            outside = [relay.accept(to(f"{n}@outside.test")) for n in range(5)]
            await relay.hint(*outside, *[relay.accept(to(f"{n}@contoso.test")) for n in range(20)])
            await other.received(20)
            await asyncio.sleep(0.1)
            assert (len(sink.mails), len(other.mails)) == (2, 20)
            for so_far in (4, 5):
                timers.pass_by(60.1)
                await sink.received(so_far)
            await relay.until_empty()
            assert [mail.rcpts[0].split(b"<")[1] for mail in sink.mails] == [
                b"%d@outside.test>" % n for n in range(5)
            ]


@in_loop
async def test_a_mail_leaves_whole_so_the_next_route_must_take_all_of_its_recipients(tmp_path: Path) -> None:
    clock = FakeClock()
    async with Sink() as sink, Sink() as other:
        first = route_to(sink.port, "first", limits=(TWO,), recipients_per_message=1, spill="second")
        second = route_to(other.port, "second", internal_only=True)
        async with relaying(
            tmp_path, first, second, clock=clock, later=Timers(clock), tenant=TENANT
        ) as relay:  # fmt: skip
            await relay.hint(relay.accept(to()), relay.accept(to()))
            await sink.received(2)
            # In the next transaction only the first is meant, and he is inside.
            mixed = relay.accept(to("a@contoso.test"), to("b@outside.test"))
            await relay.hint(mixed, relay.accept(to("c@contoso.test")))
            await other.received(1)
            assert [b"c@contoso.test" in mail.rcpts[0] for mail in other.mails] == [True]
            assert relay.store.read(mixed.id) is not None


@in_loop
async def test_what_has_stopped_leaves_for_the_next_route_and_new_mail_follows(tmp_path: Path) -> None:
    async with Sink(Script(replies={b".": BLOCKED})) as sink, Sink() as other:
        first = route_to(sink.port, "first", connections=1, spill="second")
        async with relaying(tmp_path, first, route_to(other.port, "second")) as relay:
            await relay.hint(*[relay.accept(to()) for _ in range(600)])
            await relay.until_empty()
            assert len(other.mails) == 600 and not sink.mails
            [opened] = relay.told(trace.BreakerOpened)
            assert (opened.scope, opened.key) == ("route", "first")
            await relay.hint(relay.accept(to()))
            await other.received(601)
            assert sink.commands.count(b".") <= 2


@in_loop
async def test_two_routes_in_a_row_may_be_full(tmp_path: Path) -> None:
    clock = FakeClock()
    async with Sink() as sink:
        routes = [
            route_to(sink.port, "first", limits=(TWO,), spill="second"),
            route_to(sink.port, "second", limits=(TWO,), spill="third"),
            route_to(sink.port, "third"),
        ]
        async with relaying(tmp_path, *routes, clock=clock, later=Timers(clock)) as relay:
            await relay.hint(*[relay.accept(to()) for _ in range(9)])
            await relay.until_empty()
            by = [event.route for event in relay.told(trace.Delivered)]
            assert [by.count(name) for name in ("first", "second", "third")] == [2, 2, 5]


@in_loop
async def test_a_campaign_that_keeps_its_pace_does_not_spill(tmp_path: Path) -> None:
    """There is room; it is kept for what is more urgent."""
    clock = FakeClock()
    ten = Limit(Scope.ROUTE, Unit.MESSAGES, 10, 60)
    async with Sink() as sink, Sink() as other:
        first = route_to(sink.port, "first", limits=(ten,), spill="second")
        async with relaying(
            tmp_path, first, route_to(other.port, "second"), clock=clock, later=Timers(clock)
        ) as relay:
            await relay.hint(*[relay.accept(to(), priority=Priority.BULK) for _ in range(8)])
            await sink.received(1)
            await asyncio.sleep(0.1)
            assert len(sink.mails) < 8 and not other.mails
