"""X-Relay-Idempotency-Key at a listener: a mail that comes again is answered with the first one's id, and not taken."""

import asyncio
import re
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest

from relay.budget.ring import Counted, Per, Quota
from relay.identity.client import Client as ClientRule
from relay.identity.client import Policy
from relay.receive.options import Limits
from relay.spool.memory import MemoryStore
from relay.spool.options import SpoolOptions
from relay.trace.event import Accepted
from relay.trace.repeat_event import IdempotencyKeysFull, MailRepeated
from tests.fakes.clients import clients
from tests.fakes.clock import FakeClock
from tests.receive.harness import Client, HeldCommitter, House, house, run, until

KEY = b"X-Relay-Idempotency-Key: order-17\r\n"
LARGE = b"x" * 76 + b"\r\n"


async def send(
    h: House,
    body: bytes = b"Hello\r\n",
    *,
    fields: bytes = KEY,
    sender: bytes = b"alice@example.com",
    to: tuple[bytes, ...] = (b"bob@example.com",),
    address: str = "127.0.0.1",
) -> bytes:
    """A mail in a session of its own; the last reply."""
    sock = socket.create_connection(("127.0.0.1", h.port), source_address=(address, 0))
    client = Client(*await asyncio.open_connection(sock=sock))
    assert (await client.reply()).startswith(b"220 ")
    assert (await client.say(b"EHLO c\r\n")).startswith(b"250-")
    reply = await client.say(b"MAIL FROM:<%b>\r\n" % sender)
    if not reply.startswith(b"250 "):
        await client.close()
        return reply
    for recipient in to:
        await client.say(b"RCPT TO:<%b>\r\n" % recipient)
    assert (await client.say(b"DATA\r\n")).startswith(b"354 ")
    reply = await client.say(fields + b"Subject: x\r\n\r\n" + body + b".\r\n")
    await client.close()
    return reply


def id_in(reply: bytes) -> str:
    found = re.match(rb"\d{3} \S+ .*queued as ([0-9a-z]{13})\b", reply)
    assert found is not None, reply
    return found[1].decode()


def repeats(h: House) -> list[MailRepeated]:
    return [event for event in h.events if isinstance(event, MailRepeated)]


def test_a_repeat_gets_the_first_ones_id_and_is_not_taken() -> None:
    async def main() -> None:
        async with house() as h:
            first = await send(h, fields=KEY + b"Date: today\r\n")
            again = await send(h, fields=b"Date: a minute later\r\nMessage-ID: <other@c>\r\n" + KEY)
            assert first.startswith(b"250 2.0.0 queued as ") and again.startswith(b"250 2.0.0 queued as ")
            assert id_in(again) == id_in(first) and b"not sent again" in again
            [(envelope, content)] = h.mails()
            assert b"Idempotency" not in content
            assert [queued.id for queued in h.announced.queued] == [envelope.id]
            assert len([event for event in h.events if isinstance(event, Accepted)]) == 1
            assert repeats(h) == [MailRepeated(id_in(first), "127.0.0.1", "", True)]

    run(main)


def test_a_repeat_whose_deadline_has_passed_since_gets_the_first_ones_id() -> None:
    async def main() -> None:
        clock = FakeClock()
        async with house(clock=clock) as h:
            date = datetime.fromtimestamp(clock.now() + 60, UTC).isoformat()
            fields = KEY + f"X-Relay-Deadline: {date}\r\n".encode()
            first = await send(h, fields=fields)
            clock.advance(120)
            again = await send(h, fields=fields)
            assert id_in(again) == id_in(first) and again.startswith(b"250 ")
            assert repeats(h) == [MailRepeated(id_in(first), "127.0.0.1", "", True)]
            # Neither another mail under the key nor one that is the first to come has been in time.
            assert (await send(h, b"Other\r\n", fields=fields)).startswith(b"550 5.4.7 ")
            assert (await send(h, fields=fields.replace(b"17", b"18"))).startswith(b"550 5.4.7 ")
            assert len(h.mails()) == 1

    run(main)


def test_without_a_key_both_are_taken() -> None:
    async def main() -> None:
        async with house() as h:
            await send(h, fields=b"")
            await send(h, fields=b"")
            assert len(h.mails()) == 2 and h.store.count_keys() == 0

    run(main)


@pytest.mark.parametrize(
    "other",
    [
        {"body": b"Something else\r\n"},
        {"fields": KEY + b"Subject: y\r\n"},
        {"sender": b"carol@example.com"},
        {"to": (b"bob@example.com", b"dave@example.com")},
        {"to": (b"dave@example.com",)},
    ],
)
def test_another_mail_under_the_same_key_is_refused_and_not_swallowed(other: dict[str, bytes]) -> None:
    async def main() -> None:
        async with house() as h:
            first = await send(h)
            reply = await send(h, **other)  # type: ignore[arg-type]  # one of them is a tuple
            assert reply.startswith(b"554 5.6.0 X-Relay-Idempotency-Key is that of another mail")
            assert id_in(reply) == id_in(first) and len(h.mails()) == 1
            assert [event.is_same for event in repeats(h)] == [False]

    run(main)


