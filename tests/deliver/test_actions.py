"""Orders for mails that wait, that are held, that are under way; and what a restart makes of them."""

# ruff: noqa: SIM117 (the next hop stands in the outer "with", the relay in the inner one)

from collections.abc import Callable
from pathlib import Path

import pytest

from relay.deliver.actions import Count
from relay.deliver.order import Cancel, Hold, Order, Prioritize, Rebind, Release, Retry
from relay.errors import SpoolError, SpoolFull
from relay.message.envelope import Recipient
from relay.message.priority import Priority
from relay.message.queue_id import format_id
from relay.route.tenant import Tenant
from relay.spool.change import Change, RecipientState, Record, Several, Status
from relay.spool.commit import Committer
from relay.spool.entry import Mail
from relay.spool.memory import MemoryStore
from relay.spool.options import SpoolOptions
from relay.spool.selection import Selection
from relay.trace import event as trace
from tests.deliver.relaying import Relaying, relaying, route_to, states
from tests.fakes.loop import in_loop
from tests.fakes.sink import Script, Sink

BY = "fritz"
NOBODY = 1
"""A port of the loopback at which nobody listens."""
ALL = Selection(all=True)


async def give(relay: Relaying, order: Order, selection: Selection = ALL) -> Count:
    """Carry an order out."""
    assert relay.deliverer is not None
    return await relay.deliverer.actions.carry_out(order, selection)


def waiting(relay: Relaying) -> tuple[int, int, int]:
    """Ready, deferred and held jobs, as the metrics count them."""
    assert relay.deliverer is not None
    depth = relay.deliverer._queue.depth()
    return depth.ready, depth.deferred, depth.held


def mail_of(relay: Relaying, id: int) -> Mail:
    [mail] = relay.store.mails(id - 1, 1)
    assert isinstance(mail, Mail) and mail.id == id
    return mail


@in_loop
async def test_mail_that_is_held_stays_and_goes_when_it_is_released(tmp_path: Path) -> None:
    async with Sink(Script(replies={b"MAIL": b"451 4.3.0 not now"})) as sink:
        async with relaying(tmp_path, route_to(sink.port, retry_first_s=3600)) as relay:
            mails = [await relay.send(f"{n}@c.test") for n in range(5)]
            await relay.until(lambda: waiting(relay) == (0, 5, 0))
            held = await give(relay, Hold(by=BY, reason="the list was wrong"))
            assert (held.selected, held.changed, held.recipients, held.under_way) == (5, 5, 5, 0)
            assert waiting(relay) == (0, 0, 5)
            [state] = mail_of(relay, mails[0].id).states
            assert state.status is Status.HELD
            assert state.reply == "held by fritz: the list was wrong; before: 451 4.3.0 not now"
            sink.script.replies.clear()
            assert (await give(relay, Release(by=BY))).changed == 5
            await sink.received(5)
            await relay.until_empty()
            assert waiting(relay) == (0, 0, 0)
            assert {(each.do, each.by) for each in relay.told(trace.Steered)} == {
                ("hold", BY), ("release", BY)
            }  # fmt: skip


@in_loop
async def test_an_order_given_twice_changes_nothing_the_second_time(tmp_path: Path) -> None:
    async with relaying(tmp_path, route_to(NOBODY)) as relay:
        await relay.send("b@c.test")
        for order in (Hold(by=BY), Release(by=BY), Prioritize(by=BY, priority=Priority.BULK)):
            first, second = await give(relay, order), await give(relay, order)
            assert (first.changed, first.unchanged) == (1, 0), order
            assert (second.changed, second.unchanged) == (0, 1), order


@in_loop
async def test_mail_that_a_permanent_refusal_holds_can_be_released(tmp_path: Path) -> None:
    async with Sink(Script(once={b"RCPT": b"550 5.1.1 nobody here"})) as sink:
        async with relaying(tmp_path, route_to(sink.port)) as relay:
            mail = await relay.send("b@c.test")
            await relay.until(lambda: states(relay, mail.id) == [Status.HELD])
            await relay.until(lambda: waiting(relay) == (0, 0, 1))
            await give(relay, Release(by=BY), Selection(ids=(format_id(mail.id),)))
            await sink.received(1)
            await relay.until_empty()


