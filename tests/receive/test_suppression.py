"""Mail for an address that is not there is refused at RCPT, with the reply it failed with."""

from pathlib import Path

from relay.errors import SpoolError
from relay.receive.policy import RECIPIENT_OK, judge_suppressed
from relay.receive.suppression import LOOK_EVERY_S, Suppression
from relay.spool.change import Suppress
from relay.spool.memory import MemoryStore
from relay.spool.options import SpoolOptions
from relay.spool.suppressed import Suppressed
from tests.fakes.clock import FakeClock
from tests.receive.harness import Client, house, run

UNTIL = 1_800_000_000.0 + 60
GONE = Suppressed(1.0, UNTIL, "550 5.1.1 No such user")


class Broken(MemoryStore):
    def suppressed(self, address: bytes) -> Suppressed | None:
        raise SpoolError("the disk is gone")


def store_with(kind: type[MemoryStore], *addresses: bytes) -> MemoryStore:
    store = kind(SpoolOptions(Path("/nowhere")))
    store.apply([Suppress(tuple((address, GONE) for address in addresses))])
    return store


def test_a_client_is_told_until_when_and_why() -> None:
    assert judge_suppressed(None) is RECIPIENT_OK
    reply = judge_suppressed(GONE)
    assert (reply.code, reply.enhanced) == (550, "5.1.1")
    assert reply.text == (
        "No mail is taken for this address until Fri, 15 Jan 2027 08:01:00 +0000, "
        "since it failed: 550 5.1.1 No such user"
    )
    assert (
        judge_suppressed(Suppressed(1.0, 1e18, "ü"))
        .encode()
        .endswith(b"9999 23:59:59 +0000, since it failed: ?\r\n")
    )


def test_what_was_brought_from_elsewhere_ends_no_line_and_fits_one() -> None:
    reply = judge_suppressed(Suppressed(1.0, 2.0, "550 no\r\n250 ok\x1b[2J " + "x" * 5_000))
    assert isinstance(reply.text, str) and reply.text.isprintable() and "550 no 250 ok [2J" in reply.text
    assert len(reply.encode()) <= 512


def test_a_time_that_is_over_refuses_nobody() -> None:
    clock = FakeClock()
    tested = Suppression(store_with(MemoryStore, b"bob@example.com"), clock)
    assert tested.of(b"Bob@example.com") == GONE and tested.of(b"rob@example.com") is None
    clock.advance(60)
    assert tested.of(b"bob@example.com") is None


def test_a_first_entry_is_noticed_within_a_second() -> None:
    clock = FakeClock()
    store = store_with(MemoryStore)
    tested = Suppression(store, clock)
    assert tested.of(b"bob@example.com") is None
    store.apply([Suppress(((b"bob@example.com", GONE),))])
    clock.advance(LOOK_EVERY_S)
    assert tested.of(b"bob@example.com") == GONE


def test_a_spool_that_cannot_be_read_refuses_nobody() -> None:
    assert Suppression(store_with(Broken, b"bob@example.com"), FakeClock()).of(b"bob@example.com") is None


def test_a_session_refuses_that_recipient_and_takes_the_others() -> None:
    async def main() -> None:
        async with house(store=store_with(MemoryStore, b"bob@example.com"), clock=FakeClock()) as h:
            client = await Client.connect(h.port)
            assert (await client.reply()).startswith(b"220 ")
            await client.say(b"EHLO a\r\n")
            await client.say(b"MAIL FROM:<a@example.org>\r\n")
            refused = await client.say(b"RCPT TO:<BOB@example.com>\r\n")
            assert refused.startswith(b"550 5.1.1 No mail is taken for this address until ")
            assert (await client.say(b"RCPT TO:<rob@example.com>\r\n")).startswith(b"250 2.1.5")
            await client.say(b"DATA\r\n")
            await client.say(b"Subject: x\r\n\r\nx\r\n.\r\n")
            ((envelope, _),) = h.mails()
            assert [recipient.address for recipient in envelope.recipients] == [b"rob@example.com"]
            await client.close()

    run(main)
