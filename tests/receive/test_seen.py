"""What receivers gather of who sends: by which way, how protected, what was tried; and when it reaches the disk."""

import asyncio
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from relay.message.envelope import Envelope, Recipient
from relay.receive.accept import Origin
from relay.receive.learning_options import LearningOptions
from relay.receive.options import Auth, ListenerOptions, Rewrite
from relay.receive.seen import FLUSH_S, WAITING_MAX, Seen
from relay.route.route import Route
from relay.route.tenant import Tenant
from relay.smtp.reply import Reply
from relay.trace.event import Event, LoginFailed, SeenDropped, SeenTrouble
from relay.trace.seen import store
from relay.trace.seen.sighting import LEARNING, NOTHING, Sighting, Who
from relay.trace.seen.store import SeenError, SeenStore
from tests.fakes.clients import clients
from tests.fakes.clock import FakeClock
from tests.receive.harness import Client as Wire
from tests.receive.harness import house, run
from tests.receive.test_auth import log_in

TENANT = Tenant(("contoso.com",))
ROUTES = (Route("world", ("mx.world.example",)),)
HEADER = b"From: Alice <Alice@contoso.com>\r\n\r\nHello\r\n.\r\n"


class Memory(SeenStore):
    """A record without a disk, which fails when it is told to."""

    def __init__(self) -> None:
        super().__init__(Path("/nowhere"), 1.0)
        self.batches: list[dict[Who, Sighting]] = []
        self.failures = 0

    def add(self, batch: Mapping[Who, Sighting], now: float) -> None:
        if self.failures:
            self.failures -= 1
            raise SeenError("the disk is full")
        self.batches.append(dict(batch))