@in_loop
async def test_what_was_put_off_is_tried_at_once(tmp_path: Path) -> None:
    async with Sink(Script(once={b"MAIL": b"451 4.3.0 later"})) as sink:
        async with relaying(tmp_path, route_to(sink.port, retry_first_s=3600)) as relay:
            await relay.send("b@c.test")
            await relay.until(lambda: waiting(relay) == (0, 1, 0))
            retried = await give(relay, Retry(by=BY), Selection(status="deferred"))
            assert (retried.selected, retried.changed) == (1, 1)
            await sink.received(1)
            await relay.until_empty()


@in_loop
async def test_what_is_cancelled_leaves_the_spool_and_is_never_sent(tmp_path: Path) -> None:
    async with relaying(tmp_path, route_to(NOBODY)) as relay:
        mail = await relay.send("b@c.test", campaign="May")
        other = await relay.send("b@c.test", campaign="June")
        cancelled = await give(relay, Cancel(by=BY, reason="wrong list"), Selection(campaign="May"))
        assert cancelled.changed == 1
        assert relay.store.read(mail.id) is None and relay.store.read(other.id) is not None
        assert waiting(relay) == (1, 0, 0)
        [event] = relay.told(trace.Steered)
        assert (event.id, event.do, event.recipients) == (format_id(mail.id), "cancel", ("b@c.test",))
        assert event.reason == "wrong list"


@in_loop
async def test_only_the_recipients_that_are_meant_are_cancelled(tmp_path: Path) -> None:
    async with Sink(Script(replies={b"MAIL": b"451 4.3.0 not now"})) as sink:
        async with relaying(tmp_path, route_to(sink.port, retry_first_s=3600)) as relay:
            mail = await relay.send("a@gone.test", "b@c.test", "d@gone.test")
            await relay.until(lambda: waiting(relay) == (0, 1, 0))
            cancelled = await give(relay, Cancel(by=BY), Selection(recipient="gone.test"))
            assert (cancelled.changed, cancelled.recipients) == (1, 2)
            assert states(relay, mail.id) == [Status.CANCELLED, Status.QUEUED, Status.CANCELLED]
            sink.script.replies.clear()
            await give(relay, Retry(by=BY))
            [arrived] = await sink.received(1)
            assert arrived.rcpts == [b"RCPT TO:<b@c.test>"]
            await relay.until_empty()


@in_loop
async def test_mail_takes_the_route_it_is_bound_to(tmp_path: Path) -> None:
    async with Sink() as sink:
        routes = route_to(NOBODY), route_to(sink.port, name="other")
        async with relaying(tmp_path, *routes) as relay:
            mail = await relay.send("b@c.test", "d@c.test")
            bound = await give(relay, Rebind(by=BY, route="other"), Selection(route="smarthost"))
            assert (bound.changed, bound.recipients) == (1, 2)
            [arrived] = await sink.received(1)
            assert len(arrived.rcpts) == 2
            await relay.until_empty()
            assert [each.route for each in relay.told(trace.Delivered)] == ["other"]
            assert mail.routes == ("smarthost",)


@in_loop
async def test_mail_that_the_other_route_may_not_have_stays_where_it_is(tmp_path: Path) -> None:
    other = route_to(NOBODY, name="other", internal_only=True)
    tenant = Tenant(("c.test",))
    async with relaying(tmp_path, route_to(NOBODY), other, tenant=tenant) as relay:
        inside, outside = await relay.send("b@c.test"), await relay.send("b@d.test")
        count = await give(relay, Rebind(by=BY, route="other"))
        assert (count.selected, count.changed, count.unfit) == (2, 1, 1)
        routes = [mail_of(relay, each.id).envelope.recipients[0].route for each in (inside, outside)]
        assert routes == ["other", "smarthost"]


@in_loop
async def test_mail_with_another_priority_goes_first(tmp_path: Path) -> None:
    async with Sink(Script(replies={b"MAIL": b"451 4.3.0 not now"})) as sink:
        async with relaying(tmp_path, route_to(sink.port, retry_first_s=3600, connections=1)) as relay:
            mails = [await relay.send(f"{n}@c.test", priority=Priority.BULK) for n in range(6)]
            await relay.until(lambda: waiting(relay) == (0, 6, 0))
            last = Selection(ids=(format_id(mails[-1].id),))
            await give(relay, Prioritize(by=BY, priority=Priority.HIGH), last)
            assert mail_of(relay, mails[-1].id).envelope.priority is Priority.HIGH
            sink.script.replies.clear()
            await give(relay, Retry(by=BY))
            arrived = await sink.received(6)
            assert arrived[0].rcpts == [b"RCPT TO:<5@c.test>"]
            await relay.until_empty()


