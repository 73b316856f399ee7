"""Connections that fail cost connections, not mail."""

# ruff: noqa: SIM117 (the next hop stands in the outer "with", the relay in the inner one)

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from relay.deliver.connection import Connection
from relay.deliver.work import Work
from relay.errors import SpoolError
from relay.message.envelope import Recipient
from relay.message.uncertain import Uncertain
from relay.smtp.client import Client
from relay.smtp.reply import Reply
from relay.spool.change import Status
from relay.trace import event as trace
from tests.deliver.relaying import relaying, route_to, states
from tests.fakes.clock import FakeClock
from tests.fakes.loop import in_loop
from tests.fakes.sink import Script, Sink, closed_port


@in_loop
async def test_a_dead_host_holds_no_mail_and_counts_no_attempt(tmp_path: Path) -> None:
    async with closed_port() as port, relaying(tmp_path, route_to(port), lane_backoff_first_s=0.1) as relay:
        mail = await relay.send()
        await relay.until(lambda: len(relay.told(trace.ConnectionFailed)) == 2)
        assert relay.store.state(mail.id) is None
        sink = Sink()
        sink.port = port
        async with sink:
            await relay.until_empty()
    assert relay.told(trace.Delivered)[0].attempts == 1


@pytest.mark.parametrize("code", [b"451 4.2.1", b"550 5.1.1"])
@in_loop
async def test_a_reply_that_is_no_utf_8_settles_mail_as_any_other(tmp_path: Path, code: bytes) -> None:
    reply = code + b" Empf\xe4nger\x1b[31m unbekannt"
    async with Sink(Script(replies={b"RCPT": reply})) as sink:
        async with relaying(tmp_path, route_to(sink.port)) as relay:
            mail = await relay.send(sender=b"")
            await relay.until(lambda: relay.store.state(mail.id) is not None)
            told = [event.reply for event in relay.told(trace.Deferred)]
            told += [event.reply for event in relay.told(trace.Held)]
            assert told == [code.decode() + " Empf\\xe4nger�[31m unbekannt"]


@in_loop
async def test_a_stuck_lane_holds_mail_that_comes_of_age(tmp_path: Path) -> None:
    async with closed_port() as port, relaying(tmp_path, route_to(port, expire_s=0.2)) as relay:
        mail = await relay.send()
        await relay.until(lambda: states(relay, mail.id) == [Status.HELD])
        assert "cannot connect" in relay.told(trace.Held)[0].reply


@in_loop
async def test_one_stuck_lane_does_not_hold_another_up(tmp_path: Path) -> None:
    async with Sink(Script(stall_at={b"EHLO"})) as stuck, Sink() as free:
        async with relaying(tmp_path, route_to(stuck.port, "stuck"), route_to(free.port, "free")) as relay:
            await relay.hint(*(relay.accept(Recipient(b"1@c.test", "stuck")) for _ in range(100)))
            await relay.send(Recipient(b"2@c.test", "free"))
            await free.received(1)
            assert stuck.connections == 1, "one tries alone as long as nothing is known"


@in_loop
async def test_the_next_host_is_tried_when_the_first_is_dead(tmp_path: Path) -> None:
    async with Sink() as sink:
        # The whole of 127/8 is this machine, but the sink listens on 127.0.0.1 only.
        route = route_to(sink.port, hosts=("127.0.0.99", "127.0.0.1"))
        async with relaying(tmp_path, route) as relay:
            await relay.send()
            await relay.until_empty()
            [event] = relay.told(trace.ConnectionFailed)
            assert event.host == f"127.0.0.99:{sink.port}" and "127.0.0.1" in event.reason


@in_loop
async def test_an_unknown_host_is_a_fault_that_holds_no_mail(tmp_path: Path) -> None:
    async with relaying(tmp_path, route_to(25, host="no-such-host.invalid")) as relay:
        mail = await relay.send()
        await relay.until(lambda: relay.told(trace.ConnectionFailed))
        assert "no-such-host.invalid" in relay.told(trace.ConnectionFailed)[0].reason
        assert relay.store.state(mail.id) is None


@in_loop
async def test_a_route_that_is_gone_keeps_its_mail(tmp_path: Path) -> None:
    async with relaying(tmp_path) as relay:
        mail = await relay.send(Recipient(b"1@c.test", "former"))
        await relay.until(lambda: relay.told(trace.ConnectionFailed))
        assert "former" in relay.told(trace.ConnectionFailed)[0].reason
        assert relay.store.state(mail.id) is None and relay.store.read(mail.id) is not None


@in_loop
async def test_a_connection_that_dies_before_the_content_costs_nothing(tmp_path: Path) -> None:
    async with Sink(Script(hang_up_at={b"RCPT TO:<2"})) as sink:
        async with relaying(tmp_path, route_to(sink.port, connections=1), lane_backoff_first_s=0.1) as relay:
            await relay.hint(relay.accept("1@c.test"), relay.accept("2@c.test"))
            await relay.until_empty()
        assert len(sink.mails) == 2
        assert not relay.told(trace.Deferred) and not relay.told(trace.Uncertain)


@in_loop
async def test_a_mail_that_ends_every_connection_is_not_tried_for_ever(tmp_path: Path) -> None:
    async with Sink(Script(replies={b"RCPT TO:<bad": b"421 4.3.2 I crash"})) as sink:
        async with relaying(tmp_path, route_to(sink.port), lane_backoff_first_s=0.01) as relay:
            mail = await relay.send("bad@c.test")
            await relay.until(lambda: relay.told(trace.Deferred))
            # The event is told when the outcome is known, the state is there when it is committed.
            await relay.until(lambda: relay.store.state(mail.id) is not None)
            assert states(relay, mail.id) == [Status.QUEUED]
            assert sink.connections == 4


