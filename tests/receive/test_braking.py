"""Brakes at a listener: what a client sees of them, over a real socket, while the clock stands or moves as the test says."""

import asyncio
from base64 import b64encode

import pytest

from relay.receive.brake_options import BrakeOptions
from relay.receive.options import Auth, Limits, ListenerOptions
from relay.trace.event import ClientBraked, SessionRefused
from tests.fakes.clients import clients
from tests.fakes.clock import FakeClock
from tests.receive.harness import Client, House, house, run, until

CLEAR = ListenerOptions("test", auth=Auth.REQUIRED, auth_without_tls=True, xclient_networks=("127.0.0.1/32",))
OPEN = ListenerOptions("test")
BRAKES = BrakeOptions(login_failures=4, refused_recipients=4, connections_per_minute=5, delay_max_s=10.0)


async def login(client: Client, password: bytes, name: bytes = b"erp") -> None:
    client.writer.write(b"AUTH PLAIN " + b64encode(b"\0" + name + b"\0" + password) + b"\r\n")


async def greeted(h: House) -> Client:
    client = await Client.connect(h.port)
    assert (await client.reply()).startswith(b"220 ")
    assert (await client.say(b"EHLO c\r\n")).startswith(b"250-")
    return client


async def is_silent(client: Client) -> bool:
    """Nothing comes, although the loop has had time."""
    line = asyncio.ensure_future(client.reader.readexactly(1))
    await asyncio.wait((line,), timeout=0.1)
    if not line.done():
        line.cancel()
        await asyncio.wait((line,))
        return True
    return False


def test_a_wrong_password_is_answered_late_and_what_is_pipelined_behind_it_waits() -> None:
    async def main() -> None:
        clock = FakeClock()
        async with house(listener=CLEAR, clients=clients(), clock=clock, brakes=BRAKES) as h:
            client = await greeted(h)
            await login(client, b"wrong 1")
            assert (await client.reply()).startswith(b"535 5.7.8")
            await login(client, b"wrong 2")
            client.writer.write(b"NOOP\r\n")
            # A quarter of the limit is free; the second of four is a third of the way: 3.3 s.
            await until(lambda: len(h.events) >= 2)
            assert await is_silent(client)
            clock.advance(2.0)
            h.receiver.sweep()
            assert await is_silent(client)
            clock.advance(2.0)
            h.receiver.sweep()
            assert (await client.reply()).startswith(b"535 5.7.8")
            assert (await client.reply()).startswith(b"250 2.0.0")
            await client.close()

    run(main)


def test_who_guesses_is_told_421_and_not_served_until_the_ban_ends() -> None:
    async def main() -> None:
        clock = FakeClock()
        brakes = BrakeOptions(login_failures=4, delay_max_s=0.0)
        async with house(listener=CLEAR, clients=clients(), clock=clock, brakes=brakes) as h:
            other = await greeted(h)
            guesser = await greeted(h)
            for number in range(3):
                await login(guesser, b"wrong %d" % number)
                assert (await guesser.reply()).startswith(b"535 5.7.8")
            await login(guesser, b"wrong again")
            assert (await guesser.reply()).startswith(b"421 4.7.0 ")
            assert await guesser.rest() == b""
            # Sessions that are there already log in no more, not even with the right password.
            await login(other, b"sesame")
            assert (await other.reply()).startswith(b"421 4.7.0 ")
            late = await Client.connect(h.port)
            assert (await late.reply()).startswith(b"421 4.7.0 ")
            assert [e for e in h.events if isinstance(e, ClientBraked)] == [
                ClientBraked("127.0.0.1", "test", "logins", 600.0)
            ]
            assert {e.level for e in h.events if isinstance(e, SessionRefused)} == {"debug"}
            clock.advance(601.0)
            h.receiver.sweep()
            again = await greeted(h)
            await login(again, b"sesame")
            assert (await again.reply()).startswith(b"235 2.7.0")
            for each in (guesser, other, late, again):
                await each.close()

    run(main)


def test_a_proxy_names_a_banned_client_and_others_through_it_are_served() -> None:
    async def main() -> None:
        brakes = BrakeOptions(login_failures=4, delay_max_s=0.0)
        listener = ListenerOptions(
            "test", auth=Auth.REQUIRED, auth_without_tls=True, auth_without_tls_networks=("0.0.0.0/0",),
            networks=("0.0.0.0/0",), xclient_networks=("127.0.0.1/32",),
        )  # fmt: skip
        async with house(listener=listener, clients=clients(), clock=FakeClock(), brakes=brakes) as h:
            client = await greeted(h)
            assert (await client.say(b"XCLIENT ADDR=192.0.2.1\r\n")).startswith(b"220 ")
            assert (await client.say(b"EHLO c\r\n")).startswith(b"250-")
            for number in range(4):
                await login(client, b"wrong %d" % number)
                last = await client.reply()
            assert last.startswith(b"421 4.7.0 ")
            second = await greeted(h)
            assert (await second.say(b"XCLIENT ADDR=192.0.2.1\r\n")).startswith(b"421 4.7.0 ")
            third = await greeted(h)
            assert (await third.say(b"XCLIENT ADDR=192.0.2.2\r\n")).startswith(b"220 ")
            for each in (client, second, third):
                await each.close()

    run(main)