# Under way.


@in_loop
async def test_what_is_delivered_before_its_cancelling_holds_is_said_to_be(tmp_path: Path) -> None:
    async with Sink(Script(verdict_delay_s=0.3)) as sink:
        async with relaying(tmp_path, route_to(sink.port)) as relay:
            await relay.send("b@c.test")
            await sink.heard(b"DATA")
            count = await give(relay, Cancel(by=BY))
            assert (count.selected, count.changed, count.under_way) == (1, 0, 1)
            await sink.received(1)
            await relay.until_empty()
            await relay.until(lambda: relay.told(trace.Steered))
            [event] = relay.told(trace.Steered)
            assert (event.do, event.delivered) == ("cancel", 1)
            assert len(sink.mails) == 1


@pytest.mark.parametrize("reply", [b"451 4.3.0 later", b"550 5.7.1 no"])
@in_loop
async def test_what_is_refused_meanwhile_is_cancelled(tmp_path: Path, reply: bytes) -> None:
    async with Sink(Script(verdict_delay_s=0.3, replies={b".": reply})) as sink:
        async with relaying(tmp_path, route_to(sink.port, retry_first_s=0.01)) as relay:
            await relay.send("b@c.test")
            await sink.heard(b"DATA")
            assert (await give(relay, Cancel(by=BY))).under_way == 1
            await relay.until_empty()
            await relay.until(lambda: relay.told(trace.Steered))
            [event] = relay.told(trace.Steered)
            assert (event.do, event.delivered) == ("cancel", 0)
            assert waiting(relay) == (0, 0, 0)
            assert sum(command == b"DATA" for command in sink.commands) == 1


@in_loop
async def test_what_is_put_off_meanwhile_is_held_and_can_be_released(tmp_path: Path) -> None:
    async with Sink(Script(verdict_delay_s=0.3, once={b".": b"451 4.3.0 later"})) as sink:
        async with relaying(tmp_path, route_to(sink.port, retry_first_s=0.01)) as relay:
            mail = await relay.send("b@c.test")
            await sink.heard(b"DATA")
            assert (await give(relay, Hold(by=BY))).under_way == 1
            # On the disk before the outcome is known: a crash would not forget it.
            assert states(relay, mail.id) == [Status.HELD]
            await relay.until(lambda: waiting(relay) == (0, 0, 1))
            [state] = mail_of(relay, mail.id).states
            assert "451 4.3.0 later" in state.reply
            await give(relay, Release(by=BY))
            await relay.until_empty()
            assert len(sink.mails) == 1


@pytest.mark.parametrize(
    ("order", "status"), [(Cancel(by=BY), None), (Hold(by=BY), Status.HELD)], ids=["cancel", "hold"]
)
@in_loop
async def test_an_order_for_mail_under_way_holds_though_the_relay_dies(
    tmp_path: Path, order: Order, status: Status | None
) -> None:
    after = MemoryStore(SpoolOptions(tmp_path / "after"))
    async with Sink(Script(stall_at={b"."})) as sink:
        async with relaying(tmp_path, route_to(sink.port)) as relay:
            mail = await relay.send("b@c.test")
            await sink.heard(b"DATA")
            assert (await give(relay, order)).under_way == 1
            # What a process that starts after a SIGKILL would find.
            after.envelope_rows |= relay.store.envelope_rows
            after.content_rows |= relay.store.content_rows
            after.state_rows |= relay.store.state_rows
            await sink.close()
    async with Sink() as sink, relaying(tmp_path, route_to(sink.port), store=after) as relay:
        found = [state.status for state in after.state(mail.id) or ()]
        assert found == ([] if status is None else [status])
        assert waiting(relay) == (0, 0, 0 if status is None else 1)
        assert sink.connections == 0


