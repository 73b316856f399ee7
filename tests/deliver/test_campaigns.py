"""Campaigns are counted as their mail comes and goes, over restarts and orders, and foreseen."""

# ruff: noqa: SIM117 (the next hop stands in the outer "with", the relay in the inner one)

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from relay.budget.limit import Limit, Scope, Unit
from relay.deliver.campaigns import CampaignBook
from relay.deliver.deliverer import Deliverer
from relay.deliver.order import Cancel, Hold, Release
from relay.message.priority import Priority
from relay.message.queue_id import format_id
from relay.queue.campaign import CAMPAIGNS_MAX, Campaign
from relay.queue.weights import CampaignWeight
from relay.route.hours import Hours
from relay.spool.entry import Entry
from relay.spool.memory import MemoryStore
from relay.spool.options import SpoolOptions
from relay.spool.selection import Selection
from relay.trace import event as trace
from tests.deliver.relaying import Relaying, relaying, route_to
from tests.fakes.clock import FakeClock
from tests.fakes.loop import in_loop
from tests.fakes.sink import Sink

MAY = Selection(campaign="May")
HOUR = 3_600.0


def book_of(relay: Relaying) -> CampaignBook:
    deliverer = relay.deliverer
    assert isinstance(deliverer, Deliverer)
    return deliverer.campaigns


def may(relay: Relaying) -> Campaign:
    campaign = book_of(relay).campaigns.get("May")
    assert campaign is not None
    return campaign


def accept(relay: Relaying, mails: int, each: int = 1) -> None:
    for number in range(mails):
        names = [f"{number}.{part}@c.test" for part in range(each)]
        relay.accept(*names, campaign="May", priority=Priority.BULK)


@in_loop
async def test_what_came_and_what_became_of_it_is_counted_and_its_end_told(tmp_path: Path) -> None:
    async with Sink() as sink:
        route = route_to(sink.port)
        async with relaying(tmp_path, route, before=lambda relay: accept(relay, 60, 2)) as relay:
            await relay.until_empty()
            await relay.until(lambda: relay.told(trace.CampaignEnded))
            campaign = may(relay)
            assert (campaign.mails, campaign.standing.total, campaign.standing.delivered) == (60, 120, 120)
            assert campaign.is_over and campaign.ended_at
            [ended] = relay.told(trace.CampaignEnded)
            assert (ended.campaign, ended.mails, ended.delivered, ended.failed) == ("May", 60, 120, 0)


@in_loop
async def test_orders_move_its_recipients_and_a_restart_counts_the_same(tmp_path: Path) -> None:
    store = MemoryStore(SpoolOptions(tmp_path))
    # Nobody listens at port 1, so all of it waits.
    async with relaying(tmp_path, route_to(1), store=store, before=lambda relay: accept(relay, 150)) as relay:
        assert relay.deliverer is not None
        campaign = may(relay)
        assert (campaign.mails, campaign.standing.waiting) == (150, 150)
        ids = tuple(entry.queued.id for entry in store.scan() if isinstance(entry, Entry))
        some = Selection(ids=tuple(format_id(id) for id in ids[:40]))
        await relay.deliverer.actions.carry_out(Hold(by="me", reason=""), some)
        assert (campaign.standing.waiting, campaign.standing.held) == (110, 40)
        few = Selection(ids=tuple(format_id(id) for id in ids[:30]))
        await relay.deliverer.actions.carry_out(Cancel(by="me", reason=""), few)
        assert (campaign.standing.held, campaign.standing.cancelled) == (10, 30)
    async with relaying(tmp_path, route_to(1), store=store) as relay:
        assert relay.deliverer is not None
        campaign = may(relay)
        standing = campaign.standing
        assert (campaign.mails, standing.waiting, standing.held, standing.cancelled) == (150, 110, 10, 30)
        await relay.deliverer.actions.carry_out(Release(by="me", reason=""), MAY)
        assert (standing.waiting, standing.held) == (120, 0)
        await relay.deliverer.actions.carry_out(Cancel(by="me", reason=""), MAY)
        assert (standing.waiting, standing.cancelled, campaign.is_over) == (0, 150, True)


@in_loop
async def test_its_end_is_foreseen_by_the_limit_that_holds_it_up(tmp_path: Path) -> None:
    limit = Limit(Scope.ROUTE, Unit.MESSAGES, 60, 3600)
    async with Sink() as sink:
        route = route_to(sink.port, limits=(limit,))
        clock = FakeClock()
        async with relaying(
            tmp_path, route, clock=clock, before=lambda relay: accept(relay, 180), later=lambda s, go: Never()
        ) as relay:
            await relay.until(lambda: may(relay).standing.delivered >= 2)
            campaign = may(relay)
            clock.advance(2.0)
            book_of(relay).foresee(campaign)
            assert campaign.done_at is not None
            # One a minute.
            assert campaign.done_at - clock.now() == pytest.approx(178 * 60, rel=0.02)
            assert campaign.first_done_at == campaign.done_at


