"""The deliverer as a whole, against a sink that does what it is told: mail goes out, and the end."""

# ruff: noqa: SIM117 (the next hop stands in the outer "with", the relay in the inner one)

import asyncio
from pathlib import Path

import pytest

from relay.message.envelope import Recipient
from relay.spool.change import Status
from relay.trace import event as trace
from tests.deliver.relaying import CONTENT, relaying, route_to, states
from tests.fakes.loop import in_loop
from tests.fakes.sink import Script, Sink, closed_port


@in_loop
async def test_a_mail_arrives_as_it_was_accepted(tmp_path: Path) -> None:
    async with Sink() as sink, relaying(tmp_path, route_to(sink.port)) as relay:
        await relay.send("b@c.test")
        [mail] = await sink.received(1)
        await relay.until_empty()
    assert mail.content == CONTENT
    assert mail.mail == b"MAIL FROM:<a@sender.test> SIZE=%d" % len(CONTENT)
    assert mail.rcpts == [b"RCPT TO:<b@c.test>"]
    [event] = relay.told(trace.Delivered)
    assert event.recipients == ("b@c.test",) and event.reply == "250 2.0.0 Ok: queued as 1"


@pytest.mark.parametrize("use_bdat", [False, True])
@pytest.mark.parametrize("extensions", [("SIZE", "8BITMIME"), ("PIPELINING", "SIZE", "8BITMIME", "CHUNKING")])
@in_loop
async def test_many_mails_arrive_once_each(
    tmp_path: Path, use_bdat: bool, extensions: tuple[str, ...]
) -> None:
    async with Sink(Script(extensions=extensions)) as sink:
        async with relaying(tmp_path, route_to(sink.port, use_bdat=use_bdat)) as relay:
            await relay.hint(
                *(relay.accept(f"{n}@c.test", content=b"Subject: %d\r\n\r\n.\r\n" % n) for n in range(300))
            )
            await sink.received(300)
            await relay.until_empty()
        subjects = sorted(int(mail.content.split()[1]) for mail in sink.mails)
        assert subjects == list(range(300))
        assert sink.peak_connections <= 4, "the route's cap"
        assert all(mail.content.endswith(b"\r\n\r\n.\r\n") for mail in sink.mails)


@pytest.mark.parametrize("use_bdat", [False, True])
@in_loop
async def test_a_large_mail_flows_record_by_record(tmp_path: Path, use_bdat: bool) -> None:
    records = [b"Subject: large\r\n\r\n", *(b"%07d.\r\n" % n * 26_000 for n in range(40))]
    async with Sink() as sink, relaying(tmp_path, route_to(sink.port, use_bdat=use_bdat)) as relay:
        await relay.hint(relay.accept("b@c.test", content=records), relay.accept("d@c.test"))
        await sink.received(2)
        await relay.until_empty()
        assert {mail.content for mail in sink.mails} == {b"".join(records), CONTENT}


@in_loop
async def test_connections_are_reused_and_closed_when_they_are_worn(tmp_path: Path) -> None:
    async with Sink() as sink:
        route = route_to(sink.port, connections=1, mails_per_connection=10)
        async with relaying(tmp_path, route) as relay:
            await relay.hint(*(relay.accept() for _ in range(30)))
            await relay.until_empty()
            assert sink.connections == 3
            assert [c.mails for c in relay.told(trace.ConnectionClosed)][:2] == [10, 10]
        assert sink.commands.count(b"QUIT") == 3


@in_loop
async def test_an_idle_connection_is_closed(tmp_path: Path) -> None:
    async with Sink() as sink, relaying(tmp_path, route_to(sink.port, connection_idle_s=0.05)) as relay:
        await relay.send()
        await sink.heard(b"QUIT")
        await relay.until(lambda: relay.told(trace.ConnectionClosed))
        assert relay.told(trace.ConnectionClosed)[0].reason == "idle"


@in_loop
async def test_more_recipients_than_one_transaction_takes_go_in_several(tmp_path: Path) -> None:
    async with Sink() as sink, relaying(tmp_path, route_to(sink.port), recipients_max=2) as relay:
        await relay.send(*(f"{n}@c.test" for n in range(5)))
        await relay.until_empty()
        assert [len(mail.rcpts) for mail in sink.mails] == [2, 2, 1]


@in_loop
async def test_too_many_recipients_means_the_rest_at_once(tmp_path: Path) -> None:
    script = Script(replies={b"RCPT TO:<3": b"452 4.5.3 Too many recipients"})
    async with Sink(script) as sink, relaying(tmp_path, route_to(sink.port)) as relay:
        await relay.send("1@c.test", "2@c.test", "3@c.test")
        await sink.received(1)
        script.replies.clear()
        await relay.until_empty()
        assert [len(mail.rcpts) for mail in sink.mails] == [2, 1]
        assert not relay.told(trace.Deferred)


@in_loop
async def test_a_mail_of_two_routes_goes_out_on_both(tmp_path: Path) -> None:
    async with Sink() as one, Sink() as two:
        routes = (route_to(one.port, "one"), route_to(two.port, "two"))
        async with relaying(tmp_path, *routes) as relay:
            mail = await relay.send(
                Recipient(b"1@c.test", "one"), Recipient(b"2@c.test", "two"), Recipient(b"3@c.test", "one")
            )
            await relay.until_empty()
            assert relay.deliverer is not None and relay.store.read(mail.id) is None
        assert one.mails[0].rcpts == [b"RCPT TO:<1@c.test>", b"RCPT TO:<3@c.test>"]
        assert two.mails[0].rcpts == [b"RCPT TO:<2@c.test>"]


@in_loop
async def test_one_route_that_holds_does_not_forget_what_the_other_did(tmp_path: Path) -> None:
    async with Sink(Script(replies={b"RCPT": b"550 5.1.1 no"})) as one, Sink() as two:
        async with relaying(tmp_path, route_to(one.port, "one"), route_to(two.port, "two")) as relay:
            mail = await relay.send(Recipient(b"1@c.test", "one"), Recipient(b"2@c.test", "two"))
            await relay.until(lambda: states(relay, mail.id) == [Status.HELD, Status.DELIVERED])


@in_loop
async def test_a_drain_lets_mail_in_flight_end(tmp_path: Path) -> None:
    async with Sink(Script(verdict_delay_s=0.1)) as sink:
        async with relaying(tmp_path, route_to(sink.port, connections=1)) as relay:
            await relay.hint(*(relay.accept() for _ in range(5)))
            await sink.heard(b".")
            assert relay.deliverer is not None
            await relay.deliverer.drain(5.0)
            await relay.deliverer.wait()
            left = len(relay.store.scan())
            assert left == 5 - len(sink.mails) and 3 <= left <= 4
            assert not relay.told(trace.Uncertain)


@in_loop
async def test_a_drain_is_bounded(tmp_path: Path) -> None:
    async with Sink(Script(stall_at={b"."})) as sink, relaying(tmp_path, route_to(sink.port)) as relay:
        await relay.send()
        await sink.heard(b".")
        assert relay.deliverer is not None
        async with asyncio.timeout(2):
            await relay.deliverer.drain(0.1)
        assert len(relay.store.scan()) == 1


@in_loop
async def test_the_queue_is_sampled(tmp_path: Path) -> None:
    async with closed_port() as port, relaying(tmp_path, route_to(port)) as relay:
        await relay.send(age_s=0)
        await relay.until(lambda: any(depth.ready == 1 for depth in relay.told(trace.QueueDepth)))
        assert relay.told(trace.QueueDepth)[-1].oldest_seconds < 5
