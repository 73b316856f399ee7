"""Tricks with From: what one program reads as the author another does not. A client that is held to its From meets them all."""

from base64 import b64encode

import pytest

from relay.receive.options import Auth, ListenerOptions
from tests.fakes.clients import clients
from tests.receive.harness import Client, house, run

CLEAR = ListenerOptions("test", auth=Auth.REQUIRED, auth_without_tls=True)
GOOD = b"From: alice@example.com\r\n"
TRICKS = {
    "two fields": GOOD + b"From: ceo@bank.test\r\n",
    "two fields, one with a space before its colon": GOOD + b"From : ceo@bank.test\r\n",
    "two fields in other cases": b"FROM: ceo@bank.test\r\nfrom: alice@example.com\r\n",
    "no field": b"Subject: x\r\n",
    "an empty field": b"From:\r\n",
    "two addresses": b"From: alice@example.com, ceo@bank.test\r\n",
    "two addresses in brackets": b"From: <alice@example.com> <ceo@bank.test>\r\n",
    "a group": b"From: alice@example.com: ceo@bank.test;\r\n",
    "an empty group": b"From: undisclosed:;\r\n",
    "an address as a name": b'From: "alice@example.com" <ceo@bank.test>\r\n',
    "an address as a name without quotes": b"From: alice@example.com <ceo@bank.test>\r\n",
    "an address in a comment": b"From: ceo@bank.test (alice@example.com)\r\n",
    "an address in a comment within": b"From: <(alice@example.com)ceo@bank.test>\r\n",
    "a source route": b"From: <@example.com:ceo@bank.test>\r\n",
    "a nested comment": b"From: (a(b)alice@example.com <) ceo@bank.test\r\n",
    "a comment that does not end": b"From: alice@example.com (<ceo@bank.test>\r\n",
    "a quote that does not end": b'From: "alice@example.com <ceo@bank.test>\r\n',
    "a bracket in a quote": b'From: "<alice@example.com>" <ceo@bank.test>\r\n',
    "an at sign in a quote": b'From: "alice@example.com"@bank.test\r\n',
    "two at signs": b"From: ceo@bank.test@example.com\r\n",
    "an encoded word as an address": b"From: =?utf-8?q?alice=40example.com?= <ceo@bank.test>\r\n",
    "an encoded address": b"From: =?utf-8?b?" + b64encode(b"alice@example.com") + b"?=\r\n",
    "a folded address": b"From: ceo@bank.test\r\n (\r\n alice@example.com)\r\n",
    "a fold within the domain": b"From: alice@example.com\r\n .bank.test\r\n",
    "a subdomain": b"From: alice@example.com.bank.test\r\n",
    "a domain with a dot at its end": b"From: alice@example.com.\r\n",
    "a domain that looks alike": "From: alice@ex\u0430mple.com\r\n".encode(),
    "a literal": b"From: alice@[127.0.0.1]\r\n",
    "a line that only looks like From": b" From: alice@example.com\r\nFrom: ceo@bank.test\r\n",
    "From in the body": b"Subject: x\r\n\r\nFrom: alice@example.com\r\n",
    "much too long": b"From: " + b"(" * 5_000 + b" alice@example.com\r\n",
}


@pytest.mark.parametrize("trick", TRICKS)
def test_a_trick_is_refused(trick: str) -> None:
    assert _said(TRICKS[trick])[:9] == b"550 5.7.1"


@pytest.mark.parametrize(
    "field",
    [GOOD, b'From: "Bank, CEO" <alice@example.com>\r\n', b"From: (x) Alice <alice@EXAMPLE.com> (y)\r\n", b"From:\r\n\t<alice@example.com>\r\n"],
)  # fmt: skip
def test_what_has_one_author_passes(field: bytes) -> None:
    assert _said(field)[:3] == b"250"


def _said(field: bytes) -> bytes:
    """The reply to a mail with this field, of a client that may send as example.com."""
    said = b""

    async def main() -> None:
        nonlocal said
        async with house(listener=CLEAR, clients=clients()) as h:
            client = await Client.connect(h.port)
            await client.reply()
            await client.say(b"EHLO a\r\n")
            assert (await client.say(b"AUTH PLAIN " + b64encode(b"\0erp\0sesame") + b"\r\n")).startswith(
                b"235"
            )
            await client.say(b"MAIL FROM:<alice@example.com>\r\n")
            await client.say(b"RCPT TO:<bob@example.com>\r\n")
            await client.say(b"DATA\r\n")
            said = await client.say(field + b"\r\nHello\r\n.\r\n")
            assert len(h.mails()) == said.startswith(b"250")
            await client.close()

    run(main)
    return said
