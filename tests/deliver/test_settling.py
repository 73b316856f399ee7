"""Mails whose reply was lost are kept, and settled: by somebody's word, by a rule, once and for good."""

# ruff: noqa: SIM117 (the next hop stands in the outer "with", the relay in the inner one)

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from relay.deliver.order import (
    Arrived,
    Cancel,
    GiveUp,
    Hold,
    NotArrived,
    Order,
    Rebind,
    Release,
    Retry,
)
from relay.deliver.report_options import ReportOptions
from relay.message.envelope import Recipient
from relay.message.queue_id import format_id
from relay.message.uncertain import Then, Uncertain
from relay.spool.change import Status
from relay.spool.memory import MemoryStore
from relay.spool.options import SpoolOptions
from relay.spool.selection import Selection
from relay.trace import event as trace
from tests.deliver.relaying import Relaying, relaying, route_to, states
from tests.deliver.test_actions import BY, NOBODY, give, mail_of, waiting
from tests.deliver.test_report import groups, text
from tests.fakes.clock import FakeClock
from tests.fakes.loop import in_loop
from tests.fakes.sink import Script, Sink

UNCERTAIN = Selection(status="uncertain")
REPORT = ReportOptions("relay.test")


@asynccontextmanager
async def doubting(
    folder: Path, *recipients: str | Recipient, **how: object
) -> AsyncIterator[tuple[Relaying, Sink, int]]:
    """A mail whose connection was cut behind the final dot, and a next hop that takes all that comes now."""
    rule = {key: how.pop(key) for key in ("uncertain_after_s", "uncertain_then") if key in how}
    async with Sink(Script(hang_up_at={b"."})) as sink:
        route = route_to(sink.port, on_uncertain=Uncertain.HOLD, **rule)  # type: ignore[arg-type]
        async with relaying(folder, route, lane_backoff_first_s=0.05, **how) as relay:  # type: ignore[arg-type]
            mail = await relay.send(*(recipients or ("b@c.test",)))
            await relay.until(lambda: Status.UNCERTAIN in states(relay, mail.id))
            await relay.until(lambda: waiting(relay)[2] == 1)
            yield relay, sink, mail.id


@in_loop
async def test_what_arrived_by_somebodys_word_leaves_the_spool_as_delivered(tmp_path: Path) -> None:
    async with doubting(tmp_path) as (relay, sink, id):
        count = await give(relay, Arrived(by=BY, reason="I saw it"), UNCERTAIN)
        assert (count.selected, count.changed, count.recipients) == (1, 1, 1)
        assert not relay.store.scan() and waiting(relay) == (0, 0, 0)
        [delivered] = relay.told(trace.Delivered)
        assert (delivered.id, delivered.recipients, delivered.route) == (
            format_id(id),
            ("b@c.test",),
            "smarthost",
        )
        assert delivered.reply == "its reply was lost; settled as arrived by fritz: I saw it"
        assert delivered.attempts == 1
        [steered] = relay.told(trace.Steered)
        assert (steered.do, steered.by, steered.reason) == ("arrived", BY, "I saw it")
        assert sink.connections == 1 and not sink.mails


@in_loop
async def test_what_did_not_arrive_is_sent_again_at_once(tmp_path: Path) -> None:
    async with doubting(tmp_path) as (relay, sink, _):
        assert (await give(relay, NotArrived(by=BY), UNCERTAIN)).changed == 1
        await sink.received(1)
        await relay.until_empty()
        assert waiting(relay) == (0, 0, 0)
        assert [each.attempts for each in relay.told(trace.Delivered)] == [2]


@pytest.mark.parametrize("order", [Release(by=BY), Retry(by=BY), Hold(by=BY)])
@in_loop
async def test_no_order_for_other_mail_sends_one_that_may_have_arrived(tmp_path: Path, order: Order) -> None:
    async with doubting(tmp_path) as (relay, _, id):
        before = mail_of(relay, id).states
        count = await give(relay, order)
        assert (count.selected, count.changed, count.unchanged) == (1, 0, 1)
        assert mail_of(relay, id).states == before


@in_loop
async def test_one_that_may_have_arrived_can_be_cancelled(tmp_path: Path) -> None:
    async with doubting(tmp_path) as (relay, _, _id):
        assert (await give(relay, Cancel(by=BY))).changed == 1
        assert not relay.store.scan() and not relay.told(trace.Delivered)


