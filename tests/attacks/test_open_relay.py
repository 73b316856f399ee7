"""Open-relay probes: spellings that make some servers send where their own rules do not lead.

The relay routes by the domain behind the last `@` outside of quotes and interprets nothing
else: a recipient of ours that names another one is the next hop's business, verbatim.
"""

import pytest

from relay.receive.options import ListenerOptions
from relay.route.route import Route
from tests.receive.harness import Client, house, run

OURS = (Route("ward", ("mx.ward.example",), recipients=("example.com", "postmaster")),)
"""Mail to example.com and nothing else."""
REFUSED = [
    b"victim@outside.test", b'"victim@outside.test"', b'"victim@outside.test"@relay.example', b"victim%outside.test@relay.example",
    b"victim%outside.test", b"outside.test!victim", b"outside.test!victim@relay.example", b"@relay.example:victim@outside.test",
    b"@example.com:victim@outside.test", b"@example.com,@relay.example:victim@outside.test", b"victim@outside.test@example.com",
    b"victim@[127.0.0.1]", b"victim@[192.0.2.1]", b"victim@[IPv6:::1]", b"victim@localhost", b"victim@relay.example",
    b"victim@example.com.outside.test", b"victim@outside.test,example.com", b"victim@sub.example.com", b"victim@notexample.com",
    b"victim@example.com.", b"victim@.example.com", b"victim@example..com", b"victim@exam\\ple.com", b"victim@example.com\\0.outside.test",
    b"victim@example.com ", b"victim@example.com>, <victim@outside.test", b"<victim@outside.test>", b"victim@outside.test#example.com",
    b"victim@outside.test?example.com", b"victim@", b"@example.com", b"victim", b'"victim"', b"postmaster@outside.test",
    "victim@ｅｘａｍｐｌｅ.com".encode(), "victim@example\u3002com".encode(), "victim@ex\u0430mple.com".encode(),
    "victim@example.com\u200b".encode(), b"victim@xn--exmple-cua.com", b"victim@example\xff.com",
]  # fmt: skip
KEPT = [
    b"victim%outside.test@example.com", b"outside.test!victim@example.com", b'"victim@outside.test"@example.com',
    b'"victim%outside.test"@example.com', b"victim@EXAMPLE.com", b"relay.example!outside.test!victim@example.com", b"postmaster",
]  # fmt: skip


async def answers(client: Client, recipients: list[bytes], parameters: bytes = b"") -> list[bytes]:
    """The replies to each, in a transaction of its own."""
    found = []
    for recipient in recipients:
        assert (await client.say(b"MAIL FROM:<probe@probe.test>%b\r\n" % parameters)).startswith(b"250")
        found.append(await client.say(b"RCPT TO:<%b>\r\n" % recipient))
        assert (await client.say(b"RSET\r\n")).startswith(b"250")
    return found


@pytest.mark.parametrize("parameters", [b"", b" SMTPUTF8"])
@pytest.mark.parametrize("start", range(0, len(REFUSED), 8))
def test_no_spelling_leads_outside(start: int, parameters: bytes) -> None:
    async def main() -> None:
        async with house(routes=OURS) as h:
            client = await Client.connect(h.port)
            await client.reply()
            await client.say(b"EHLO probe.test\r\n")
            probes = REFUSED[start : start + 8]
            found = await answers(client, probes, parameters)
            assert all(answer.startswith(b"5") for answer in found), dict(zip(probes, found, strict=True))
            await client.close()

    run(main)


@pytest.mark.parametrize("recipient", KEPT)
def test_a_recipient_of_ours_goes_on_as_it_was_written(recipient: bytes) -> None:
    async def main() -> None:
        async with house(routes=OURS) as h:
            client = await Client.connect(h.port)
            await client.open_mail(recipient)
            assert (await client.say(b"Subject: x\r\n\r\n.\r\n")).startswith(b"250")
            ((envelope, _),) = h.mails()
            assert [(each.address, each.route) for each in envelope.recipients] == [(recipient, "ward")]
            await client.close()

    run(main)


@pytest.mark.parametrize(
    "sender", [b"", b"postmaster@example.com", b"root@relay.example", b"a@[127.0.0.1]", b'"a@example.com"@outside.test']
)  # fmt: skip
def test_no_sender_opens_what_is_closed(sender: bytes) -> None:
    async def main() -> None:
        async with house(routes=OURS) as h:
            client = await Client.connect(h.port)
            await client.reply()
            await client.say(b"EHLO relay.example\r\n")
            assert (await client.say(b"MAIL FROM:<%b>\r\n" % sender)).startswith(b"250")
            assert (await client.say(b"RCPT TO:<victim@outside.test>\r\n")).startswith(b"550 5.7.1")
            await client.close()

    run(main)


def test_who_is_not_served_is_told_so_before_anything() -> None:
    async def main() -> None:
        async with house(listener=ListenerOptions("test", networks=("192.0.2.0/24",))) as h:
            client = await Client.connect(h.port)
            client.writer.write(b"EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<bob@example.com>\r\nDATA\r\n")
            assert (await client.rest()).startswith(b"554 5.")
            assert h.mails() == []
            await client.close()

    run(main)