def test_who_tries_out_recipients_is_slowed_and_then_told_421() -> None:
    async def main() -> None:
        clock = FakeClock()
        async with house(listener=OPEN, clock=clock, brakes=BRAKES) as h:
            client = await greeted(h)
            assert (await client.say(b"MAIL FROM:<a@example.com>\r\n")).startswith(b"250")
            assert (await client.say(b"RCPT TO:<bob@example.com>\r\n")).startswith(b"250")
            assert (await client.say(b"RCPT TO:<x1@nowhere.test>\r\n")).startswith(b"550 5.7.1")
            for number in range(3):
                client.writer.write(b"RCPT TO:<y%d@nowhere.test>\r\n" % number)
                assert await is_silent(client)
                clock.advance(10.5)
                h.receiver.sweep()
                assert (await client.reply()).startswith(b"550 5.7.1")
            client.writer.write(b"RCPT TO:<z1@nowhere.test>\r\nRCPT TO:<z2@nowhere.test>\r\n")
            assert await is_silent(client)
            clock.advance(10.5)
            h.receiver.sweep()
            assert (await client.reply()).startswith(b"421 4.7.0 ")
            assert await client.rest() == b""
            braked = [e.reason for e in h.events if isinstance(e, ClientBraked)]
            assert braked == ["recipients"]
            await client.close()

    run(main)


def test_connections_come_no_faster_than_their_rate() -> None:
    async def main() -> None:
        clock = FakeClock()
        async with house(listener=OPEN, clock=clock, brakes=BRAKES) as h:

            async def banners(count: int) -> list[bytes]:
                found = []
                for _ in range(count):
                    client = await Client.connect(h.port)
                    found.append((await client.reply())[:9])
                    await client.close()
                return found

            assert await banners(8) == [b"220 relay"] * 5 + [b"421 4.7.0"] * 3
            clock.advance(12.5)
            h.receiver.sweep()
            assert await banners(2) == [b"220 relay", b"421 4.7.0"]
            assert [e.reason for e in h.events if isinstance(e, ClientBraked)] == ["connections"]

    run(main)


def test_a_session_that_waits_for_its_answer_ends_with_the_drain() -> None:
    async def main() -> None:
        clock = FakeClock()
        async with house(listener=CLEAR, clients=clients(), clock=clock, brakes=BRAKES) as h:
            client = await greeted(h)
            for number in range(2):
                await login(client, b"wrong %d" % number)
            assert (await client.reply()).startswith(b"535")
            await h.receiver.drain(0.1)
            assert await client.rest() == b""
            await client.close()

    run(main)


async def err(h: House, limit: int = 20) -> None:
    """A session that is sent away for its errors."""
    client = await Client.connect(h.port)
    assert (await client.reply()).startswith(b"220 ")
    client.writer.write(b"GARBAGE\r\n" * (limit + 1))
    assert b"421 4.7.0 Too many errors" in await client.rest()
    await client.close()


def test_who_only_makes_errors_is_greeted_late_and_then_not_at_all() -> None:
    async def main() -> None:
        clock = FakeClock()
        brakes = BrakeOptions(faulty_sessions=4, delay_max_s=9.0)
        async with house(listener=OPEN, clock=clock, brakes=brakes) as h:
            for _ in range(2):
                await err(h)
            await until(lambda: h.receiver.sessions == 0)
            # A quarter is free, and two of four are a third of the way: 3 s.
            late = await Client.connect(h.port)
            assert await is_silent(late)
            clock.advance(2.0)
            h.receiver.sweep()
            assert await is_silent(late)
            clock.advance(1.5)
            h.receiver.sweep()
            assert (await late.reply()).startswith(b"220 ")
            assert (await late.say(b"EHLO c\r\n")).startswith(b"250-")
            # Who speaks meanwhile is no better than who speaks before the banner.
            early = await Client.connect(h.port)
            assert await is_silent(early)
            early.writer.write(b"EHLO c\r\n")
            await until(lambda: any(s._received for s in h.receiver._common.sessions if s._late))
            clock.advance(4.0)
            h.receiver.sweep()
            assert (await early.rest()).startswith(b"554 5.5.1 You spoke before")
            await early.close()
            await until(lambda: h.receiver.sessions == 1)
            last = await Client.connect(h.port)
            await until(lambda: h.receiver.sessions == 2)
            clock.advance(9.0)
            h.receiver.sweep()
            assert (await last.reply()).startswith(b"220 ")
            last.writer.write(b"GARBAGE\r\n" * 21)
            await last.rest()
            await last.close()
            await until(lambda: h.receiver.sessions == 1)
            refused = await Client.connect(h.port)
            assert (await refused.rest()).startswith(b"421 4.7.0 Too much went wrong")
            assert [e.reason for e in h.events if isinstance(e, ClientBraked)] == ["sessions"]
            for each in (late, refused):
                await each.close()

    run(main)