@in_loop
async def test_settling_says_nothing_of_mail_that_only_waits(tmp_path: Path) -> None:
    async with relaying(tmp_path, route_to(NOBODY)) as relay:
        mail = await relay.send()
        for order in (Arrived(by=BY), NotArrived(by=BY), GiveUp(by=BY)):
            assert (await give(relay, order)).changed == 0
        assert mail_of(relay, mail.id).states[0].status is Status.QUEUED


@in_loop
async def test_a_word_about_one_loss_says_nothing_of_a_later_one(tmp_path: Path) -> None:
    async with doubting(tmp_path) as (relay, _, id):
        [state] = mail_of(relay, id).states
        assert state.sent_at > 0
        assert (await give(relay, Arrived(by=BY, sent_at=state.sent_at + 1))).changed == 0
        assert (await give(relay, Arrived(by=BY, sent_at=state.sent_at))).changed == 1


@in_loop
async def test_doubt_outlives_the_process_and_nothing_is_sent_meanwhile(tmp_path: Path) -> None:
    store = MemoryStore(SpoolOptions(tmp_path))
    async with doubting(tmp_path, store=store):
        pass
    async with Sink() as sink:
        async with relaying(tmp_path, route_to(sink.port), store=store) as relay:
            assert waiting(relay) == (0, 0, 1)
            assert (await give(relay, NotArrived(by=BY), UNCERTAIN)).changed == 1
            await sink.received(1)
            await relay.until_empty()


@in_loop
async def test_only_recipients_in_doubt_are_settled(tmp_path: Path) -> None:
    async with Sink(Script(hang_up_at={b"."})) as sink:
        doubtful = route_to(sink.port, on_uncertain=Uncertain.HOLD)
        async with relaying(tmp_path, doubtful, route_to(NOBODY, "other")) as relay:
            mail = await relay.send("b@c.test", Recipient(b"d@e.test", "other"))
            await relay.until(lambda: Status.UNCERTAIN in states(relay, mail.id))
            assert states(relay, mail.id) == [Status.UNCERTAIN, Status.QUEUED]
            count = await give(relay, Arrived(by=BY), UNCERTAIN)
            assert count.recipients + count.under_way == 1
            await relay.until(lambda: relay.told(trace.Delivered))
            assert [each.recipients for each in relay.told(trace.Delivered)] == [("b@c.test",)]
            await relay.until(lambda: states(relay, mail.id) == [Status.DELIVERED, Status.QUEUED])


@pytest.mark.parametrize(
    ("then", "status"),
    [(Then.RETRY, None), (Then.ARRIVED, None), (Then.FAIL, None), (None, Status.UNCERTAIN)],
)
@in_loop
async def test_a_rule_settles_when_its_time_has_come_and_not_before(
    tmp_path: Path, then: Then | None, status: Status | None
) -> None:
    clock = FakeClock()
    rule = {} if then is None else {"uncertain_after_s": 7200.0, "uncertain_then": then}
    async with doubting(tmp_path, clock=clock, **rule) as (relay, sink, id):
        assert relay.deliverer is not None
        clock.advance(7199)
        await relay.deliverer.doubts.look()
        assert states(relay, id) == [Status.UNCERTAIN]
        clock.advance(2)
        await relay.deliverer.doubts.look()
        if status is not None:
            assert states(relay, id) == [status]
            return
        if then is Then.RETRY:
            await sink.received(1)
        await relay.until_empty()
        assert len(relay.told(trace.Delivered)) == (then is not Then.FAIL)
        assert len(relay.told(trace.Failed)) == (then is Then.FAIL)
        assert len(sink.mails) == (then is Then.RETRY)
        assert relay.told(trace.Steered)[0].by == "the rule uncertain_then of the route smarthost"


@in_loop
async def test_a_sender_is_told_that_nobody_knows(tmp_path: Path) -> None:
    async with doubting(tmp_path, report=REPORT) as (relay, sink, _):
        count = await give(relay, GiveUp(by=BY), UNCERTAIN)
        assert count.told == 1
        [report] = await sink.received(1)
        [told] = groups(report)
        assert (told["Action"], told["Status"]) == ("failed", "5.4.2")
        assert "may have arrived" in text(report)
        await relay.until_empty()
        assert relay.told(trace.Failed)[0].report == f"told in {relay.told(trace.Reported)[0].id}"