@in_loop
async def test_a_campaign_that_takes_turns_with_an_older_one_is_foreseen_so(tmp_path: Path) -> None:
    limit = Limit(Scope.ROUTE, Unit.MESSAGES, 60, 3600)

    def before(relay: Relaying) -> None:
        for number in range(600):
            relay.accept(f"{number}@c.test", campaign="April", account="crm", priority=Priority.BULK)
        accept(relay, 120)

    async with Sink() as sink:
        route, clock = route_to(sink.port, limits=(limit,)), FakeClock()
        async with relaying(
            tmp_path, route, clock=clock, before=before, later=lambda s, go: Never()
        ) as relay:
            await relay.until(lambda: len(sink.mails) >= 2)
            campaign = may(relay)
            clock.advance(2.0)
            book_of(relay).foresee(campaign)
            assert campaign.done_at is not None
            # Every second mail is its own: 240 minutes, not 720.
            assert campaign.done_at - clock.now() == pytest.approx(240 * 60, rel=0.03)


@in_loop
async def test_a_campaign_of_more_weight_is_foreseen_with_its_share(tmp_path: Path) -> None:
    limit = Limit(Scope.ROUTE, Unit.MESSAGES, 60, 3600)

    def before(relay: Relaying) -> None:
        for number in range(600):
            relay.accept(f"{number}@c.test", campaign="April", account="crm", priority=Priority.BULK)
        for number in range(120):
            relay.accept(f"{number}@c.test", campaign="May", account="crm", priority=Priority.BULK)

    async with Sink() as sink:
        route, clock = route_to(sink.port, limits=(limit,)), FakeClock()
        weights = (CampaignWeight("May*", 3),)
        async with relaying(
            tmp_path, route, clock=clock, before=before, later=lambda s, go: Never(), campaign_weights=weights
        ) as relay:
            await relay.until(lambda: len(sink.mails) >= 2)
            campaign = may(relay)
            clock.advance(2.0)
            book_of(relay).foresee(campaign)
            assert campaign.done_at is not None and book_of(relay).weight(campaign) == 3
            # Three of four are its own: 160 minutes.
            assert campaign.done_at - clock.now() == pytest.approx(160 * 60, rel=0.03)


@in_loop
async def test_a_campaign_that_waits_for_its_hours_is_foreseen_in_them_with_all_who_wait(
    tmp_path: Path,
) -> None:
    """At 7:00, hours from 8:00 to 10:00, one a minute: 60 of its own beside 600 of another client."""
    limit = Limit(Scope.ROUTE, Unit.MESSAGES, 60, 3600)
    hours = Hours((0, 1, 2, 3, 4, 5, 6), 8 * 60, 10 * 60, "UTC")
    clock = FakeClock(datetime(2026, 11, 25, 7, tzinfo=UTC).timestamp())

    def before(relay: Relaying) -> None:
        for number in range(600):
            relay.accept(f"{number}@c.test", campaign="April", account="crm", priority=Priority.BULK)
        accept(relay, 120)

    async with Sink() as sink:
        route = route_to(sink.port, limits=(limit,), hours=(hours,))
        async with relaying(
            tmp_path, route, clock=clock, before=before, later=lambda s, go: Never()
        ) as relay:
            assert isinstance(relay.deliverer, Deliverer)
            lanes = relay.deliverer._queue.lanes
            await relay.until(lambda: sum(lane.parked for lane in lanes) == 720)
            campaign = may(relay)
            book_of(relay).foresee(campaign)
            assert campaign.done_at is not None
            # Every second mail is its own: 60 on this day, 60 on the next one until 10:00.
            assert campaign.done_at - clock.now() == pytest.approx(27 * HOUR, abs=4 * 60)
            # Who came last of the campaign waits as long but for a turn, and is told within two more.
            last = max(
                job.id for lane in lanes for siding in lane.sidings.values() for _, _, job in siding._jobs
            )
            explained = relay.deliverer.reasons.of(last)
            assert explained is not None and explained.reasons[0].leaves_at is not None
            assert explained.reasons[0].leaves_at - clock.now() == pytest.approx(27 * HOUR, abs=6 * 60)
        assert sink.mails == []


class Never:
    def cancel(self) -> None: ...


@in_loop
async def test_a_name_for_each_mail_fills_no_memory(tmp_path: Path) -> None:
    def fill(relay: Relaying) -> None:
        for number in range(CAMPAIGNS_MAX + 40):
            relay.accept(campaign=f"c{number}")

    async with relaying(tmp_path, route_to(1), before=fill) as relay:
        campaigns = book_of(relay).campaigns
        assert len(list(campaigns)) == CAMPAIGNS_MAX
        assert campaigns.passed_over == 40
        await asyncio.sleep(0)


@in_loop
async def test_one_that_is_done_makes_room_for_one_that_comes(tmp_path: Path) -> None:
    async with Sink() as sink:
        async with relaying(tmp_path, route_to(sink.port)) as relay:
            for number in range(CAMPAIGNS_MAX + 3):
                await relay.send(campaign=f"c{number}")
                await relay.until_empty()
            names = [campaign.name for campaign in book_of(relay).campaigns]
            assert len(names) == CAMPAIGNS_MAX
            assert names[-1] == f"c{CAMPAIGNS_MAX + 2}" and "c0" not in names