class Place:
    """What gathers, its clock and what it said."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.events: list[Event] = []
        self.store = Memory()
        self.seen = Seen(self.store, None, TENANT.is_inside, self.clock, self.events.append)

    def mail(
        self, address: str = "10.0.0.1", recipients: int = 1, account: str = "", way: str = NOTHING
    ) -> None:
        origin = Origin("relay.example", address, account=account, way=way)
        to = tuple(Recipient(b"b%d@else%d.example" % (n, n), "world") for n in range(recipients))
        envelope = Envelope(1, b"a@contoso.com", to, 0.0, 100, 1, address, b"host", account=account)
        self.seen.mailed(origin, envelope, b"a@contoso.com")

    async def flush(self) -> None:
        await self.seen.flush()


def test_mails_of_one_sender_are_one_row_until_they_are_written() -> None:
    async def main() -> None:
        place = Place()
        for _ in range(3):
            place.mail()
        place.mail("10.0.0.2")
        await place.flush()
        ((batch),) = place.store.batches
        assert {who.address: seen.mails for who, seen in batch.items()} == {"10.0.0.1": 3, "10.0.0.2": 1}
        await place.flush()
        assert len(place.store.batches) == 1

    run(main)


def test_it_is_brought_to_the_disk_every_some_seconds_and_not_for_each_mail() -> None:
    async def main() -> None:
        place = Place()
        for second in range(20):
            place.mail()
            place.seen.sweep()
            await asyncio.sleep(0)
            await place.seen.close() if second == 19 else await settled(place)
            place.clock.advance(1.0)
        assert sum(seen.mails for batch in place.store.batches for seen in batch.values()) == 20
        assert len(place.store.batches) <= 20 / FLUSH_S + 2

    async def settled(place: Place) -> None:
        # The thread is done when the lock is free.
        async with place.seen._writing:
            pass

    run(main)


def test_senders_that_wait_are_bounded_and_the_rest_is_counted() -> None:
    async def main() -> None:
        place = Place()
        for number in range(10_000):
            place.mail(f"10.20.{number // 250}.{number % 250}")
        assert len(place.seen._waiting) == WAITING_MAX
        await place.flush()
        assert [event for event in place.events if isinstance(event, SeenDropped)] == [
            SeenDropped(10_000 - WAITING_MAX)
        ]

    run(main)


def test_a_disk_that_fails_costs_nothing_and_is_told_once() -> None:
    async def main() -> None:
        place = Place()
        place.store.failures = 4
        for _ in range(5):
            place.mail()
            await place.flush()
        assert [seen.mails for seen in place.store.batches[0].values()] == [5]
        assert [type(event) for event in place.events] == [SeenTrouble]

    run(main)


def test_a_mail_to_thousands_is_not_looked_at_recipient_by_recipient() -> None:
    place = Place()
    place.mail(recipients=1_000)
    ((seen),) = place.seen._waiting.values()
    assert seen.recipients == 1_000 and len(seen.domains) == 16 and "domains" in seen.more


def test_what_strangers_try_is_not_recorded() -> None:
    place = Place()
    stranger = Origin("relay.example", "203.0.113.9")
    place.seen.login_failed(
        Who("", "203.0.113.9", NOTHING), "", LoginFailed("203.0.113.9", "l", "admin", "PLAIN", "unknown user")
    )
    place.seen.refused(stranger, "MAIL", b"x@y.example", Reply(530, "5.7.0", "Log in first"))
    assert not place.seen._waiting


def test_from_is_read_for_the_first_mails_of_those_without_a_name_and_for_no_client() -> None:
    place = Place()
    origin = Origin("relay.example", "10.0.0.1")
    for _ in range(4):
        assert place.seen.wants_author(origin)
        place.mail()
    assert not place.seen.wants_author(origin)
    assert not place.seen.wants_author(replace(origin, account="erp", way="PLAIN"))


def test_without_a_record_nothing_is_gathered() -> None:
    seen = Seen(None, None, TENANT.is_inside, FakeClock(), lambda event: None)
    origin = Origin("relay.example", "10.0.0.1", account="erp", way="PLAIN")
    seen.refused(origin, "MAIL", b"", Reply(550, "5.7.1", "no"))
    assert not seen.wants_author(origin) and not seen._waiting


# Over a socket


async def send(wire: Wire, sender: bytes, recipient: bytes) -> bytes:
    said = await wire.say(b"MAIL FROM:<%b>\r\n" % sender)
    if said.startswith(b"250"):
        said = await wire.say(b"RCPT TO:<%b>\r\n" % recipient)
    if said.startswith(b"250"):
        await wire.say(b"DATA\r\n")
        said = await wire.say(HEADER)
    if not said.startswith(b"250"):
        await wire.say(b"RSET\r\n")
    return said


async def greeted(port: int, address: str = "127.0.0.1") -> Wire:
    wire = Wire(*await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0)))
    assert (await wire.reply()).startswith(b"220 ")
    await wire.say(b"EHLO scanner-7\r\n")
    return wire


def test_a_device_that_is_learnt_is_written_down_with_all_it_did_and_tried(tmp_path: Path) -> None:
    async def main() -> None:
        options = LearningOptions(("127.77.0.0/16",), "world", 4e9, TENANT.domains, outside=True)
        listener = ListenerOptions(
            "test",
            networks=(),
            auth=Auth.OPTIONAL,
            auth_without_tls=True,
            auth_without_tls_networks=("127.0.0.0/8",),
        )
        async with house(
            listener=listener,
            routes=ROUTES,
            tenant=TENANT,
            learning=options,
            seen=SeenStore(tmp_path / "seen.db", 1e9),
        ) as h:
            wire = await greeted(h.port, "127.77.0.7")
            login = b64encode(b"\0scanner@contoso.com\0secret word")
            assert (await wire.say(b"AUTH PLAIN %b\r\n" % login)).startswith(b"535")
            assert (await send(wire, b"scanner@localhost", b"b@contoso.com")).startswith(b"550")
            assert (await send(wire, b"Scan@contoso.com", b"b@contoso.com")).startswith(b"250")
            assert (await send(wire, b"scan@contoso.com", b"b@Partner.example")).startswith(b"250")
            await wire.close()
        ((who, seen),) = store.read(tmp_path / "seen.db")
        assert who == Who("learning:127.77.0.7", "127.77.0.7", LEARNING)
        assert (seen.mails, seen.plain, seen.outside, seen.refused, seen.busiest) == (2, 2, 1, 1, 2)
        assert seen.senders == {"Scan@contoso.com", "scan@contoso.com"}
        assert (seen.authors, seen.domains) == ({"Alice@contoso.com"}, {"partner.example"})
        assert (seen.helos, seen.routes, seen.tls) == ({"scanner-7"}, {"world"}, {""})
        (tried,) = seen.tried
        assert re.fullmatch("PLAIN without TLS as unknown:[0-9a-f]{8}: unknown user", tried)
        assert seen.refusals == {
            "MAIL scanner@localhost: 550 5.7.1 You may not send with this envelope sender"
        }
        assert b"secret word" not in (tmp_path / "seen.db").read_bytes()

    run(main)


@pytest.mark.parametrize(
    ("auth", "command", "tried"),
    [
        (Auth.OFF, b"AUTH LOGIN", "LOGIN without TLS: 502 5.5.1 The command is not offered here"),
        (Auth.REQUIRED, b"AUTH PLAIN AGEAYg==", "PLAIN without TLS: 538 5.7.11 A login needs TLS here"),
        (Auth.REQUIRED, b"auth cram-md5", "CRAM-MD5 without TLS: 538 5.7.11 A login needs TLS here"),
        (Auth.REQUIRED, b"AUTH \x1b[2J", "AUTH without TLS: 538 5.7.11 A login needs TLS here"),
    ],
)
def test_a_login_that_was_not_even_taken_is_written_down(
    tmp_path: Path, auth: Auth, command: bytes, tried: str
) -> None:
    async def main() -> None:
        options = LearningOptions(("127.77.0.0/16",), "world", 4e9, TENANT.domains)
        listener = ListenerOptions("test", networks=(), auth=auth)
        async with house(
            listener=listener,
            routes=ROUTES,
            tenant=TENANT,
            learning=options,
            seen=SeenStore(tmp_path / "seen.db", 1e9),
        ) as h:
            wire = await greeted(h.port, "127.77.0.7")
            assert (await wire.say(command + b"\r\n")).startswith(b"5")
            await wire.close()
        ((who, seen),) = store.read(tmp_path / "seen.db")
        assert who == Who("learning:127.77.0.7", "127.77.0.7", LEARNING)
        assert (seen.mails, seen.tried) == (0, {tried})

    run(main)


def test_a_client_is_written_down_by_its_mechanism(tmp_path: Path) -> None:
    async def main() -> None:
        listener = ListenerOptions("test", auth=Auth.OPTIONAL, auth_without_tls=True)
        async with house(
            listener=listener,
            clients=clients(),
            routes=ROUTES,
            rewrites=[Rewrite(("example.com",), "noreply@contoso.com")],
            seen=SeenStore(tmp_path / "seen.db", 1e9),
        ) as h:
            wire = await greeted(h.port)
            assert (await log_in(wire)).startswith(b"235")
            await wire.say(b"MAIL FROM:<a@example.com>\r\n")
            await wire.say(b"RCPT TO:<b@else.example>\r\n")
            await wire.say(b"DATA\r\n")
            assert (await wire.say(b"From: a@example.com\r\n\r\nx\r\n.\r\n")).startswith(b"250")
            await wire.close()
        ((who, seen),) = store.read(tmp_path / "seen.db")
        assert who == Who("erp", "127.0.0.1", "PLAIN")
        # As the client wrote it, which is what its rule must allow.
        assert (seen.mails, seen.plain, seen.senders) == (1, 1, {"a@example.com"})
        assert not seen.authors and not seen.domains

    run(main)