@in_loop
async def test_a_connection_that_dies_behind_the_dot_is_uncertain_and_tried_again(tmp_path: Path) -> None:
    async with Sink(Script(hang_up_at={b"."})) as sink:
        route = route_to(sink.port, retry_first_s=0.1)
        async with relaying(tmp_path, route, lane_backoff_first_s=0.05) as relay:
            await relay.send()
            await relay.until_empty()
        assert len(relay.told(trace.Uncertain)) == 1
        assert [event.attempts for event in relay.told(trace.Delivered)] == [2]


@pytest.mark.parametrize(
    ("of_mail", "of_route", "is_held"),
    [
        (None, Uncertain.RETRY, False),
        (None, Uncertain.HOLD, True),
        (Uncertain.HOLD, Uncertain.RETRY, True),
        (Uncertain.RETRY, Uncertain.HOLD, False),
    ],
)
@in_loop
async def test_a_mail_that_may_have_arrived_is_sent_twice_or_never_as_it_wants(
    tmp_path: Path, of_mail: Uncertain | None, of_route: Uncertain, is_held: bool
) -> None:
    async with Sink(Script(hang_up_at={b"."})) as sink:
        route = route_to(sink.port, retry_first_s=0.05, on_uncertain=of_route)
        async with relaying(tmp_path, route, lane_backoff_first_s=0.05) as relay:
            mail = await relay.send(uncertain=of_mail)
            await relay.until(lambda: relay.told(trace.Held) or relay.told(trace.Delivered))
            [told] = relay.told(trace.Uncertain)
            assert told.decision == ("hold" if is_held else "retry")
            if is_held:
                [held] = relay.told(trace.Held)
                assert held.reply.startswith("451 4.4.2 no reply: ")
                await relay.until(lambda: states(relay, mail.id) == [Status.UNCERTAIN])
                assert sink.connections == 1


@in_loop
async def test_421_between_mails_only_costs_a_new_connection(tmp_path: Path) -> None:
    async with Sink(Script(hang_up_after_mails=3)) as sink:
        async with relaying(tmp_path, route_to(sink.port, connections=2)) as relay:
            await relay.hint(*(relay.accept() for _ in range(20)))
            await relay.until_empty()
        assert len(sink.mails) == 20
        assert not relay.told(trace.Deferred) and not relay.told(trace.Uncertain)


@in_loop
async def test_silence_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    async with Sink(Script(stall_at={b"DATA"})) as sink:
        route = route_to(sink.port, command_timeout_s=0.1)
        async with relaying(tmp_path, route, losses_max=0) as relay:
            await relay.send()
            await relay.until(lambda: relay.told(trace.Deferred))
            assert "no answer" in relay.told(trace.Deferred)[0].reply


@in_loop
async def test_silence_behind_the_dot_has_its_own_bound(tmp_path: Path) -> None:
    async with Sink(Script(stall_at={b"."})) as sink:
        route = route_to(sink.port, data_timeout_s=0.1)
        async with relaying(tmp_path, route) as relay:
            await relay.send()
            await relay.until(lambda: relay.told(trace.Uncertain))


@in_loop
async def test_garbage_ends_the_connection(tmp_path: Path) -> None:
    async with Sink(Script(once={b"MAIL": b"what do you mean?"})) as sink:
        async with relaying(tmp_path, route_to(sink.port), lane_backoff_first_s=0.05) as relay:
            await relay.send()
            await relay.until_empty()
            assert sink.connections == 2


@in_loop
async def test_a_refused_session_pauses_the_lane(tmp_path: Path) -> None:
    async with Sink(Script(greeting=b"554 5.7.1 not you")) as sink:
        async with relaying(tmp_path, route_to(sink.port)) as relay:
            mail = await relay.send()
            await relay.until(lambda: relay.told(trace.ConnectionFailed))
            assert "not you" in relay.told(trace.ConnectionFailed)[0].reason
            assert relay.store.state(mail.id) is None


@in_loop
async def test_replies_that_come_before_anybody_asks_for_them_are_kept(tmp_path: Path) -> None:
    connection = Connection(Client(b"relay.test"), route_to(1), "h.test", FakeClock(), NoOwner())
    for text in (b"220 hello\r\n", b"250 PIPELINING\r\n421 4.3.2 but not for long\r\n"):
        connection.get_buffer(-1)[: len(text)] = text
        connection.buffer_updated(len(text))
    await connection.open(None, "h.test")
    assert not connection.is_open


class NoOwner:
    """Lends nothing and is told nothing."""

    def next_work(self, connection: Connection) -> Work | None:
        return None

    def content(self, work: Work, index: int) -> bytes:
        raise AssertionError(work)

    def completed(self, connection: Connection, work: Work, replies: Sequence[Reply]) -> None:
        raise AssertionError(work)

    def became_idle(self, connection: Connection) -> None:
        raise AssertionError(connection)

    def damaged(self, work: Work, error: SpoolError) -> None:
        raise AssertionError(work)

    def when_durable(self, work: Work, go: Callable[[], None]) -> None:
        raise AssertionError(work)

    def lost(self, connection: Connection, works: Sequence[Work], reason: str) -> None:
        assert not works
