"""Whose name a mail may bear: each rule, what it refuses, what it lets pass, and what only warns."""

import pytest

from relay.identity.client import Client, Policy
from relay.receive.options import Action, Rewrite, SpoofingOptions
from relay.route.route import Route
from relay.route.tenant import Tenant
from relay.trace.event import CommandRefused, SpoofingSuspected
from tests.fakes.clients import clients
from tests.receive.harness import house, run
from tests.receive.test_auth import greeted, send

ALL = SpoofingOptions(Action.REFUSE, Action.REFUSE, Action.REFUSE, Action.REFUSE)
CONTOSO = Tenant(("contoso.com", "*.contoso.com"))
OPEN = (Route("world", ("mx.example",)),)
OK = b"250 2.0.0"
NO_AUTHOR = b"550 5.7.1 The mail needs one From field with one address"
FOREIGN = b"550 5.7.1 Mail from the domain in From is not sent here"
SENDER = b"550 5.7.1 The Sender field must be one address"
OTHER_NAME = b"550 5.7.1 The name in From shows an address of another domain"
TRICKY = b"550 5.7.1 The name in From holds characters"
REPORTS = b"550 5.7.1 The null sender is for reports"

MAILS = [
    (b"a@contoso.com", b"From: a@contoso.com", OK),
    (b"a@contoso.com", b"From: A <a@X.Contoso.com>", OK),
    (b"a@contoso.com", b"Subject: x", NO_AUTHOR),
    (b"a@contoso.com", b"From: a@contoso.com\r\nFROM: a@contoso.com", NO_AUTHOR),
    (b"a@contoso.com", b"From: a@contoso.com\r\nFrom : b@contoso.com", NO_AUTHOR),
    (b"a@contoso.com", b"From: a@contoso.com, b@contoso.com", NO_AUTHOR),
    (b"a@contoso.com", b"From: All: a@contoso.com;", NO_AUTHOR),
    (b"a@contoso.com", b"From: <a@contoso.com> <b@contoso.com>", NO_AUTHOR),
    (b"a@contoso.com", b"From: boss", NO_AUTHOR),
    (b"a@contoso.com", b"From:", NO_AUTHOR),
    (b"a@contoso.com", b"From: a@evil.example", FOREIGN),
    (b"a@contoso.com", b"From: a@notcontoso.com", FOREIGN),
    (b"a@contoso.com", b"From: a@contoso.com.evil.example", FOREIGN),
    (b"a@contoso.com", b'From: "a@contoso.com"@evil.example', FOREIGN),
    (b"a@contoso.com", b"From: a@contoso.com\r\nSender: b@contoso.com", OK),
    (b"a@contoso.com", b"From: a@contoso.com\r\nSender: b@evil.example", SENDER),
    (b"a@contoso.com", b"From: a@contoso.com\r\nSender: b@contoso.com\r\nSender: b@contoso.com", SENDER),
    (b"a@contoso.com", b"From: a@contoso.com\r\nSender:", SENDER),
    (b"a@contoso.com", b'From: "boss@rival.example" <a@contoso.com>', OTHER_NAME),
    (b"a@contoso.com", b"From: =?utf-8?q?boss=40rival.example?= <a@contoso.com>", OTHER_NAME),
    (b"a@contoso.com", b'From: "a@x.contoso.com" <a@contoso.com>', OK),
    (b"a@contoso.com", b"From: =?utf-8?q?a=E2=80=AEb?= <a@contoso.com>", TRICKY),
    (b"a@contoso.com", b"From: =?utf-8?q?a=00b?= <a@contoso.com>", TRICKY),
    (b"", b"From: a@contoso.com", REPORTS),
    (b"", b"From: a@contoso.com\r\nAuto-Submitted: no", REPORTS),
    (b"", b"From: a@contoso.com\r\nAuto-Submitted: auto-replied", OK),
    (b"", b"From: a@contoso.com\r\nContent-Type: Multipart/Report; report-type=delivery-status; boundary=x", OK),
    (b"", b"From: a@contoso.com\r\nContent-Type: multipart/reporting", REPORTS),
]  # fmt: skip