@in_loop
async def test_who_asked_for_it_is_told_that_it_arrived_where_nobody_else_tells_him(
    tmp_path: Path,
) -> None:
    """RFC 3461 section 5.2.2; of a plain server it is not remembered whether it would have told him itself."""
    wanting = Recipient(b"b@c.test", "smarthost", b"SUCCESS")
    async with doubting(tmp_path, wanting, Recipient(b"d@c.test", "smarthost"), report=REPORT) as (
        relay,
        sink,
        _,
    ):
        assert (await give(relay, Arrived(by=BY), UNCERTAIN)).told == 1
        [report] = await sink.received(1)
        assert [told["Action"] for told in groups(report)] == ["relayed"]
        assert groups(report)[0]["Final-Recipient"] == "rfc822; b@c.test"


@in_loop
async def test_who_is_cancelled_with_a_report_is_told_why(tmp_path: Path) -> None:
    async with Sink(Script(replies={b"RCPT TO:<b@": b"450 4.2.1 later"})) as sink:
        async with relaying(tmp_path, route_to(sink.port, retry_first_s=3600), report=REPORT) as relay:
            await relay.send("b@c.test")
            await relay.until(lambda: waiting(relay) == (0, 1, 0))
            cancelled = await give(relay, Cancel(by=BY, reason="the price was wrong", is_told=True))
            assert (cancelled.changed, cancelled.told) == (1, 1)
            [report] = await sink.received(1)
            assert report.rcpts[0].startswith(b"RCPT TO:<a@sender.test>")
            [told] = groups(report)
            assert (told["Action"], told["Status"]) == ("failed", "5.0.0")
            assert "taken the mail back" in text(report) and "the price was wrong" in text(report)
            await relay.until_empty()


@pytest.mark.parametrize("sender", [b"", b"a@sender.test"])
@in_loop
async def test_nobody_is_told_who_does_not_want_to_know_or_may_not_be_told(
    tmp_path: Path, sender: bytes
) -> None:
    async with relaying(tmp_path, route_to(NOBODY), report=REPORT) as relay:
        await relay.send(Recipient(b"b@c.test", "smarthost", b"NEVER" if sender else b""), sender=sender)
        cancelled = await give(relay, Cancel(by=BY, is_told=True))
        assert (cancelled.changed, cancelled.told) == (1, 0)
        assert not relay.store.scan() and not relay.told(trace.Reported)


@in_loop
async def test_a_mail_cancelled_with_a_report_under_way_is_told_of_when_it_comes_back(tmp_path: Path) -> None:
    """What was delivered meanwhile is not in the report."""
    script = Script(replies={b"RCPT TO:<no@": b"450 4.2.1 later"}, verdict_delay_s=0.3)
    async with Sink(script) as sink:
        async with relaying(tmp_path, route_to(sink.port, retry_first_s=3600), report=REPORT) as relay:
            await relay.send("no@c.test", "yes@c.test")
            await sink.heard(b"DATA")
            cancelled = await give(relay, Cancel(by=BY, is_told=True))
            assert (cancelled.under_way, cancelled.changed) == (1, 0)
            _, report = await sink.received(2)
            assert [told["Final-Recipient"] for told in groups(report)] == ["rfc822; no@c.test"]
            await relay.until_empty()
            assert len(relay.told(trace.Reported)) == 1


@in_loop
async def test_a_thousand_cancelled_mails_of_a_sender_become_a_digest_and_not_a_thousand_reports(
    tmp_path: Path,
) -> None:
    few = ReportOptions("relay.test", per_sender_per_hour=3)
    async with relaying(tmp_path, route_to(NOBODY), report=few) as relay:
        for n in range(10):
            await relay.send(f"{n}@c.test")
        await relay.until(lambda: waiting(relay)[0] == 10)
        cancelled = await give(relay, Cancel(by=BY, is_told=True))
        assert (cancelled.changed, cancelled.told) == (10, 3)
        assert len(relay.store.envelopes()) == 3


@in_loop
async def test_a_mail_in_doubt_can_take_another_route(tmp_path: Path) -> None:
    async with doubting(tmp_path) as (relay, _, id):
        assert (await give(relay, Rebind(by=BY, route="other"))).changed == 1
        assert mail_of(relay, id).envelope.recipients[0].route == "other"
        assert mail_of(relay, id).states[0].status is Status.UNCERTAIN
