"""What somebody has suspended waits, loses nothing by it, and goes on: by itself, when told, after a restart."""

# ruff: noqa: SIM117 (the next hop stands in the outer "with", the relay in the inner one)

import asyncio
from pathlib import Path

import pytest

from relay.deliver.suspended import TooMany
from relay.errors import SpoolError
from relay.message.envelope import Recipient
from relay.queue.suspension import SUSPENSIONS_MAX, Kind, Suspension
from relay.route.route import Credentials, MailboxRule
from relay.spool.memory import MemoryStore
from relay.spool.options import SpoolOptions
from relay.trace import event as trace
from tests.deliver.relaying import Relaying, relaying, route_to, states
from tests.fakes.clock import FakeClock
from tests.fakes.loop import in_loop
from tests.fakes.sink import Sink
from tests.fakes.timers import Timers


async def suspend(relay: Relaying, kind: Kind, name: str, until: float | None = None) -> None:
    """Returns when the disk has it."""
    assert relay.deliverer is not None
    written: asyncio.Future[SpoolError | None] = asyncio.get_running_loop().create_future()
    suspension = Suspension(kind.value, name, "", "fritz", relay.clock.now(), until)
    relay.deliverer.suspended.suspend(suspension, written.set_result)
    assert await written is None


async def resume(relay: Relaying, kind: Kind, name: str) -> None:
    assert relay.deliverer is not None
    written: asyncio.Future[SpoolError | None] = asyncio.get_running_loop().create_future()
    assert relay.deliverer.suspended.resume(kind, name, "fritz", written.set_result)
    assert await written is None


def ready(relay: Relaying) -> int:
    assert relay.deliverer is not None
    return relay.deliverer._queue.depth().ready


CASES = [
    (Kind.ROUTE, "smarthost"),
    (Kind.CAMPAIGN, "May"),
    (Kind.SENDER_DOMAIN, "sender.test"),
    (Kind.RECIPIENT_DOMAIN, "c.test"),
]


@pytest.mark.parametrize(("kind", "name"), CASES)
@in_loop
async def test_what_is_suspended_waits_without_an_attempt_until_it_is_resumed(
    tmp_path: Path, kind: Kind, name: str
) -> None:
    async with Sink() as sink, relaying(tmp_path, route_to(sink.port)) as relay:
        await suspend(relay, kind, name)
        mails = [await relay.send("b@C.test", campaign="May") for _ in range(20)]
        await relay.until(lambda: ready(relay) == 20)
        await asyncio.sleep(0.1)
        assert sink.mails == [] and all(states(relay, mail.id) == [] for mail in mails)
        await resume(relay, kind, name)
        await sink.received(20)
        await relay.until_empty()
        assert {event.attempts for event in relay.told(trace.Delivered)} == {1}


@pytest.mark.parametrize(("kind", "name"), CASES[1:])
@in_loop
async def test_other_mail_goes_past_what_is_suspended(tmp_path: Path, kind: Kind, name: str) -> None:
    async with Sink() as sink, relaying(tmp_path, route_to(sink.port, connections=1)) as relay:
        await suspend(relay, kind, name)
        for _ in range(300):
            await relay.send("b@c.test", campaign="May")
        await relay.send("other@d.test", sender=b"x@other.test")
        [mail] = await sink.received(1)
        assert mail.rcpts == [b"RCPT TO:<other@d.test>"]
        assert ready(relay) == 300


@in_loop
async def test_of_a_mail_to_several_domains_the_others_go(tmp_path: Path) -> None:
    async with Sink() as sink:
        async with relaying(tmp_path, route_to(sink.port), recipients_max=2) as relay:
            await suspend(relay, Kind.RECIPIENT_DOMAIN, "c.test")
            recipients = [f"{n}@c.test" for n in range(5)] + ["x@d.test", "y@d.test", "z@d.test"]
            mail = await relay.send(*recipients)
            await sink.received(2)
            await relay.until(lambda: sum(s.name == "DELIVERED" for s in states(relay, mail.id)) == 3)
            await relay.until(lambda: ready(relay) == 1)
            await resume(relay, Kind.RECIPIENT_DOMAIN, "c.test")
            await relay.until_empty()
            assert sorted(rcpt for each in sink.mails for rcpt in each.rcpts) == sorted(
                b"RCPT TO:<%s>" % each.encode() for each in recipients
            )