@pytest.mark.parametrize(("sender", "header", "reply"), MAILS)
def test_each_rule_refuses_what_it_should_and_no_other(sender: bytes, header: bytes, reply: bytes) -> None:
    async def main() -> None:
        async with house(routes=OPEN, tenant=CONTOSO, spoofing=ALL) as h:
            wire = await greeted(h)
            said = await send(wire, sender, header + b"\r\n\r\nx\r\n")
            assert said.startswith(reply), said
            assert len(h.mails()) == (reply == OK)
            assert any(isinstance(event, CommandRefused) for event in h.events) is (reply != OK)
            assert not any(isinstance(event, SpoofingSuspected) for event in h.events)
            await wire.close()

    run(main)


def test_a_rule_that_warns_lets_the_mail_pass_and_says_so() -> None:
    async def main() -> None:
        warn = SpoofingOptions(Action.WARN, Action.WARN, Action.WARN, Action.WARN)
        async with house(routes=OPEN, tenant=CONTOSO, spoofing=warn) as h:
            wire = await greeted(h)
            header = b'From: "b@contoso.com" <a@evil.example>\r\nSender: c@evil.example\r\n\r\nx\r\n'
            assert (await send(wire, b"", header)).startswith(OK)
            events = [event for event in h.events if isinstance(event, SpoofingSuspected)]
            assert [event.rule for event in events] == ["from", "sender", "display_name", "null_sender"]
            assert {event.author for event in events} == {"a@evil.example"}
            assert {event.client for event in events} == {"127.0.0.1"}
            ((envelope, _),) = h.mails()
            assert {event.id for event in events} == {events[0].id}
            assert envelope.sender == b""
            await wire.close()

    run(main)


@pytest.mark.parametrize(("sender", "header", "reply"), MAILS)
def test_without_rules_everything_passes(sender: bytes, header: bytes, reply: bytes) -> None:
    async def main() -> None:
        async with house(routes=OPEN) as h:
            wire = await greeted(h)
            assert (await send(wire, sender, header + b"\r\n\r\nx\r\n")).startswith(OK)
            assert not any(isinstance(event, SpoofingSuspected) for event in h.events)
            await wire.close()

    run(main)


def test_without_domains_only_the_form_is_judged() -> None:
    async def main() -> None:
        async with house(routes=OPEN, spoofing=ALL) as h:
            wire = await greeted(h)
            assert (await send(wire, mail=b"From: a@evil.example\r\n\r\nx\r\n")).startswith(OK)
            assert (await send(wire, mail=b"From: a, b\r\n\r\nx\r\n")).startswith(NO_AUTHOR)
            await wire.close()

    run(main)


def test_what_a_clients_own_rules_name_is_allowed_to_it() -> None:
    async def main() -> None:
        partner = Client(
            "partner", networks=("127.0.0.1/32",), policy=Policy(("contoso.com",), ("partner.example",))
        )
        async with house(routes=OPEN, tenant=CONTOSO, spoofing=ALL, clients=clients(partner)) as h:
            wire = await greeted(h)
            header = b"From: a@partner.example\r\nSender: b@partner.example\r\n\r\nx\r\n"
            assert (await send(wire, b"a@contoso.com", header)).startswith(OK)
            await wire.close()

    run(main)


def test_what_counts_is_the_author_that_readers_see() -> None:
    async def main() -> None:
        rewrites = (Rewrite(("printer.local",), "printer@contoso.com"),)
        async with house(routes=OPEN, tenant=CONTOSO, spoofing=ALL, rewrites=rewrites) as h:
            wire = await greeted(h)
            header = b"From: Printer 3 <p3@printer.local>\r\n\r\nx\r\n"
            assert (await send(wire, b"p3@printer.local", header)).startswith(OK)
            assert (await send(wire, b"a@contoso.com", header)).startswith(FOREIGN)
            await wire.close()

    run(main)
