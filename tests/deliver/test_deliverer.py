"""The deliverer as a whole, against a sink that does what it is told."""

# ruff: noqa: SIM117 (the next hop stands in the outer "with", the relay in the inner one)

import asyncio
import stat
from pathlib import Path

import pytest

from relay.message.envelope import Recipient
from relay.route.route import Credentials, TlsMode
from relay.smtp.reply import Reply
from relay.spool.change import RecipientState, Status
from relay.trace import event as trace
from tests.deliver.relaying import CONTENT, Relaying, relaying, route_to
from tests.fakes.loop import in_loop
from tests.fakes.sink import Script, Sink, closed_port


def states(relay: Relaying, id: int) -> list[Status]:
    return [state.status for state in relay.store.state(id) or ()]


# Mail goes out.


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


# Refusals.


@in_loop
async def test_a_permanent_refusal_is_held_with_its_reply(tmp_path: Path) -> None:
    async with Sink(Script(replies={b"RCPT": b"550 5.1.1 No such user"})) as sink:
        async with relaying(tmp_path, route_to(sink.port)) as relay:
            mail = await relay.send()
            await relay.until(lambda: relay.store.state(mail.id))
            [state] = relay.store.state(mail.id) or ()
            assert state == RecipientState(Status.HELD, 1, 0.0, "550 5.1.1 No such user")
            assert relay.told(trace.Held)[0].reply == "550 5.1.1 No such user"
            await relay.until(lambda: any(d.held == 1 for d in relay.told(trace.QueueDepth)))


@in_loop
async def test_a_transient_refusal_is_tried_again(tmp_path: Path) -> None:
    async with Sink(Script(once={b"RCPT": b"450 4.2.1 Later"})) as sink:
        async with relaying(tmp_path, route_to(sink.port, retry_first_s=0.1)) as relay:
            await relay.send()
            await relay.until_empty()
        assert [event.attempts for event in relay.told(trace.Deferred)] == [1]
        assert [event.attempts for event in relay.told(trace.Delivered)] == [2]


@in_loop
async def test_each_recipient_has_its_own_end(tmp_path: Path) -> None:
    script = Script(replies={b"RCPT TO:<no": b"550 5.1.1 no", b"RCPT TO:<later": b"450 4.2.1 later"})
    async with Sink(script) as sink, relaying(tmp_path, route_to(sink.port)) as relay:
        mail = await relay.send("yes@c.test", "no@c.test", "later@c.test")
        await relay.until(lambda: relay.store.state(mail.id))
        assert states(relay, mail.id) == [Status.DELIVERED, Status.HELD, Status.QUEUED]
        assert len(sink.mails) == 1


@in_loop
async def test_an_old_mail_is_held_instead_of_deferred(tmp_path: Path) -> None:
    async with Sink(Script(replies={b".": b"451 4.3.0 Never mind"})) as sink:
        async with relaying(tmp_path, route_to(sink.port, expire_s=3600)) as relay:
            mail = await relay.send(age_s=4000)
            await relay.until(lambda: states(relay, mail.id) == [Status.HELD])
            assert not relay.told(trace.Deferred)


@in_loop
async def test_what_the_next_hop_cannot_take_is_held_without_a_try(tmp_path: Path) -> None:
    async with Sink(Script(extensions=("PIPELINING",))) as sink:
        async with relaying(tmp_path, route_to(sink.port)) as relay:
            mail = await relay.send("ä@c.test", is_utf8=True)
            await relay.until(lambda: states(relay, mail.id) == [Status.HELD])
            assert "SMTPUTF8" in relay.told(trace.Held)[0].reply
        assert not any(line.startswith(b"MAIL") for line in sink.commands)


# Trouble with connections.


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


# Login.


@pytest.mark.parametrize("mechanisms", ["AUTH PLAIN", "AUTH LOGIN"])
@in_loop
async def test_it_logs_in(tmp_path: Path, mechanisms: str) -> None:
    async with Sink(Script(extensions=("PIPELINING", mechanisms), login=("user", "secret"))) as sink:
        async with relaying(
            tmp_path, route_to(sink.port, credentials=Credentials("user", "secret"))
        ) as relay:
            await relay.send()
            await relay.until_empty()


@in_loop
async def test_a_refused_login_stops_the_lane_and_holds_no_mail(tmp_path: Path) -> None:
    async with Sink(Script(login=("user", "secret"))) as sink:
        async with relaying(tmp_path, route_to(sink.port, credentials=Credentials("user", "wrong"))) as relay:
            await relay.hint(*(relay.accept() for _ in range(10)))
            await relay.until(lambda: relay.told(trace.ConnectionFailed))
            await asyncio.sleep(0.1)
            [event] = relay.told(trace.ConnectionFailed)
            assert event.level == "error" and "refused the login" in event.reason
            assert sink.connections == 1, "an account locks on many bad logins"
            assert len(relay.store.scan()) == 10


