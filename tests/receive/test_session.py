"""A session over a real socket: what goes in comes to lie in the spool, and is answered after that."""

import asyncio
import random
import smtplib

from relay.trace.event import Accepted
from tests.receive.harness import Client, house, run, without_own_fields

MAIL = (
    b"Message-ID: <1@client>\r\nDate: Tue, 24 Nov 2026 02:00:00 +0000\r\nSubject: x\r\n\r\nHello\r\n.dot\r\n"
)


def test_a_mail_lies_in_the_spool_when_it_is_answered() -> None:
    async def main() -> None:
        async with house() as h:
            client = await Client.connect(h.port)
            await client.open_mail()
            reply = await client.say(MAIL.replace(b"\r\n.", b"\r\n..") + b".\r\n")
            assert reply.startswith(b"250 2.0.0 queued as ")
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


def test_a_large_mail_streams_through_in_order() -> None:
    body = random.Random(1).randbytes(3_000_000).hex().encode()
    lines = b"\r\n".join(body[at : at + 900] for at in range(0, len(body), 900)) + b"\r\n"

    async def main() -> None:
        async with house() as h:
            client = await Client.connect(h.port)
            await client.open_mail()
            assert (await client.say(MAIL.replace(b"\r\n.", b"\r\n..") + lines + b".\r\n")).startswith(
                b"250 2.0.0"
            )
            ((envelope, content),) = h.mails()
            assert without_own_fields(content) == MAIL + lines
            assert envelope.chunks > 20 and envelope.size == len(content)
            assert not list(h.store.partial())
            await client.close()

    run(main)