@in_loop
async def test_orders_for_one_mail_under_way_hold_in_their_order(tmp_path: Path) -> None:
    async with Sink(Script(verdict_delay_s=0.3, once={b".": b"451 4.3.0 later"})) as sink:
        routes = route_to(sink.port, retry_first_s=3600), route_to(sink.port, name="other")
        async with relaying(tmp_path, *routes) as relay:
            mail = await relay.send("b@c.test")
            await sink.heard(b"DATA")
            for order in (Hold(by=BY), Rebind(by=BY, route="other"), Release(by=BY)):
                assert (await give(relay, order)).under_way == 1
            await relay.until_empty()
            assert [each.route for each in relay.told(trace.Delivered)] == ["other"]
            assert [each.do for each in relay.told(trace.Steered)] == ["hold", "rebind", "release"]
            assert format_id(mail.id) == relay.told(trace.Delivered)[0].id


@in_loop
async def test_of_a_mail_on_two_routes_what_still_waits_does_not_begin(tmp_path: Path) -> None:
    async with Sink(Script(verdict_delay_s=0.4)) as slow:
        routes = route_to(slow.port), route_to(NOBODY, name="other")
        async with relaying(tmp_path, *routes) as relay:
            mail = await relay.send("b@c.test", Recipient(b"d@c.test", "other"))
            await slow.heard(b"DATA")
            assert (await give(relay, Cancel(by=BY))).under_way == 1
            assert waiting(relay)[0] == 0
            await slow.received(1)
            await relay.until_empty()
            await relay.until(lambda: relay.told(trace.Steered))
            assert mail.id not in relay.deliverer._queue  # type: ignore[union-attr]
            assert relay.told(trace.Steered)[0].delivered == 1


@in_loop
async def test_mail_under_way_that_was_not_tried_after_all_is_cancelled(tmp_path: Path) -> None:
    async with Sink(Script(stall_at={b"DATA"})) as sink:
        async with relaying(tmp_path, route_to(sink.port)) as relay:
            await relay.send("b@c.test")
            await sink.heard(b"DATA")
            assert (await give(relay, Cancel(by=BY))).under_way == 1
            await sink.close()
            await relay.until_empty()
            await relay.until(lambda: waiting(relay) == (0, 0, 0))


# As a whole.


@in_loop
async def test_many_are_acted_on_while_mail_flows(tmp_path: Path) -> None:
    told: list[int] = []
    async with Sink() as sink:
        routes = route_to(NOBODY), route_to(sink.port, name="flowing")
        async with relaying(tmp_path, *routes) as relay:
            stuck = [relay.accept(f"{n}@c.test", campaign="May") for n in range(1000)]
            await relay.hint(*stuck)
            await relay.until(lambda: waiting(relay)[0] == 1000)
            flowing = [relay.accept(Recipient(b"%d@d.test" % n, "flowing")) for n in range(200)]
            await relay.hint(*flowing)
            assert relay.deliverer is not None
            count = await relay.deliverer.actions.carry_out(
                Hold(by=BY), Selection(campaign="May"), lambda count: told.append(count.looked_at)
            )
            assert (count.selected, count.changed, count.cut_short) == (1000, 1000, "")
            assert told[:2] == [500, 1000] and told == sorted(told), "the loop had its turn after each slice"
            await sink.received(200)
            await relay.until(lambda: waiting(relay) == (0, 0, 1000))


@in_loop
async def test_an_order_stops_where_it_is_when_nobody_wants_it_any_more(tmp_path: Path) -> None:
    async with relaying(tmp_path, route_to(NOBODY)) as relay:
        await relay.hint(*(relay.accept(f"{n}@c.test") for n in range(1500)))
        await relay.until(lambda: waiting(relay)[0] == 1500)
        assert relay.deliverer is not None
        answers = iter([True, True, False])
        count = await relay.deliverer.actions.carry_out(Hold(by=BY), ALL, is_wanted=lambda: next(answers))
        assert (count.changed, count.cut_short) == (1000, "the client has gone")
        assert waiting(relay) == (500, 0, 1000)


@in_loop
async def test_mail_that_comes_after_the_order_is_not_meant(tmp_path: Path) -> None:
    async with relaying(tmp_path, route_to(NOBODY)) as relay:
        await relay.hint(relay.accept("b@c.test"))
        await relay.until(lambda: waiting(relay)[0] == 1)
        assert relay.deliverer is not None
        later: list[int] = []

        def told(_: Count) -> None:
            if not later:
                relay.ids._last_ms += 60_000
                later.append(relay.accept("later@c.test").id)

        count = await relay.deliverer.actions.carry_out(Hold(by=BY), ALL, told)
        assert count.looked_at == 1
        assert states(relay, later[0]) == []


