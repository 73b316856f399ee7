"""Limits at work: never more than allowed, whatever happens, and all of it delivered in the end."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from relay.budget.limit import DAY_S, LIFTED, Limit, Scope, Unit
from relay.budget.row import OPEN, number
from relay.deliver.settlement import Committer as Submits
from relay.errors import SpoolError
from relay.message.envelope import Recipient
from relay.route.route import Credentials, Route
from relay.route.tenant import Tenant
from relay.spool.change import Budget, Change, Status
from relay.spool.commit import Committer
from relay.spool.memory import MemoryStore
from relay.spool.options import SpoolOptions
from relay.trace.event import Delivered, Held, QueueDepth, RecordQuarantined, Throttled
from tests.deliver.relaying import Relaying, relaying, route_to, states
from tests.fakes.clock import FakeClock
from tests.fakes.loop import in_loop
from tests.fakes.sink import Script, Sink
from tests.fakes.timers import Timers

LOGIN = Credentials("orders@contoso.test", "secret")
THREE = Limit(Scope.ROUTE, Unit.MESSAGES, 3, 60)
ONE = Limit(Scope.ROUTE, Unit.MESSAGES, 1, 60)


def limited(port: int, *limits: Limit, name: str = "smarthost", **changes: object) -> Route:
    # As in route_to: names are checked at run time.
    return route_to(port, name, limits=limits or (THREE,), **changes)  # type: ignore[arg-type]


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


@in_loop
async def test_a_restart_keeps_the_window(tmp_path: Path) -> None:
    clock, store = FakeClock(), MemoryStore(SpoolOptions(tmp_path))
    async with Sink() as sink:
        async with relaying(tmp_path, limited(sink.port), clock=clock, store=store) as relay:
            await relay.hint(*[relay.accept() for _ in range(4)])
            await sink.received(3)
        assert [key for key in store.budget_records if key.endswith(number(OPEN))] == []
        clock.advance(50)
        clock.set_wall(clock.now() + 86_400)
        timers = Timers(clock)
        async with relaying(tmp_path, limited(sink.port), clock=clock, store=store, later=timers) as relay:
            await quiet(relay)
            assert len(sink.mails) == 3
            timers.pass_by(10.1)
            await relay.until_empty()
    assert len(sink.mails) == 4


@in_loop
async def test_what_was_under_way_at_a_crash_counts_from_the_restart_on(tmp_path: Path) -> None:
    clock = FakeClock()
    script = Script(stall_at={b"RCPT"})
    async with Sink(script) as sink, relaying(tmp_path, limited(sink.port, ONE), clock=clock) as relay:
        await relay.send()
        await sink.heard(b"RCPT")
        left = MemoryStore(SpoolOptions(tmp_path))
        left.budget_records |= relay.store.budget_records
        script.stall_at.clear()
        for task in list(sink._tasks):
            task.cancel()
        await relay.until(lambda: not sink.open_connections)
    clock.advance(30)
    timers = Timers(clock)
    async with (
        Sink() as sink,
        relaying(tmp_path, limited(sink.port, ONE), clock=clock, store=left, later=timers) as relay,
    ):
        await relay.send()
        await quiet(relay)
        timers.pass_by(59.9)
        await quiet(relay)
        assert sink.mails == []
        timers.pass_by(0.2)
        await relay.until_empty()


class Slow:
    """Keeps rows of the budgets from the disk until told; fails as often as told first."""

    def __init__(self, committer: Committer) -> None:
        self._committer = committer
        self.failures = 0
        self.is_open = False
        self.waiting: list[tuple[Change, Callable[[SpoolError | None], None]]] = []

    def submit(self, change: Change, done: Callable[[SpoolError | None], None]) -> None:
        if isinstance(change, Budget) and not self.is_open:
            self.waiting.append((change, done))
        else:
            self._committer.submit(change, done)

    def fail(self) -> None:
        ((_, done),) = self.waiting
        self.waiting = []
        done(SpoolError("the disk failed"))

    def open(self) -> None:
        self.is_open = True
        waiting, self.waiting = self.waiting, []
        for change, done in waiting:
            self._committer.submit(change, done)


@in_loop
async def test_nothing_leaves_before_its_charge_is_on_the_disk(tmp_path: Path) -> None:
    made: list[Slow] = []

    def slow(committer: Committer) -> Submits:
        made.append(Slow(committer))
        return made[0]

    async with Sink() as sink, relaying(
        tmp_path, limited(sink.port), committing=slow, settle_retry_s=0.05
    ) as relay:  # fmt: skip
        await relay.hint(relay.accept(), relay.accept())
        await relay.until(lambda: made[0].waiting)
        await quiet(relay)
        assert not any(line.startswith(b"MAIL") for line in sink.commands)
        made[0].fail()
        await relay.until(lambda: made[0].waiting)
        await quiet(relay)
        assert not any(line.startswith(b"MAIL") for line in sink.commands)
        made[0].open()
        await relay.until_empty()
    assert len(sink.mails) == 2


@in_loop
async def test_a_connection_lost_while_a_charge_is_written_gives_the_mail_back_uncounted(
    tmp_path: Path,
) -> None:
    made: list[Slow] = []

    def slow(committer: Committer) -> Submits:
        made.append(Slow(committer))
        return made[0]

    async with Sink() as sink:
        route = limited(sink.port, ONE)
        async with relaying(tmp_path, route, committing=slow, lane_backoff_first_s=0.01) as relay:
            mail = await relay.send()
            await relay.until(lambda: made[0].waiting)
            for task in list(sink._tasks):
                task.cancel()
            await relay.until(lambda: sink.connections == 2)
            made[0].open()
            await relay.until_empty()
            (delivered,) = relay.told(Delivered)
            assert delivered.attempts == 1 and states(relay, mail.id) == []


@in_loop
async def test_a_mail_whose_recipients_were_all_refused_is_not_counted(tmp_path: Path) -> None:
    script = Script(once={b"RCPT": b"550 5.1.1 nobody"})
    async with Sink(script) as sink, relaying(tmp_path, limited(sink.port, ONE, connections=1)) as relay:
        refused = relay.accept()
        await relay.hint(refused, relay.accept())
        await sink.received(1)
        await relay.until(lambda: relay.told(Delivered))
        assert states(relay, refused.id) == [Status.HELD]


@in_loop
async def test_a_mail_whose_connection_was_lost_before_its_content_is_not_counted(tmp_path: Path) -> None:
    script = Script(hang_up_at={b"DATA"})
    async with (
        Sink(script) as sink,
        relaying(tmp_path, limited(sink.port, ONE), lane_backoff_first_s=0.01) as relay,
    ):
        await relay.send()
        await relay.until_empty()
        assert sink.connections == 2


@in_loop
async def test_a_mail_that_may_have_arrived_is_counted(tmp_path: Path) -> None:
    clock = FakeClock()
    timers = Timers(clock)
    script = Script(once={b".": b"432 4.3.2 slow down"})
    async with Sink(script) as sink, relaying(
        tmp_path, limited(sink.port, ONE, retry_first_s=1.0), clock=clock, later=timers
    ) as relay:  # fmt: skip
        await relay.send()
        await relay.until(lambda: any(line == b"." for line in sink.commands) or relay.store.state_rows)
        timers.pass_by(30)
        await quiet(relay)
        assert sink.mails == []
        timers.pass_by(31)
        await relay.until_empty()


@in_loop
async def test_refused_recipients_are_given_back(tmp_path: Path) -> None:
    limit = Limit(Scope.ROUTE, Unit.RECIPIENTS, 3, 60)
    script = Script(once={b"RCPT TO:<x@": b"550 5.1.1 nobody", b"RCPT TO:<y@": b"550 5.1.1 nobody"})
    async with Sink(script) as sink, relaying(tmp_path, limited(sink.port, limit)) as relay:
        await relay.hint(
            relay.accept("x@c.test", "y@c.test", "z@c.test"), relay.accept("a@c.test", "b@c.test")
        )
        await sink.received(2)
    assert [len(mail.rcpts) for mail in sink.mails] == [1, 2]


@in_loop
async def test_a_mail_for_more_recipients_than_a_limit_allows_goes_in_parts(tmp_path: Path) -> None:
    clock = FakeClock()
    timers = Timers(clock)
    limit = Limit(Scope.ROUTE, Unit.RECIPIENTS, 2, 60)
    async with Sink() as sink, relaying(
        tmp_path, limited(sink.port, limit), clock=clock, later=timers
    ) as relay:  # fmt: skip
        await relay.send(*[f"{n}@c.test" for n in range(5)])
        for so_far in (1, 2, 3):
            await sink.received(so_far)
            await quiet(relay)
            assert len(sink.mails) == so_far
            timers.pass_by(60.1)
        await relay.until_empty()
    assert [len(mail.rcpts) for mail in sink.mails] == [2, 2, 1]
    assert {event.attempts for event in relay.told(Delivered)} == {1}


@in_loop
async def test_a_mail_of_more_bytes_than_a_limit_allows_is_held_with_the_reason(tmp_path: Path) -> None:
    limit = Limit(Scope.ROUTE, Unit.BYTES, 100, 60)
    async with Sink() as sink, relaying(tmp_path, limited(sink.port, limit)) as relay:
        large = relay.accept(content=b"Subject: x\r\n\r\n" + b"x" * 200 + b"\r\n")
        await relay.hint(large, relay.accept())
        await sink.received(1)
        (held,) = relay.told(Held)
        assert held.reply == (
            "552 5.3.4 not sent: 216 bytes are more than the limit of 100 bytes in 60 s of the route smarthost"
        )
        assert states(relay, large.id) == [Status.HELD]


@in_loop
async def test_mail_to_the_outside_that_waits_lets_the_rest_past_and_keeps_its_order(tmp_path: Path) -> None:
    clock = FakeClock()
    timers = Timers(clock)
    limit = Limit(Scope.TENANT, Unit.EXTERNAL_RECIPIENTS, 2, DAY_S)
    inside = Tenant(("contoso.test",))
    async with Sink() as sink, relaying(
        tmp_path, limited(sink.port, limit, connections=1), clock=clock, later=timers, tenant=inside
    ) as relay:  # fmt: skip
        outside = [relay.accept(f"{n}@outside.test") for n in range(300)]
        await relay.hint(*outside, *[relay.accept(f"{n}@contoso.test") for n in range(3)])
        await sink.received(5)
        await quiet(relay)
        assert [mail.rcpts[0].split(b"<")[1] for mail in sink.mails] == [
            b"0@outside.test>", b"1@outside.test>", b"0@contoso.test>", b"1@contoso.test>", b"2@contoso.test>",
        ]  # fmt: skip
        await relay.until(lambda: relay.told(QueueDepth)[-1].ready == 298)
        assert relay.told(QueueDepth)[-1].throttled == 1
        for day in (1, 2, 3):
            timers.pass_by(DAY_S + 60)
            await sink.received(5 + 2 * day)
            await quiet(relay)
            assert len(sink.mails) == 5 + 2 * day
        assert [mail.rcpts[0].split(b"<")[1] for mail in sink.mails[5:]] == [
            b"%d@outside.test>" % n for n in range(2, 8)
        ]


@in_loop
async def test_two_routes_of_one_mailbox_share_its_limit_and_another_route_is_free(tmp_path: Path) -> None:
    limit = Limit(Scope.MAILBOX, Unit.MESSAGES, 5, 60)
    script = Script(login=(LOGIN.username, LOGIN.password), extensions=("PIPELINING", "AUTH PLAIN"))
    async with Sink(script) as sink, Sink() as other:
        routes = [limited(sink.port, limit, name=name, credentials=LOGIN) for name in ("a", "b")]
        free = route_to(other.port, "free")
        async with relaying(tmp_path, *routes, free) as relay:
            to = [Recipient(b"x@c.test", name) for name in ("a", "b", "free")]
            await relay.hint(*[relay.accept(recipient) for _ in range(50) for recipient in to])
            await other.received(50)
            await sink.received(5)
            await quiet(relay)
            assert len(sink.mails) == 5
            assert relay.told(QueueDepth)[-1].throttled == 2


@in_loop
async def test_a_wait_is_told_once_and_the_lane_says_why(tmp_path: Path) -> None:
    clock = FakeClock()
    async with Sink() as sink, relaying(tmp_path, limited(sink.port), clock=clock) as relay:
        await relay.hint(*[relay.accept() for _ in range(9)])
        await sink.received(3)
        await relay.until(lambda: relay.told(Throttled))
        await quiet(relay)
        (told,) = relay.told(Throttled)
        assert told.limit == "the limit of 3 messages in 60 s of the route smarthost"
        assert told.until == pytest.approx(clock.now() + 60)
        assert relay.deliverer is not None
        (lane,) = relay.deliverer._queue.lanes
        assert relay.deliverer._reason(lane) == f"{told.limit}; mail goes on at 2027-01-15 08:01:00 UTC"


@in_loop
async def test_a_damaged_row_counts_everything_as_used_up_for_one_window(tmp_path: Path) -> None:
    clock, store = FakeClock(), MemoryStore(SpoolOptions(tmp_path))
    store.apply([Budget(((b"\x01 whatever this was", b"12345678"),))])
    (key,) = store.budget_records
    store.budget_records[key] = b"!" + store.budget_records[key][1:]
    timers = Timers(clock)
    async with Sink() as sink:
        async with relaying(tmp_path, limited(sink.port), clock=clock, store=store, later=timers) as relay:
            (told,) = relay.told(RecordQuarantined)
            assert (told.table, told.id) == ("budget", key.hex()) and "used up" in told.reason
            await relay.hint(*[relay.accept() for _ in range(3)])
            timers.pass_by(59.9)
            await quiet(relay)
            assert sink.mails == []
        assert key not in store.budget_records
        async with relaying(tmp_path, limited(sink.port), clock=clock, store=store, later=timers) as relay:
            assert relay.told(RecordQuarantined) == []
            timers.pass_by(0.2)
            await relay.until_empty()


@in_loop
async def test_a_row_nobody_can_have_written_is_as_good_as_damaged(tmp_path: Path) -> None:
    clock, store = FakeClock(), MemoryStore(SpoolOptions(tmp_path))
    store.apply([Budget(((b"\x01\xff\xff", b"x"), (b"\x00boot", b"short")))])
    async with Sink() as sink, relaying(tmp_path, limited(sink.port), clock=clock, store=store) as relay:
        await relay.send()
        await quiet(relay)
        assert len(relay.told(RecordQuarantined)) == 2 and sink.mails == []


@in_loop
async def test_a_ramp_lets_each_day_its_number_go_over_restarts_and_is_lifted(tmp_path: Path) -> None:
    day = 20_833
    clock, store = FakeClock(day * DAY_S + 43_200.0), MemoryStore(SpoolOptions(tmp_path))
    ramp = Limit(Scope.ROUTE, Unit.MESSAGES, LIFTED, DAY_S, True, ramp=(2, 3), ramp_day=day)
    async with Sink() as sink:
        # At noon, six in the evening, midnight to the second, and again; the next process begins at noon.
        for expected in ((2, 2, 5), (5, 5, 12)):
            timers = Timers(clock)
            async with relaying(
                tmp_path, limited(sink.port, ramp), clock=clock, store=store, later=timers
            ) as relay:
                if not sink.mails:
                    await relay.hint(*[relay.accept() for _ in range(12)])
                for count, wait_s in zip(expected, (21_600, 21_599, 0), strict=True):
                    await sink.received(count)
                    await quiet(relay)
                    assert len(sink.mails) == count
                    timers.pass_by(wait_s)
                    await quiet(relay)
                    assert len(sink.mails) == count
                    if wait_s == 21_599:
                        timers.pass_by(1.1)
            clock.advance(43_199.9)