@pytest.mark.parametrize("pause_s, greeting", [(2.1, b"421 4.7.0 Too much went wrong"), (2.3, b"220 ")])
def test_who_floods_us_with_idle_talk_is_banned_and_who_keeps_connections_open_with_it_is_not(
    pause_s: float, greeting: bytes
) -> None:
    """Eleven commands, at more than five a second or less."""

    async def main() -> None:
        clock = FakeClock()
        brakes = BrakeOptions(faulty_sessions=4, delay_max_s=0.0)
        limits = Limits(commands_without_mail=10)
        async with house(listener=OPEN, clock=clock, brakes=brakes, limits=limits) as h:
            pool = [await greeted(h) for _ in range(4)]
            for client in pool:
                client.writer.write(b"NOOP\r\n" * 8)
                for _ in range(8):
                    assert (await client.reply()).startswith(b"250 ")
            clock.advance(pause_s)
            h.receiver.sweep()
            for client in pool:
                client.writer.write(b"NOOP\r\n" * 2)
                assert b"421 4.7.0 Too many commands without a mail" in await client.rest()
                await client.close()
            await until(lambda: h.receiver.sessions == 0)
            late = await Client.connect(h.port)
            assert (await late.reply()).startswith(greeting)
            await late.close()

    run(main)


def test_mail_from_the_address_makes_up_for_bad_sessions() -> None:
    async def main() -> None:
        brakes = BrakeOptions(faulty_sessions=4, delay_max_s=0.0)
        async with house(listener=OPEN, clock=FakeClock(), brakes=brakes) as h:
            for _ in range(3):
                for _ in range(3):
                    await err(h)
                await until(lambda: h.receiver.sessions == 0)
                client = await Client.connect(h.port)
                await client.open_mail()
                assert (await client.say(b"Subject: x\r\n\r\nHello\r\n.\r\n")).startswith(b"250 ")
                await client.close()
                await until(lambda: h.receiver.sessions == 0)
            assert not [e for e in h.events if isinstance(e, ClientBraked)]

    run(main)


def test_a_session_that_is_not_greeted_yet_ends_with_the_drain() -> None:
    async def main() -> None:
        clock = FakeClock()
        async with house(listener=OPEN, clock=clock, brakes=BrakeOptions(faulty_sessions=4)) as h:
            for _ in range(2):
                await err(h)
            await until(lambda: h.receiver.sessions == 0)
            client = await Client.connect(h.port)
            await until(lambda: h.receiver.sessions == 1)
            await h.receiver.drain(5.0)
            assert (await client.rest()).startswith(b"421 4.3.2 The relay shuts down")
            await client.close()

    run(main)


def test_who_is_banned_costs_no_session_and_no_line_of_the_log() -> None:
    async def main() -> None:
        brakes = BrakeOptions(faulty_sessions=4, delay_max_s=0.0)
        async with house(listener=OPEN, clock=FakeClock(), brakes=brakes) as h:
            for _ in range(4):
                await err(h)
            await until(lambda: h.receiver.sessions == 0)
            h.events.clear()
            for said in (b"", b"EHLO c\r\nMAIL FROM:<a@b.test>\r\n"):
                client = await Client.connect(h.port)
                client.writer.write(said)
                assert (await client.rest())[:10] in (b"421 4.7.0 ", b"")
                await client.close()
            assert {type(event) for event in h.events} == {SessionRefused}
            assert {event.level for event in h.events if isinstance(event, SessionRefused)} == {"debug"}

    run(main)


def test_who_does_not_read_replies_makes_us_work_for_some_hundred_commands_and_ends_with_the_drain() -> None:
    async def main() -> None:
        async with house(listener=OPEN) as h:
            client = await greeted(h)
            client.stop_reading()
            for _ in range(40):
                client.writer.write(b"EHLO never-reads\r\n" * 100)
                await asyncio.sleep(0.01)
            [session] = h.receiver._common.sessions
            lines = session._server.lines
            # The client's own kernel keeps some as well (net.ipv4.tcp_rmem, 128 KiB to begin with).
            assert 0 < lines < 2_500
            assert h.receiver.unsent_bytes < 65_536
            faults: list[object] = []
            asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
            await h.receiver.drain(0.2)
            await until(lambda: not h.receiver.sessions)
            assert faults == []
            client.writer.transport.abort()

    run(main)
