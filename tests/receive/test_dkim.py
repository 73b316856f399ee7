"""Mail that comes in is signed: whose, with what, and what happens when it cannot be."""

import asyncio
import socket
import struct
import threading
from collections.abc import Sequence

import pytest

from relay.identity.dkim import DomainPolicy, Existing, KeyRing, OnFailure, Selector
from relay.identity.dkim_key import SigningKey
from relay.message.dkim.canonical import Canonicalization
from relay.message.header import Header
from relay.receive.options import Limits
from relay.trace.event import Event, SigningFailed
from tests import dkimpy, oracle
from tests.identity.keys import ed25519_key, ed25519_pem, rsa_key
from tests.receive.harness import Client, House, house, run, until

RSA = Selector(b"r1", rsa_key())
ED25519 = Selector(b"e1", ed25519_key())
RECORDS = {
    selector.name + b"._domainkey.example.com": selector.key.public_record_value().encode()
    for selector in (RSA, ED25519)
}
MAIL = b"From: Alice <alice@example.com>\r\nTo: bob@example.com\r\nSubject: x\r\n\r\nHello  there \r\n\r\n"


class BrokenKey(SigningKey):
    """A key whose library fails."""

    def __init__(self) -> None:
        super().__init__(ed25519_pem(), "broken.pem")

    def sign(self, data: bytes) -> bytes:
        raise RuntimeError("no entropy")


class SlowKey(SigningKey):
    """An RSA key that signs when the test lets it."""

    def __init__(self) -> None:
        super().__init__(rsa_key().pem, "slow.pem")
        self.may_sign = threading.Event()
        self.signs = threading.Event()

    def sign(self, data: bytes) -> bytes:
        self.signs.set()
        assert self.may_sign.wait(10)
        return super().sign(data)


def ring(*selectors: Selector, domain: bytes = b"example.com", body: Canonicalization = Canonicalization.RELAXED,
         on_failure: OnFailure = OnFailure.DEFER, existing: Existing = Existing.SIGN) -> KeyRing:  # fmt: skip
    return KeyRing([DomainPolicy(domain, selectors, body=body, on_failure=on_failure, existing=existing)])


async def send(client: Client, mail: bytes) -> bytes:
    """One mail on an open session; the last reply."""
    await client.say(b"MAIL FROM:<alice@example.com>\r\n")
    await client.say(b"RCPT TO:<bob@example.com>\r\n")
    await client.say(b"DATA\r\n")
    return await client.say(oracle.stuff(mail, True) + b".\r\n")


async def connect(relay: House) -> Client:
    client = await Client.connect(relay.port)
    await client.reply()
    await client.say(b"EHLO client.example\r\n")
    return client


def exchange(keys: KeyRing, mails: Sequence[bytes] = (MAIL,)) -> tuple[list[bytes], list[bytes], list[Event]]:
    """Replies, what the spool holds and events, for mails on one session."""
    replies: list[bytes] = []
    kept: list[bytes] = []
    events: list[Event] = []

    async def main() -> None:
        async with house(keys=keys) as relay:
            client = await connect(relay)
            replies.extend([await send(client, mail) for mail in mails])
            await client.close()
            for envelope, content in relay.mails():
                assert envelope.size == len(content)
                kept.append(content)
            events.extend(relay.events)

    run(main)
    return replies, kept, events


def signatures(mail: bytes) -> int:
    return Header.of(mail).count(b"DKIM-Signature")


@pytest.mark.parametrize("selectors", [(RSA,), (ED25519,), (RSA, ED25519)], ids=["rsa", "ed25519", "both"])
@pytest.mark.parametrize("body", Canonicalization)
def test_mail_of_a_domain_with_keys_is_signed(
    selectors: tuple[Selector, ...], body: Canonicalization
) -> None:
    replies, (mail,), _ = exchange(ring(*selectors, body=body))
    assert replies[0].startswith(b"250 2.0.0 queued")
    assert mail.startswith(b"DKIM-Signature: ") and mail.endswith(MAIL)
    assert dkimpy.verifies(mail, RECORDS) == [True] * len(selectors)