def test_a_key_is_its_clients_own() -> None:
    async def main() -> None:
        async with house() as h:
            await send(h)
            await send(h, address="127.0.0.2")
            assert len(h.mails()) == 2 and repeats(h) == []
        erp = ClientRule("erp", networks=("127.0.0.0/29",))
        async with house(clients=clients(erp)) as h:
            first = await send(h)
            assert id_in(await send(h, address="127.0.0.2")) == id_in(first)
            assert [event.account for event in repeats(h)] == ["erp"]

    run(main)


def test_a_repeat_uses_up_no_quota() -> None:
    async def main() -> None:
        policy = Policy(quotas=(Quota(Counted.MESSAGES, Per.HOUR, 2),))
        local = ClientRule("local", networks=("127.0.0.1/32",), policy=policy)
        async with house(clients=clients(local), clock=FakeClock()) as h:
            for _ in range(4):
                assert b"queued as" in await send(h)
            assert (await send(h, fields=b"")).startswith(b"250 ")
            assert (await send(h, fields=b"")).startswith(b"4")
            assert len(h.mails()) == 2

    run(main)


def test_a_large_mail_is_known_by_all_that_streamed_and_a_repeat_leaves_nothing() -> None:
    async def main() -> None:
        async with house() as h:
            first = await send(h, LARGE * 10_000)
            again = await send(h, LARGE * 10_000)
            other = await send(h, LARGE * 9_999 + b"y" * 76 + b"\r\n")
            assert id_in(again) == id_in(first) == id_in(other) and other.startswith(b"554 ")
            await until(lambda: not list(h.store.partial()))
            [(envelope, _)] = h.mails()
            assert envelope.chunks > 1 and len(h.store.content_rows) > envelope.chunks
            assert {int.from_bytes(key[:8], "big") for key in h.store.content_rows} == {envelope.id}

    run(main)


def test_the_window_ends() -> None:
    async def main() -> None:
        clock = FakeClock()
        store = MemoryStore(SpoolOptions(Path("/nowhere"), idempotency_window_s=3_600.0))
        async with house(clock=clock, store=store) as h:
            await send(h)
            clock.advance(3_599.0)
            assert b"not sent again" in await send(h)
            clock.advance(2.0)
            assert b"not sent again" not in await send(h)
            assert len(h.mails()) == 2

    run(main)


def test_the_last_keys_are_swept_away_when_nobody_comes() -> None:
    async def main() -> None:
        clock = FakeClock()
        async with house(clock=clock) as h:
            for number in range(5):
                await send(h, fields=b"X-Relay-Idempotency-Key: %d\r\n" % number)
            h.receiver.sweep()
            assert h.store.count_keys() == 5
            clock.advance(86_401.0)
            h.receiver.sweep()
            await until(lambda: h.store.count_keys() == 0)

    run(main)


def test_a_full_table_is_told_of() -> None:
    async def main() -> None:
        clock = FakeClock()
        store = MemoryStore(SpoolOptions(Path("/nowhere"), idempotency_keys=3))
        async with house(clock=clock, store=store) as h:
            for number in range(5):
                await send(h, fields=b"X-Relay-Idempotency-Key: %d\r\n" % number)
            for _ in range(2):
                clock.advance(61.0)
                h.receiver.sweep()
            assert [e for e in h.events if isinstance(e, IdempotencyKeysFull)] == [IdempotencyKeysFull(3)] * 2

    run(main)


def test_a_mail_with_a_key_is_kept_when_its_commit_ends_after_the_client_was_told_that_it_took_too_long() -> (
    None
):
    async def main() -> None:
        clock, held = FakeClock(), HeldCommitter()
        async with house(clock=clock, held=held, limits=Limits(commit_deadline_s=10.0)) as h:
            sending = asyncio.ensure_future(send(h))
            await until(lambda: len(held.changes) == 1)
            clock.advance(11.0)
            h.receiver.sweep()
            h.receiver.sweep()
            assert (await sending).startswith(b"451 4.3.0")
            held.release()
            # Dropped, the mail would be lost: the client may find its key taken before that.
            assert len(h.announced.queued) == 1 and len(held.changes) == 1

    run(main)


def test_ids_rise_over_a_restart_with_the_clock_set_back() -> None:
    async def main() -> None:
        store = MemoryStore(SpoolOptions(Path("/nowhere")))
        clock, earlier = FakeClock(), FakeClock()
        earlier.set_wall(clock.now() - 3_600.0)
        ids = []
        for each in (clock, earlier):
            async with house(clock=each, store=store) as h:
                ids += [id_in(await send(h, fields=b"")) for _ in range(3)]
        assert ids == sorted(set(ids)) and len(store.envelope_rows) == 6

    run(main)