@in_loop
async def test_a_mailbox_of_a_pool_is_suspended_and_the_other_sends(tmp_path: Path) -> None:
    async with Sink() as sink:
        sink.script.login = None
        a, b = Credentials("a@x.test", "p"), Credentials("b@x.test", "p")
        route = route_to(sink.port, mailboxes=(a, b), mailbox_rules=(MailboxRule(("a@x.test", "b@x.test")),))
        async with relaying(tmp_path, route) as relay:
            await suspend(relay, Kind.MAILBOX, "a@x.test")
            assert relay.deliverer is not None
            lane = relay.deliverer._queue.lane("smarthost", b"s@x.test")
            first, second = relay.deliverer._pools_for(lane)
            assert "suspended" in first.reason and second.reason == ""
            assert relay.deliverer._desk.next_work(first.gate, 0, first) is None


@in_loop
async def test_a_suspension_ends_by_itself(tmp_path: Path) -> None:
    clock = FakeClock()
    timers = Timers(clock)
    async with Sink() as sink, relaying(tmp_path, route_to(sink.port), clock=clock, later=timers) as relay:
        await suspend(relay, Kind.ROUTE, "smarthost", clock.now() + 3600)
        await relay.send("b@c.test")
        await relay.until(lambda: ready(relay) == 1)
        timers.pass_by(3599)
        await asyncio.sleep(0.05)
        assert sink.mails == []
        timers.pass_by(2)
        await relay.until_empty()
        [event] = relay.told(trace.Resumed)
        assert (event.by, round(event.seconds)) == ("", 3601)
        await relay.until(lambda: not relay.store.budget_records)


@in_loop
async def test_a_restart_forgets_no_suspension_and_ends_those_whose_time_has_come(tmp_path: Path) -> None:
    clock, store = FakeClock(), MemoryStore(SpoolOptions(tmp_path))
    async with relaying(tmp_path, route_to(1), clock=clock, store=store) as relay:
        await suspend(relay, Kind.ROUTE, "smarthost")
        await suspend(relay, Kind.CAMPAIGN, "May", clock.now() + 60)
    clock.advance(61)
    async with relaying(tmp_path, route_to(1), clock=clock, store=store) as relay:
        assert relay.deliverer is not None
        assert [each.name for each in relay.deliverer.suspended] == ["smarthost"]
        await relay.until(lambda: len(store.budget_records) == 1)


@in_loop
async def test_mail_is_never_too_old_for_a_suspension(tmp_path: Path) -> None:
    clock = FakeClock()
    async with Sink() as sink:
        async with relaying(tmp_path, route_to(sink.port, expire_s=3600), clock=clock) as relay:
            await suspend(relay, Kind.ROUTE, "smarthost")
            mail = await relay.send("b@c.test")
            await relay.until(lambda: ready(relay) == 1)
            clock.advance(7200)
            await asyncio.sleep(0.1)
            assert states(relay, mail.id) == []
            await resume(relay, Kind.ROUTE, "smarthost")
            await relay.until_empty()


@in_loop
async def test_mail_of_a_suspended_route_takes_no_other_one(tmp_path: Path) -> None:
    async with Sink() as sink:
        routes = route_to(1, spill="other"), route_to(sink.port, name="other")
        async with relaying(tmp_path, *routes) as relay:
            await suspend(relay, Kind.ROUTE, "smarthost")
            await relay.send("b@c.test")
            await relay.send(Recipient(b"d@d.test", "other"))
            await sink.received(1)
            assert ready(relay) == 1 and relay.told(trace.Spilled) == []


@in_loop
async def test_there_are_not_more_than_a_person_can_read(tmp_path: Path) -> None:
    async with relaying(tmp_path, route_to(1)) as relay:
        for n in range(SUSPENSIONS_MAX):
            assert relay.deliverer is not None
            relay.deliverer.suspended.suspend(
                Suspension("campaign", str(n), "", "fritz", 0.0), lambda _: None
            )
        with pytest.raises(TooMany):
            await suspend(relay, Kind.CAMPAIGN, "one more")
        await suspend(relay, Kind.CAMPAIGN, "7")


@in_loop
async def test_a_row_that_cannot_be_read_counts_as_resumed_and_is_told(tmp_path: Path) -> None:
    store = MemoryStore(SpoolOptions(tmp_path))
    async with relaying(tmp_path, route_to(1), store=store) as relay:
        await suspend(relay, Kind.CAMPAIGN, "May")
    [key] = store.budget_records
    from relay.spool.codec import seal

    store.budget_records[key] = seal(key, b"\xc1")
    async with relaying(tmp_path, route_to(1), store=store) as relay:
        assert relay.deliverer is not None and not relay.deliverer.suspended
        assert len(relay.told(trace.RecordQuarantined)) == 1
        await relay.until(lambda: not store.budget_records)