def test_the_message_id_and_date_that_we_add_are_signed() -> None:
    _, (mail,), _ = exchange(ring(ED25519))
    for field in (b"Message-ID: ", b"Date: "):
        assert dkimpy.verifies(mail.replace(b"\r\n" + field, b"\r\n" + field + b"x"), RECORDS) == [False]


def test_each_mail_of_a_session_gets_a_hash_of_its_own() -> None:
    mails = [MAIL.replace(b"Hello", b"Hello %d" % number) for number in range(20)]
    _, kept, _ = exchange(ring(RSA), mails)
    assert [dkimpy.verifies(mail, RECORDS) for mail in kept] == [[True]] * 20


@pytest.mark.parametrize(
    "mail",
    [
        MAIL.replace(b"example.com>", b"example.org>"),
        MAIL.replace(b"From:", b"Sender:"),
        b"From: x@example.com\r\n" + MAIL,
        MAIL.replace(b"Alice <", b"mallory@example.org, Alice <"),
        b"no header at all\r\n",
    ],
)
def test_mail_of_others_or_of_a_doubtful_author_leaves_unsigned(mail: bytes) -> None:
    replies, (kept,), events = exchange(ring(RSA), [mail])
    assert replies[0].startswith(b"250 ")
    assert signatures(kept) == 0
    assert not [event for event in events if isinstance(event, SigningFailed)]


def test_without_a_blank_line_before_the_body_one_is_put_there() -> None:
    _, (mail,), _ = exchange(ring(ED25519), [b"From: alice@example.com\r\nSubject: x\r\nno field\r\n"])
    assert mail.endswith(b"\r\nSubject: x\r\n\r\nno field\r\n")
    assert dkimpy.verifies(mail, RECORDS) == [True]


def test_an_aligned_signature_is_left_alone_when_asked_for() -> None:
    signed = b"DKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=x; h=from; bh=AAAA; b=AAAA\r\n" + MAIL
    _, left, _ = exchange(ring(RSA, existing=Existing.LEAVE), [signed, MAIL])
    assert [signatures(mail) for mail in left] == [1, 1]
    assert left[0].startswith(b"Received: ")
    _, (again,), _ = exchange(ring(RSA, existing=Existing.SIGN), [signed])
    assert signatures(again) == 2


RETIRED = Selector(b"r1", rsa_key(), retire_at=1.0)
TO_COME = Selector(b"r1", rsa_key(), active_from=99_999_999_999.0)
BROKEN = Selector(b"e1", BrokenKey())


@pytest.mark.parametrize("selector", [RETIRED, BROKEN], ids=["retired", "broken"])
@pytest.mark.parametrize(
    ("on_failure", "reply"),
    [(OnFailure.DEFER, b"451 4.7.5"), (OnFailure.REFUSE, b"550 5.7.5"), (OnFailure.UNSIGNED, b"250 2.0.0")],
)
def test_a_mail_that_cannot_be_signed_ends_as_the_policy_says(
    selector: Selector, on_failure: OnFailure, reply: bytes
) -> None:
    replies, kept, events = exchange(ring(selector, on_failure=on_failure))
    assert replies[0].startswith(reply)
    assert len(kept) == (on_failure is OnFailure.UNSIGNED)
    (failed,) = [event for event in events if isinstance(event, SigningFailed)]
    assert (failed.domain, failed.action) == ("example.com", on_failure.value)
    assert failed.reason


def test_one_signature_that_fails_of_two_is_a_failure() -> None:
    replies, kept, _ = exchange(ring(RSA, BROKEN))
    assert replies[0].startswith(b"451 4.7.5") and kept == []


def test_mail_leaves_unsigned_until_the_first_key_begins() -> None:
    replies, (mail,), _ = exchange(ring(TO_COME))
    assert replies[0].startswith(b"250 ") and signatures(mail) == 0