@in_loop
async def test_a_next_hop_that_wants_a_login_we_do_not_have_holds_no_mail(tmp_path: Path) -> None:
    async with (
        Sink(Script(login=("user", "secret"))) as sink,
        relaying(tmp_path, route_to(sink.port)) as relay,
    ):
        mail = await relay.send()
        await relay.until(lambda: relay.told(trace.ConnectionFailed))
        assert "530" in relay.told(trace.ConnectionFailed)[0].reason
        assert relay.store.state(mail.id) is None


@in_loop
async def test_a_password_is_not_sent_without_tls(tmp_path: Path) -> None:
    async with Sink(Script(login=("user", "secret"))) as sink:
        route = route_to(sink.port, tls=TlsMode.OPPORTUNISTIC, credentials=Credentials("user", "secret"))
        async with relaying(tmp_path, route) as relay:
            await relay.send()
            await relay.until(lambda: relay.told(trace.ConnectionFailed))
        assert not any(line.startswith(b"AUTH") for line in sink.commands)


# Hand-over and start.


@in_loop
async def test_the_queue_is_rebuilt_from_the_spool(tmp_path: Path) -> None:
    def fill(relay: Relaying) -> None:
        for _ in range(25):
            relay.accept()

    async with (
        Sink() as sink,
        relaying(tmp_path, route_to(sink.port), before=fill, rebuild_slice=10) as relay,
    ):
        await relay.until_empty()
        [event] = relay.told(trace.QueueRebuilt)
        assert (event.queued, event.held, event.damaged) == (25, 0, 0)
        assert len(sink.mails) == 25


@in_loop
async def test_after_a_restart_the_states_are_known(tmp_path: Path) -> None:
    script = Script(replies={b"RCPT TO:<no": b"550 5.1.1 no", b"RCPT TO:<later": b"450 4.2.1 later"})
    async with Sink(script) as sink:
        route = route_to(sink.port, retry_first_s=0.2)
        async with relaying(tmp_path, route) as relay:
            await relay.send("yes@c.test", "no@c.test", "later@c.test")
            await relay.send("no@c.test")
            await relay.until(lambda: len(relay.told(trace.Held)) == 2)
        script.replies.clear()
        async with relaying(tmp_path, route, store=relay.store) as again:
            [event] = again.told(trace.QueueRebuilt)
            assert (event.queued, event.held) == (1, 1)
            await sink.received(2)
            await again.until(lambda: again.told(trace.Delivered))
            assert again.told(trace.Delivered)[0].recipients == ("later@c.test",)
            assert again.told(trace.Delivered)[0].attempts == 2


@in_loop
async def test_a_hint_that_comes_twice_delivers_once(tmp_path: Path) -> None:
    async with Sink(Script(verdict_delay_s=0.05)) as sink, relaying(tmp_path, route_to(sink.port)) as relay:
        mail = await relay.send()
        await relay.hint(mail, mail)
        await relay.until_empty()
        await relay.hint(mail)
        await asyncio.sleep(0.05)
        assert len(sink.mails) == 1


@in_loop
async def test_a_hint_for_a_mail_that_is_not_there_does_nothing(tmp_path: Path) -> None:
    async with Sink() as sink, relaying(tmp_path, route_to(sink.port)) as relay:
        ghost = relay.accept()
        relay.store.quarantine(ghost.id, "test")
        await relay.hint(ghost)
        await relay.send()
        await relay.until_empty()
        assert len(sink.mails) == 1


@in_loop
async def test_mail_of_a_receiver_that_died_before_its_hint_is_found(tmp_path: Path) -> None:
    async with Sink() as sink, relaying(tmp_path, route_to(sink.port)) as relay:
        await relay.send()
        await relay.until_empty()
        relay.accept("lost@c.test")
        await relay.die_as_receiver()
        mails = await sink.received(2)
        assert mails[1].rcpts == [b"RCPT TO:<lost@c.test>"]


@in_loop
async def test_a_receiver_that_comes_and_goes_loses_nothing(tmp_path: Path) -> None:
    async with Sink() as sink, relaying(tmp_path, route_to(sink.port), rebuild_slice=3) as relay:
        for n in range(20):
            await relay.hint(*(relay.accept(f"{n}@c.test") for _ in range(n % 3)))
            for _ in range(n % 4):
                relay.accept(f"{n}.lost@c.test")
            await relay.die_as_receiver()
        await relay.until_empty()
        assert len(sink.mails) == sum(n % 3 + n % 4 for n in range(20))


@in_loop
async def test_a_malformed_frame_ends_the_connection_and_nothing_else(tmp_path: Path) -> None:
    async with Sink() as sink, relaying(tmp_path, route_to(sink.port)) as relay:
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "handover"))
        writer.write(b"\0\0\0\2\xff\xff")
        assert await reader.read() == b""
        writer.close()
        await relay.send()
        await relay.until_empty()
        assert len(sink.mails) == 1


@in_loop
async def test_the_hand_over_socket_is_for_this_user_only(tmp_path: Path) -> None:
    async with relaying(tmp_path):
        assert stat.S_IMODE((tmp_path / "handover").stat().st_mode) == 0o600
    assert not (tmp_path / "handover").exists()


# The end.


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


def test_a_synthetic_reply_reads_like_one_of_a_server() -> None:
    assert str(Reply(451, "4.4.2", "no reply: x")) == "451 4.4.2 no reply: x"
