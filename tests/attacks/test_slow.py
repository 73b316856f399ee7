"""Slowloris: a client that says as little as it may, in each state of a session, loses its place in a bounded time.

The clock is the test's: hours pass in milliseconds.
"""

import asyncio
from itertools import chain, repeat

import pytest

from relay.receive.options import Auth, ListenerOptions
from tests.fakes.clients import clients
from tests.fakes.clock import FakeClock
from tests.receive.harness import Client, House, house, run, until

LISTENER = ListenerOptions("test", auth=Auth.OPTIONAL, auth_without_tls=True)
MAIL = b"EHLO a\r\nMAIL FROM:<a@example.org>\r\n"
RCPT = MAIL + b"RCPT TO:<b@x.example>\r\n"
PAUSE_S = 295.0
"""Just below the idle time-out: a byte every five minutes."""
IDLE_S, RATE_S, TRANSACTION_S = 300.0, 120.0, 7_200.0
STATES = {
    # What was said, its replies, what is dribbled then, and how long that may last.
    "a command": (b"", 1, b"NOOP" + b" " * 100, IDLE_S),
    "a command too long": (b"NOOP " + b"x" * 3_000, 1, b"x" * 100, IDLE_S),
    "MAIL": (b"EHLO a\r\n", 2, b"MAIL FROM:<" + b"a" * 100, IDLE_S),
    "RCPT": (MAIL, 3, b"RCPT TO:<" + b"a" * 100, IDLE_S),
    "a login": (b"EHLO a\r\nAUTH LOGIN\r\n", 3, b"d" * 100, IDLE_S),
    "an initial response": (b"EHLO a\r\n", 2, b"AUTH PLAIN " + b"d" * 100, IDLE_S),
    "a BDAT command": (RCPT, 4, b"BDAT 100000000000000", IDLE_S),
    "a CR without its LF": (b"NOOP\r", 1, b"\r" * 100, IDLE_S),
    "data": (RCPT + b"DATA\r\n", 5, b"x" * 100, RATE_S),
    "lines of data": (RCPT + b"DATA\r\n", 5, b"x\r\n" * 100, RATE_S),
    "the end of data": (RCPT + b"DATA\r\nx\r\n.", 5, b"\r" * 100, RATE_S),
    "a chunk": (RCPT + b"BDAT 1000000\r\nx", 4, b"x" * 100, RATE_S),
}


async def everybody_is_read(h: House) -> None:
    """Another client's round trip: what came before it has been read."""
    other = await Client.connect(h.port)
    await other.reply()
    await other.say(b"RSET\r\n")
    await other.close()
    await until(lambda: h.receiver.sessions <= 1)


@pytest.mark.parametrize("state", STATES)
def test_a_byte_now_and_then_is_no_sign_of_life(state: str) -> None:
    said, replies, dribbled, most_s = STATES[state]

    async def main() -> None:
        clock = FakeClock()
        async with house(listener=LISTENER, clients=clients(), clock=clock) as h:
            client = await Client.connect(h.port)
            client.writer.write(said)
            for _ in range(replies):
                await client.reply()
            passed = 0.0
            for octet in dribbled:
                client.writer.write(bytes((octet,)))
                await everybody_is_read(h)
                clock.advance(PAUSE_S)
                passed += PAUSE_S
                h.receiver.sweep()
                if client.reader.at_eof() or await _is_over(client):
                    break
            # One pause more than the limit, as it is looked at between two.
            assert passed <= most_s + 2 * PAUSE_S, f"{state} is still there after {passed} s"
            await client.close()

    run(main)


@pytest.mark.parametrize(
    ("state", "words", "most_s"),
    [
        ("a transaction", chain([MAIL], repeat(b"NOOP\r\n")), TRANSACTION_S),
        ("recipients", chain([MAIL], repeat(b"RCPT TO:<b@x.example>\r\n")), TRANSACTION_S),
        ("small chunks", chain([RCPT], repeat(b"BDAT 1\r\nx")), TRANSACTION_S),
        ("a login again and again", chain([b"EHLO a\r\n"], repeat(b"AUTH LOGIN\r\n*\r\n")), 21 * PAUSE_S),
    ],
)  # fmt: skip
def test_whole_commands_now_and_then_do_not_keep_a_transaction_open(
    state: str, words: chain[bytes], most_s: float
) -> None:
    async def main() -> None:
        clock = FakeClock()
        async with house(listener=LISTENER, clients=clients(), clock=clock) as h:
            client = await Client.connect(h.port)
            passed = 0.0
            for said in words:
                client.writer.write(said)
                await everybody_is_read(h)
                clock.advance(PAUSE_S)
                passed += PAUSE_S
                h.receiver.sweep()
                if await _is_over(client):
                    break
                assert passed <= most_s + 2 * PAUSE_S, f"{state} is still there after {passed} s"
            await client.close()

    run(main)


async def _is_over(client: Client) -> bool:
    """The server has said 421 and closed."""
    reader = asyncio.ensure_future(client.reader.read(65_536))
    await asyncio.wait((reader,), timeout=0.02)
    if not reader.done():
        reader.cancel()
        await asyncio.wait((reader,))
        return False
    said = reader.result()
    return b"\r\n421 4." in b"\r\n" + said or not said