def test_a_mail_in_many_records_is_signed() -> None:
    body = b"A line  of text \r\n" * 60_000
    _, (mail,), _ = exchange(ring(RSA, body=Canonicalization.SIMPLE), [MAIL + body])
    assert mail.endswith(body)
    assert dkimpy.verifies(mail, RECORDS) == [True]


def test_a_mail_in_many_records_that_cannot_be_signed_leaves_nothing() -> None:
    async def main() -> None:
        async with house(keys=ring(RSA, BROKEN)) as relay:
            client = await connect(relay)
            assert (await send(client, MAIL + b"A line of text\r\n" * 60_000)).startswith(b"451 4.7.5")
            await until(lambda: not relay.store.content_rows and not relay.store.partial_rows)
            await client.close()

    run(main)


def test_a_header_beyond_the_first_record_is_a_failure() -> None:
    long = b"From: alice@example.com\r\n" + b"X-Long: %b\r\n" % (b"x" * 900) * 400
    replies: list[bytes] = []

    async def main() -> None:
        async with house(keys=ring(RSA), limits=Limits(header_bytes=1_000_000)) as relay:
            client = await connect(relay)
            replies.append(await send(client, long + b"\r\nbody\r\n"))
            await client.close()

    run(main)
    assert replies[0].startswith(b"451 4.7.5")


def test_chunks_of_bdat_are_signed() -> None:
    async def main() -> None:
        async with house(keys=ring(RSA)) as relay:
            client = await connect(relay)
            await client.say(b"MAIL FROM:<alice@example.com>\r\n")
            await client.say(b"RCPT TO:<bob@example.com>\r\n")
            for at in range(0, len(MAIL), 7):
                piece = MAIL[at : at + 7]
                assert (await client.say(b"BDAT %d\r\n%b" % (len(piece), piece))).startswith(b"250 ")
            assert (await client.say(b"BDAT 0 LAST\r\n")).startswith(b"250 2.0.0 queued")
            await client.close()
            ((_, mail),) = relay.mails()
            assert dkimpy.verifies(mail, RECORDS) == [True]

    run(main)


def test_sessions_go_on_while_a_mail_is_signed() -> None:
    key = SlowKey()

    async def main() -> None:
        async with house(keys=ring(Selector(b"r1", key))) as relay:
            waiting, other = await connect(relay), await connect(relay)
            sending = asyncio.ensure_future(send(waiting, MAIL))
            await until(key.signs.is_set)
            assert (await other.say(b"NOOP\r\n")).startswith(b"250 ")
            assert not sending.done()
            key.may_sign.set()
            assert (await sending).startswith(b"250 2.0.0 queued")
            await waiting.close()
            await other.close()

    run(main)


def test_a_mail_is_kept_when_its_client_leaves_while_it_is_signed() -> None:
    key = SlowKey()

    async def main() -> None:
        async with house(keys=ring(Selector(b"r1", key))) as relay:
            client = await connect(relay)
            sending = asyncio.ensure_future(send(client, MAIL))
            await until(key.signs.is_set)
            # A reset: with a mere end of file the session would wait to say its reply.
            reset = struct.pack("ii", 1, 0)
            client.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
            client.writer.transport.abort()
            await asyncio.gather(sending, return_exceptions=True)
            await until(lambda: relay.receiver.sessions == 0)
            key.may_sign.set()
            await until(lambda: len(relay.mails()) == 1)

    run(main)


def test_a_drain_waits_for_a_mail_that_is_being_signed() -> None:
    key = SlowKey()

    async def main() -> None:
        async with house(keys=ring(Selector(b"r1", key))) as relay:
            client = await connect(relay)
            sending = asyncio.ensure_future(send(client, MAIL))
            await until(key.signs.is_set)
            draining = asyncio.ensure_future(relay.receiver.drain(5.0))
            await asyncio.sleep(0)
            key.may_sign.set()
            assert (await sending).startswith(b"250 2.0.0 queued")
            await client.close()
            await draining

    run(main)


def test_without_policies_nothing_is_hashed_or_signed() -> None:
    replies, (mail,), _ = exchange(KeyRing([]))
    assert replies[0].startswith(b"250 ") and signatures(mail) == 0