class Failing:
    """A committer whose next changes of a kind fail."""

    def __init__(self, committer: Committer) -> None:
        self._committer = committer
        self.fails: tuple[type[object], ...] = ()

    def submit(self, change: Change, done: Callable[[SpoolError | None], None]) -> None:
        if isinstance(change, self.fails):
            self._committer._loop.call_soon(done, SpoolFull("no room"))
        else:
            self._committer.submit(change, done)


@in_loop
async def test_what_the_disk_does_not_take_stays_as_it_was(tmp_path: Path) -> None:
    made: list[Failing] = []

    def committing(committer: Committer) -> Failing:
        made.append(Failing(committer))
        return made[0]

    async with relaying(tmp_path, route_to(NOBODY), committing=committing) as relay:
        mail = await relay.send("b@c.test")
        await relay.until(lambda: waiting(relay)[0] == 1)
        made[0].fails = (Several,)
        for order in (Hold(by=BY), Cancel(by=BY), Prioritize(by=BY, priority=Priority.BULK)):
            count = await give(relay, order)
            assert (count.changed, count.failed, count.trouble) == (0, 1, "no room")
            assert waiting(relay) == (1, 0, 0) and states(relay, mail.id) == []
        assert relay.told(trace.Steered) == []


@in_loop
async def test_a_restart_finds_the_queue_as_the_orders_left_it(tmp_path: Path) -> None:
    store = MemoryStore(SpoolOptions(tmp_path))
    routes = route_to(NOBODY), route_to(NOBODY, name="other")
    async with relaying(tmp_path, *routes, store=store) as relay:
        for n in range(40):
            await relay.send(f"{n}@c{n % 4}.test", Recipient(b"x@d.test", "other"), campaign=f"c{n % 3}")
        await relay.until(lambda: waiting(relay)[0] == 80)
        for order, selection in (
            (Hold(by=BY), Selection(campaign="c0")),
            (Prioritize(by=BY, priority=Priority.BULK), Selection(campaign="c1")),
            (Rebind(by=BY, route="other"), Selection(recipient="c1.test", status="queued")),
            (Cancel(by=BY), Selection(recipient="d.test", campaign="c2")),
            (Release(by=BY), Selection(recipient="c2.test")),
        ):
            assert (await give(relay, order, selection)).changed > 0
        before = shape(relay)
    async with relaying(tmp_path, *routes, store=store) as relay:
        await relay.until(lambda: sum(waiting(relay)) > 0)
        assert shape(relay) == before


def shape(relay: Relaying) -> dict[str, object]:
    """Which jobs stand where, and what is held."""
    assert relay.deliverer is not None
    queue = relay.deliverer._queue
    jobs = [job for id in queue._known for job in queue.jobs(id)]
    return {
        "jobs": sorted((job.id, job.home, job.priority, job.attempts) for job in jobs),
        "held": queue.depth().held,
    }


@in_loop
async def test_a_mail_of_which_some_is_held_counts_as_held_after_a_restart_too(tmp_path: Path) -> None:
    """Nobody is left on the first route but one who is held: no job is made for it, and the second one's end counts."""
    store = MemoryStore(SpoolOptions(tmp_path))
    async with Sink() as sink:
        routes = (route_to(sink.port, "one"), route_to(sink.port, "two"))

        def before(relay: Relaying) -> None:
            mail = relay.accept(Recipient(b"held@c.test", "one"), Recipient(b"waits@c.test", "two"))
            relay.store.apply([Record(mail.id, (RecipientState(Status.HELD), RecipientState()))])

        async with relaying(tmp_path, *routes, store=store, before=before) as relay:
            [mail] = await sink.received(1)
            assert mail.rcpts == [b"RCPT TO:<waits@c.test>"]
            await relay.until(lambda: waiting(relay) == (0, 0, 1))


@in_loop
async def test_what_was_cancelled_under_way_goes_when_a_start_finds_it(tmp_path: Path) -> None:
    def before(relay: Relaying) -> None:
        mail = relay.accept("b@c.test")
        relay.store.apply([Record(mail.id, (RecipientState(Status.CANCELLED, 1, 0.0, "cancelled"),))])

    async with Sink() as sink, relaying(tmp_path, route_to(sink.port), before=before) as relay:
        assert relay.store.scan() == []
        assert waiting(relay) == (0, 0, 0)
        assert sink.connections == 0
