"""A session over a real socket: what goes in comes to lie in the spool, and is answered after that."""

import asyncio
import random
import shutil
import smtplib
import socket
import struct
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from relay.errors import SpoolError, SpoolFull
from relay.receive.options import Limits, ListenerOptions
from relay.spool.memory import MemoryStore
from relay.spool.options import SpoolOptions
from relay.trace.event import Accepted, CommandRefused, SessionEnded, SessionRefused
from tests.fakes.clock import FakeClock
from tests.receive.harness import Client, HeldCommitter, house, run, until, without_own_fields

MAIL = (
    b"Message-ID: <1@client>\r\nDate: Tue, 24 Nov 2026 02:00:00 +0000\r\nSubject: x\r\n\r\nHello\r\n.dot\r\n"
)
STUFFED = MAIL.replace(b"\r\n.", b"\r\n..") + b".\r\n"


def large(size: int) -> bytes:
    """A mail of about that size whose every line differs."""
    body = random.Random(1).randbytes(size // 2).hex().encode()
    return (
        MAIL.replace(b".dot", b"dot")
        + b"\r\n".join(body[at : at + 900] for at in range(0, len(body), 900))
        + b"\r\n"
    )


def test_a_mail_lies_in_the_spool_when_it_is_answered() -> None:
    async def main() -> None:
        async with house() as h:
            client = await Client.connect(h.port)
            await client.open_mail()
            assert (await client.say(STUFFED)).startswith(b"250 2.0.0 queued as ")
            ((envelope, content),) = h.mails()
            assert without_own_fields(content) == MAIL
            assert envelope.size == len(content)
            assert envelope.sender == b"alice@example.com"
            assert [(r.address, r.route) for r in envelope.recipients] == [(b"bob@example.com", "ward")]
            assert envelope.message_id == b"<1@client>"
            assert [queued.id for queued in h.announced.queued] == [envelope.id]
            assert sum(isinstance(event, Accepted) for event in h.events) == 1
            await client.close()

    run(main)


def test_missing_fields_are_added_and_nothing_else_is_touched() -> None:
    async def main() -> None:
        async with house() as h:
            client = await Client.connect(h.port)
            await client.open_mail()
            body = b"Subject:   odd \r\n\tfolding\r\nX-\xff: \xe9\r\n\r\n\r\n \r\nno end"
            await client.say(body + b"\r\n.\r\n")
            ((envelope, content),) = h.mails()
            fields = without_own_fields(content)
            assert fields.startswith(b"Message-ID: " + envelope.message_id + b"\r\nDate: ")
            assert envelope.message_id.endswith(b"@relay.example>")
            assert fields.endswith(b" +0000\r\n" + body + b"\r\n")
            await client.close()

    run(main)


def test_a_mail_without_header_gets_a_blank_line() -> None:
    async def main() -> None:
        async with house() as h:
            client = await Client.connect(h.port)
            await client.open_mail()
            await client.say(b" just text\r\n.\r\n")
            ((_, content),) = h.mails()
            assert content.endswith(b" +0000\r\n\r\n just text\r\n")
            await client.close()

    run(main)


def test_smtplib_delivers() -> None:
    async def main() -> None:
        async with house() as h:

            def send() -> None:
                with smtplib.SMTP("127.0.0.1", h.port, timeout=5) as client:
                    client.sendmail("a@example.org", ["b@x.example", "c@inside.example"], MAIL)

            await asyncio.to_thread(send)
            ((envelope, content),) = h.mails()
            assert without_own_fields(content) == MAIL
            assert [r.route for r in envelope.recipients] == ["world", "inside"]

    run(main)


@pytest.mark.skipif(
    shutil.which("smtp-source") is None, reason="smtp-source (Debian: postfix) is not installed"
)
def test_smtp_source_delivers_over_few_connections() -> None:
    async def main() -> None:
        async with house() as h:
            command = ["smtp-source", "-d", "-s", "5", "-m", "200", "-l", "10240", "-f", "a@example.org",
                       "-t", "b@x.example", f"127.0.0.1:{h.port}"]  # fmt: skip
            done = await asyncio.to_thread(subprocess.run, command, capture_output=True, timeout=20)
            assert done.returncode == 0, done.stderr
            assert len(h.mails()) == 200 == len(h.announced.queued)
            await until(lambda: sum(isinstance(event, SessionEnded) for event in h.events) == 5)

    run(main)


def test_dsn_parameters_and_declarations_are_kept() -> None:
    async def main() -> None:
        async with house() as h:
            client = await Client.connect(h.port)
            await client.reply()
            await client.say(b"EHLO c\r\n")
            await client.say(b"MAIL FROM:<a@example.org> BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=e+2B\r\n")
            await client.say(b"RCPT TO:<b@x> NOTIFY=delay,Failure ORCPT=rfc822;B@x\r\n")
            await client.say(b"DATA\r\n")
            await client.say(STUFFED)
            ((envelope, content),) = h.mails()
            assert (envelope.is_8bit, envelope.is_utf8) == (True, True)
            assert (envelope.ret, envelope.envid) == (b"HDRS", b"e+2B")
            (recipient,) = envelope.recipients
            assert (recipient.notify, recipient.orcpt) == (b"DELAY,FAILURE", b"rfc822;B@x")
            assert b" with UTF8SMTP id " in content
            await client.close()

    run(main)


@pytest.mark.parametrize("verb", ["DATA", "BDAT"])
def test_a_large_mail_streams_through_in_order(verb: str) -> None:
    mail = large(3_000_000)

    async def main() -> None:
        async with house() as h:
            client = await Client.connect(h.port)
            await client.open_mail()
            if verb == "BDAT":
                assert (await client.say(b".\r\n")).startswith(b"250 ")
                client.writer.write(b"MAIL FROM:<a@example.org>\r\nRCPT TO:<b@x>\r\n")
                cuts = [0, 1, 100_000, 1_300_001, len(mail)]
                for start, end in pairwise(cuts):
                    last = b" LAST" if end == len(mail) else b""
                    client.writer.write(b"BDAT %d%b\r\n" % (end - start, last) + mail[start:end])
                codes = [(await client.reply())[:3] for _ in range(6)]
                assert codes == [b"250"] * 6
            else:
                assert (await client.say(mail + b".\r\n")).startswith(b"250 2.0.0")
            envelope, content = h.mails()[-1]
            assert without_own_fields(content) == mail
            assert envelope.chunks > 10 and envelope.size == len(content)
            assert not list(h.store.partial())
            await client.close()

    run(main)


@pytest.mark.parametrize("seed", range(4))
def test_many_mails_in_one_breath_are_kept_apart_however_they_are_cut(seed: int) -> None:
    chance = random.Random(seed)
    mails = [
        b"Message-ID: <%d@x>\r\nDate: x\r\n\r\n" % number
        + b"".join(
            b"%d %b\r\n" % (line, b"y" * chance.randrange(70)) for line in range(chance.randrange(600))
        )
        for number in range(40)
    ]
    talk = b"EHLO c\r\n" + b"".join(
        b"MAIL FROM:<a@example.org>\r\nRCPT TO:<b@x>\r\nBDAT %d LAST\r\n%b" % (len(mail), mail)
        for mail in mails
    )

    async def main() -> None:
        async with house() as h:
            client = await Client.connect(h.port)
            await client.reply()
            at = 0
            while at < len(talk):
                size = len(talk) if seed == 0 else chance.choice((1, 10, 5_000, 70_000))
                client.writer.write(talk[at : at + size])
                await asyncio.sleep(0)
                at += size
            codes = [(await client.reply())[:3] for _ in range(1 + 3 * len(mails))]
            assert codes == [b"250"] * len(codes)
            assert [without_own_fields(content) for _, content in h.mails()] == mails
            await client.close()

    run(main)


@pytest.mark.parametrize("ending", [b"\x00\r\n.\r\n", b"x" * 70_000 + b"\r\n.\r\n"])
def test_a_large_mail_that_ends_badly_leaves_nothing(ending: bytes) -> None:
    async def main() -> None:
        async with house() as h:
            client = await Client.connect(h.port)
            await client.open_mail()
            assert (await client.say(large(1_500_000) + ending)).startswith(b"554 5.6.0")
            await client.say(b"NOOP\r\n")
            await until(lambda: not h.store.content_rows and not list(h.store.partial()))
            assert not h.mails() and any(isinstance(event, CommandRefused) for event in h.events)
            await client.close()

    run(main)


def test_a_large_mail_that_is_cut_off_leaves_nothing() -> None:
    async def main() -> None:
        async with house() as h:
            client = await Client.connect(h.port)
            await client.open_mail()
            client.writer.write(large(1_500_000))
            await until(lambda: bool(list(h.store.partial())))
            await client.close()
            await until(lambda: not h.store.content_rows and not list(h.store.partial()))
            assert not h.mails()

    run(main)


def test_a_mail_over_the_size_is_refused_while_it_comes() -> None:
    async def main() -> None:
        async with house(limits=Limits(message_bytes=500_000)) as h:
            client = await Client.connect(h.port)
            await client.open_mail()
            assert (await client.say(large(900_000) + b".\r\n")).startswith(b"552 5.3.4")
            await until(lambda: not h.store.content_rows)
            await client.close()

    run(main)


def test_a_loop_is_refused() -> None:
    async def main() -> None:
        async with house() as h:
            client = await Client.connect(h.port)
            await client.open_mail()
            assert (await client.say(b"Received: x\r\n" * 51 + STUFFED)).startswith(b"554 5.4.6")
            assert not h.mails()
            await client.close()

    run(main)


# The disk


def test_a_full_spool_is_told_and_accepting_resumes() -> None:
    async def main() -> None:
        store = MemoryStore(SpoolOptions(Path("/nowhere"), check_interval_s=0.05), capacity_bytes=100)
        async with house(store=store) as h:
            client = await Client.connect(h.port)
            await client.open_mail()
            assert (await client.say(STUFFED)).startswith(b"452 4.3.1")
            assert not h.mails() and not h.announced.queued
            store.capacity_bytes = 1 << 40
            await until(lambda: h.committer.refusing is None)
            await client.say(b"MAIL FROM:<a@example.org>\r\n")
            await client.say(b"RCPT TO:<b@x>\r\n")
            await client.say(b"DATA\r\n")
            assert (await client.say(STUFFED)).startswith(b"250 ")
            await client.close()

    run(main)


@pytest.mark.parametrize("error, code", [(SpoolFull("x"), b"452 4.3.1"), (SpoolError("x"), b"451 4.3.0")])
def test_a_failed_commit_is_told_and_the_session_goes_on(error: SpoolError, code: bytes) -> None:
    async def main() -> None:
        held = HeldCommitter()
        async with house(held=held) as h:
            client = await Client.connect(h.port)
            await client.open_mail()
            client.writer.write(STUFFED + b"NOOP\r\n")
            await until(lambda: bool(held.changes))
            held.release(error)
            assert (await client.reply()).startswith(code)
            assert (await client.reply()).startswith(b"250 2.0.0 Here")
            assert not h.announced.queued
            await client.close()

    run(main)


def test_nothing_is_said_before_the_commit_has_ended() -> None:
    async def main() -> None:
        held = HeldCommitter()
        async with house(held=held) as h:
            client = await Client.connect(h.port)
            await client.open_mail()
            client.writer.write(STUFFED + b"NOOP\r\n")
            await until(lambda: bool(held.changes))
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(client.reader.read(1), 0.1)
            held.release()
            assert (await client.reply()).startswith(b"250 2.0.0 queued")
            assert (await client.reply()).startswith(b"250 2.0.0 Here")
            assert len(h.announced.queued) == 1
            await client.close()

    run(main)


def test_a_client_that_leaves_during_the_commit_has_sent_its_mail() -> None:
    async def main() -> None:
        held = HeldCommitter()
        async with house(held=held) as h:
            client = await Client.connect(h.port)
            await client.open_mail()
            client.writer.write(STUFFED)
            await until(lambda: bool(held.changes))
            # Closing with a linger time of 0 sends a reset: the client's machine has gone.
            reset = struct.pack("ii", 1, 0)
            client.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
            client.writer.transport.abort()
            await until(lambda: not h.receiver.sessions)
            held.release()
            assert len(h.announced.queued) == 1
            assert [type(change).__name__ for change in held.changes] == ["Accept"]

    run(main)


def test_a_client_that_only_ends_its_side_gets_its_reply() -> None:
    async def main() -> None:
        held = HeldCommitter()
        async with house(held=held) as h:
            client = await Client.connect(h.port)
            await client.open_mail()
            client.writer.write(STUFFED + b"NOOP\r\n")
            client.writer.write_eof()
            await until(lambda: bool(held.changes))
            held.release()
            rest = await client.rest()
            assert rest.startswith(b"250 2.0.0 queued") and rest.endswith(b"250 2.0.0 Here I am\r\n")
            await client.close()

    run(main)


def test_a_mail_whose_commit_takes_too_long_is_dropped_when_it_ends() -> None:
    async def main() -> None:
        held, clock = HeldCommitter(), FakeClock()
        async with house(held=held, clock=clock) as h:
            client = await Client.connect(h.port)
            await client.open_mail()
            client.writer.write(STUFFED)
            await until(lambda: bool(held.changes))
            clock.advance(61)
            h.receiver.sweep()
            assert (await client.reply()).startswith(b"451 4.3.0")
            assert (await client.say(b"NOOP\r\n")).startswith(b"250 ")
            held.release()
            assert [type(change).__name__ for change in held.changes] == ["Accept", "Abandon"]
            assert not h.announced.queued
            await client.close()

    run(main)


@pytest.mark.parametrize("ending", [b".\r\n", b"\0\r\n.\r\n", None])
def test_much_content_in_memory_keeps_further_mails_out_until_it_is_gone(ending: bytes | None) -> None:
    async def main() -> None:
        async with house(limits=Limits(content_bytes=1000)) as h:
            first, second = await Client.connect(h.port), await Client.connect(h.port)
            await first.open_mail()
            first.writer.write(large(5000))
            await second.reply()
            await second.say(b"HELO c\r\n")
            await until(lambda: h.receiver.content_bytes > 1000)
            assert (await second.say(b"MAIL FROM:<a@example.org>\r\n")).startswith(b"452 4.3.1")
            if ending is None:
                await first.close()
                await until(lambda: h.receiver.sessions == 1)
            else:
                await first.say(ending)
            assert (await second.say(b"MAIL FROM:<a@example.org>\r\n")).startswith(b"250 ")
            assert h.receiver.content_bytes == 0
            await first.close()
            await second.close()

    run(main)


def test_a_slow_disk_stops_the_reading_and_not_the_mail() -> None:
    mail = large(6_000_000)

    async def main() -> None:
        held = HeldCommitter()
        async with house(held=held) as h:
            client = await Client.connect(h.port)
            await client.open_mail()
            client.writer.write(mail + b".\r\n")
            await until(lambda: len(held.changes) == Limits().streamed_records + 1)
            await asyncio.sleep(0.1)
            assert len(held.changes) == Limits().streamed_records + 1, "it went on reading"
            held.eager = True
            held.release()
            assert (await client.reply()).startswith(b"250 ")
            assert h.announced.queued[0].size == sum(len(data) for data in held.contents())
            await client.close()

    run(main)


# Time and number


@pytest.mark.parametrize(
    "seconds, says, ending",
    [
        (301, b"", b"421 4.4.2 Nothing heard for too long\r\n"),
        (301, b"EHLO a\r\nMAIL FROM:<a@example.org>\r\n", b"421 4.4.2 Nothing heard for too long\r\n"),
        (121, b"EHLO a\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@x>\r\nDATA\r\nSubject: ", b"421 4.4.2 The mail comes too slowly\r\n"),
    ],
)  # fmt: skip
def test_a_silent_client_is_dismissed(seconds: float, says: bytes, ending: bytes) -> None:
    async def main() -> None:
        clock = FakeClock()
        async with house(clock=clock) as h:
            client = await Client.connect(h.port)
            client.writer.write(says)
            for _ in range(says.count(b"\r\n") + 1):
                await client.reply()
            clock.advance(seconds - 2)
            h.receiver.sweep()
            assert h.receiver.sessions == 1
            clock.advance(2)
            h.receiver.sweep()
            assert await client.rest() == ending
            await client.close()

    run(main)


def test_a_slow_sender_is_dismissed_though_it_is_never_silent() -> None:
    async def main() -> None:
        clock = FakeClock()
        async with house(clock=clock) as h:
            client = await Client.connect(h.port)
            await client.open_mail()
            for _ in range(3):
                client.writer.write(b"x\r\n")
                await asyncio.sleep(0.02)
                clock.advance(50)
                h.receiver.sweep()
            assert (await client.rest()).startswith(b"421 4.4.2 The mail comes too slowly")
            await client.close()

    run(main)


def test_a_chunk_without_a_mail_does_not_go_on_for_ever() -> None:
    """Its bytes must be read, or they would be commands; whoever sends them fast enough is still held to a time."""

    async def main() -> None:
        clock = FakeClock()
        limits = Limits(transaction_timeout_s=600.0, minimum_rate_bytes_s=1)
        async with house(clock=clock, limits=limits) as h:
            client = await Client.connect(h.port)
            await client.reply()
            clock.advance(1)
            h.receiver.sweep()
            client.writer.write(b"BDAT 9999999999 LAST\r\n")
            for _ in range(7):
                client.writer.write(b"x" * 1_000)
                await until(
                    lambda: any(s._active_at == h.receiver._common.now for s in h.receiver._common.sessions)
                )
                clock.advance(100)
                h.receiver.sweep()
            assert (await client.rest()).startswith(b"421 4.4.2 The transaction takes too long")
            await client.close()

    run(main)


def test_a_chunk_without_a_mail_is_forgotten_when_it_has_ended() -> None:
    """As when a client pipelines, and its MAIL was refused: its silence afterwards is no slow content."""

    async def main() -> None:
        clock = FakeClock()
        async with house(clock=clock) as h:
            client = await Client.connect(h.port)
            await client.reply()
            clock.advance(1)
            h.receiver.sweep()
            client.writer.write(b"BDAT 4 LAST\r\n")
            await until(lambda: any(s._content_since for s in h.receiver._common.sessions))
            assert (await client.say(b"abcd")).startswith(b"503 5.5.1")
            clock.advance(200)
            h.receiver.sweep()
            assert (await client.say(b"NOOP\r\n")).startswith(b"250 ")
            await client.close()

    run(main)


def test_a_client_of_another_network_is_turned_away() -> None:
    async def main() -> None:
        async with house(listener=ListenerOptions("x", networks=("192.0.2.0/24",))) as h:
            client = await Client.connect(h.port)
            assert (await client.rest()).startswith(b"554 5.7.1 ")
            assert any(isinstance(event, SessionRefused) for event in h.events)
            await client.close()

    run(main)


@pytest.mark.parametrize(
    "limits, reply",
    [(Limits(connections=2), b"421 4.3.2 "), (Limits(connections_per_address=2), b"421 4.7.0 ")],
)
def test_a_connection_too_many_is_turned_away_and_room_returns(limits: Limits, reply: bytes) -> None:
    async def main() -> None:
        async with house(limits=limits) as h:
            clients = [await Client.connect(h.port) for _ in range(2)]
            for client in clients:
                assert (await client.reply()).startswith(b"220 ")
            third = await Client.connect(h.port)
            assert (await third.rest()).startswith(reply)
            await clients[0].say(b"QUIT\r\n")
            await until(lambda: h.receiver.sessions == 1)
            fourth = await Client.connect(h.port)
            assert (await fourth.reply()).startswith(b"220 ")
            for client in (*clients, third, fourth):
                await client.close()

    run(main)


def test_an_early_talker_is_turned_away() -> None:
    async def main() -> None:
        async with house() as h:
            # The connection is made and spoken on in one go, before the loop accepts it.
            with socket.create_connection(("127.0.0.1", h.port)) as sock:
                sock.sendall(b"EHLO early\r\n")
                sock.setblocking(False)
                said = await asyncio.get_running_loop().sock_recv(sock, 1000)
                assert said.startswith(b"554 5.5.1 ")

    run(main)


def test_a_client_that_does_not_read_costs_bounded_memory() -> None:
    async def main() -> None:
        clock = FakeClock()
        async with house(clock=clock, limits=Limits(commands_without_mail=10_000_000)) as h:
            client = await Client.connect(h.port)
            await client.reply()
            client.stop_reading()
            for _ in range(200):
                client.writer.write(b"HELP\r\n" * 10_000)
                await asyncio.sleep(0)
            await asyncio.sleep(0.2)
            assert h.receiver.unsent_bytes < 1_000_000
            clock.advance(400)
            h.receiver.sweep()
            await until(lambda: not h.receiver.sessions)
            client.writer.transport.abort()

    run(main)


# The end


def test_a_drain_ends_idle_sessions_and_lets_transactions_end() -> None:
    async def main() -> None:
        held = HeldCommitter()
        async with house(held=held) as h:
            idle, busy = await Client.connect(h.port), await Client.connect(h.port)
            assert (await idle.reply()).startswith(b"220 ")
            await busy.open_mail()
            drained = asyncio.create_task(h.receiver.drain(10))
            assert (await idle.reply()).startswith(b"421 4.3.2 ")
            await idle.close()
            busy.writer.write(STUFFED)
            await until(lambda: bool(held.changes))
            with pytest.raises(OSError):
                await Client.connect(h.port)
            assert not drained.done()
            held.release()
            assert (await busy.reply()).startswith(b"250 ")
            assert (await busy.reply()).startswith(b"421 4.3.2 ")
            await busy.close()
            await drained

    run(main)


def test_a_drain_has_a_deadline() -> None:
    async def main() -> None:
        async with house() as h:
            client = await Client.connect(h.port)
            await client.open_mail()
            await asyncio.wait_for(h.receiver.drain(0.1), 5)
            assert await client.rest() == b""
            await client.close()

    run(main)
