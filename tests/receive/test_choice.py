"""Routes as a client meets them: refusals at RCPT, the choice when the mail is whole."""

from collections.abc import Awaitable, Callable, Sequence

import pytest

from relay.identity.dkim import DomainPolicy, KeyRing, Selector
from relay.message.priority import Priority
from relay.receive.options import Rewrite
from relay.route.match import Match, Side
from relay.route.route import MailboxRule, Route, Withheld
from relay.route.tenant import Tenant
from relay.spool.change import Abandon, Accept, Stream
from tests import oracle
from tests.identity.keys import ed25519_key, rsa_key
from tests.receive.harness import Client, HeldCommitter, House, house, run

TENANT = Tenant(("contoso.com",))
A, B = Withheld("a@contoso.com"), Withheld("b@contoso.com")
HIGH_VOLUME = Route(
    "high-volume", ("h",), internal_only=True, sender_fixed=True, message_size_bytes=2000, mailboxes=(A, B)
)
POOL = Route(
    "pool", ("h",), message_size_bytes=600_000, mailboxes=(A,), mailbox_rules=(MailboxRule((A.username,), ("news.contoso.com",)),)
)  # fmt: skip
MAIL = b"From: A <a@contoso.com>\r\nTo: x\r\nMessage-ID: <1@c>\r\nDate: x\r\n\r\nHello\r\n"
RCPT_INSIDE, RCPT_OUTSIDE = b"x@contoso.com", b"y@b.example"


async def ask(client: Client, sender: bytes, *recipients: bytes, parameters: bytes = b"") -> list[bytes]:
    """The replies to MAIL and each RCPT."""
    replies = [await client.say(b"MAIL FROM:<%b>%b\r\n" % (sender, parameters))]
    return replies + [await client.say(b"RCPT TO:<%b>\r\n" % each) for each in recipients]


async def send(client: Client, sender: bytes, *recipients: bytes, mail: bytes = MAIL) -> bytes:
    """One mail whose recipients are all taken; the reply to its content."""
    replies = await ask(client, sender, *recipients)
    assert all(reply.startswith(b"250 ") for reply in replies), replies
    assert (await client.say(b"DATA\r\n")).startswith(b"354 ")
    return await client.say(oracle.stuff(mail, True) + b".\r\n")


def talk(
    routes: Sequence[Route],
    story: Callable[[House, Client], Awaitable[None]],
    keys: KeyRing | None = None,
    held: HeldCommitter | None = None,
    rewrites: tuple[Rewrite, ...] = (),
) -> None:
    """Tell it on a session that has said EHLO."""

    async def main() -> None:
        async with house(routes=routes, tenant=TENANT, keys=keys, held=held, rewrites=rewrites) as relay:
            client = await Client.connect(relay.port)
            await client.reply()
            await client.say(b"EHLO client.example\r\n")
            try:
                await story(relay, client)
            finally:
                await client.close()

    run(main)


def taken(relay: House) -> list[list[tuple[bytes, str]]]:
    """Recipients and routes of the mails in the spool."""
    return [[(each.address, each.route) for each in envelope.recipients] for envelope, _ in relay.mails()]


@pytest.mark.parametrize(
    ("sender", "recipient", "parameters", "reply"),
    [
        (b"a@contoso.com", RCPT_INSIDE, b"", b"250 2.1.5"),
        (b"a@contoso.com", RCPT_OUTSIDE, b"", b"250 2.1.5"),
        (b"b@contoso.com", RCPT_OUTSIDE, b"", b"550 5.7.1 Mail like this goes to recipients inside"),
        (b"z@news.contoso.com", RCPT_OUTSIDE, b"", b"250 2.1.5"),
        (b"z@other.example", RCPT_OUTSIDE, b"", b"550 5.7.1 Mail like this goes to recipients inside"),
        (
            b"z@other.example",
            RCPT_INSIDE,
            b"",
            b"550 5.7.1 No mail to this recipient is taken from this sender",
        ),
        (b"", RCPT_INSIDE, b"", b"550 5.7.1 No mail to this recipient is taken from this sender"),
        (b"a@contoso.com", RCPT_OUTSIDE, b" SIZE=600000", b"250 2.1.5"),
        (
            b"a@contoso.com",
            RCPT_OUTSIDE,
            b" SIZE=600001",
            b"552 5.3.4 A mail to this recipient may have 600000",
        ),
        (b"a@contoso.com", RCPT_INSIDE, b" SIZE=2001", b"250 2.1.5"),
        (b"b@contoso.com", RCPT_INSIDE, b" SIZE=2000", b"250 2.1.5"),
        (b"b@contoso.com", RCPT_INSIDE, b" SIZE=2001", b"552 5.3.4 A mail to this recipient may have 2000"),
    ],
)
def test_a_recipient_that_no_route_can_reach_is_refused_at_rcpt(
    sender: bytes, recipient: bytes, parameters: bytes, reply: bytes
) -> None:
    async def story(relay: House, client: Client) -> None:
        mail, rcpt = await ask(client, sender, recipient, parameters=parameters)
        assert mail.startswith(b"250 ") and rcpt.startswith(reply), rcpt
        assert b"high-volume" not in rcpt and b"pool" not in rcpt

    talk((HIGH_VOLUME, POOL), story)


def test_a_refused_recipient_keeps_no_other_from_its_mail() -> None:
    async def story(relay: House, client: Client) -> None:
        _, first, second = await ask(client, b"x@other.example", RCPT_OUTSIDE, RCPT_INSIDE)
        assert first.startswith(b"550 ") and second.startswith(b"250 ")
        assert (await client.say(b"DATA\r\n")).startswith(b"354 ")
        assert (await client.say(MAIL + b".\r\n")).startswith(b"250 ")
        assert taken(relay) == [[(RCPT_INSIDE, "direct")]]

    talk((Route("direct", ("h",), internal_only=True),), story)


def test_recipients_that_go_different_ways_are_one_mail_with_two_routes() -> None:
    async def story(relay: House, client: Client) -> None:
        reply = await send(client, b"a@contoso.com", RCPT_INSIDE, RCPT_OUTSIDE, b"z@contoso.com")
        assert reply.startswith(b"250 ")
        assert taken(relay) == [
            [(RCPT_INSIDE, "high-volume"), (RCPT_OUTSIDE, "pool"), (b"z@contoso.com", "high-volume")]
        ]
        assert [queued.routes for queued in relay.announced.queued] == [("high-volume", "pool")]

    talk((HIGH_VOLUME, POOL), story)


@pytest.mark.parametrize(
    ("mail", "route"),
    [
        (MAIL, "high-volume"),
        (MAIL.replace(b"a@contoso", b"b@contoso"), "pool"),
        (MAIL.replace(b"A <a@contoso.com>", b"a@contoso.com, b@contoso.com"), "pool"),
        (MAIL.replace(b"From:", b"Sender:"), "pool"),
        (MAIL + b"x\r\n" * 700, "pool"),
        (MAIL + b"x" * 998 + b"\r\n" + b"y" * 998 + b"\r\n", "pool"),
    ],
)
def test_from_and_size_settle_the_route_when_the_mail_is_whole(mail: bytes, route: str) -> None:
    async def story(relay: House, client: Client) -> None:
        assert (await send(client, b"a@contoso.com", RCPT_INSIDE, mail=mail)).startswith(b"250 ")
        assert taken(relay) == [[(RCPT_INSIDE, route)]]

    talk((HIGH_VOLUME, POOL), story)


@pytest.mark.parametrize(
    ("fields", "parameters", "route"),
    [
        (b"", b"", "rest"),
        (b"X-Relay-Priority: high\r\n", b"", "urgent"),
        (b"X-Relay-Priority: bulk\r\n", b"", "rest"),
        (b"", b" MT-PRIORITY=4", "urgent"),
        (b"X-Relay-Campaign: spring-1\r\n", b"", "campaigns"),
        (b"X-Relay-Campaign: autumn\r\n", b"", "rest"),
        (b"X-Relay-Campaign: spring-1\r\nX-Relay-Priority: high\r\n", b"", "urgent"),
    ],
)
def test_what_a_mail_says_of_itself_settles_the_route(fields: bytes, parameters: bytes, route: str) -> None:
    async def story(relay: House, client: Client) -> None:
        await ask(client, b"a@contoso.com", RCPT_OUTSIDE, parameters=parameters)
        await client.say(b"DATA\r\n")
        assert (await client.say(fields + MAIL + b".\r\n")).startswith(b"250 ")
        assert taken(relay) == [[(RCPT_OUTSIDE, route)]]
        assert [queued.routes for queued in relay.announced.queued] == [(route,)]

    urgent = Route("urgent", ("h",), matches=(Match(priorities=(Priority.HIGH,)),))
    campaigns = Route("campaigns", ("h",), matches=(Match(campaigns=("spring-*",)),))
    talk((urgent, campaigns, Route("rest", ("h",))), story)


def test_a_rewritten_sender_is_the_one_that_counts() -> None:
    async def story(relay: House, client: Client) -> None:
        device = MAIL.replace(b"a@contoso.com", b"printer@local")
        assert (await send(client, b"printer@local", RCPT_INSIDE, mail=device)).startswith(b"250 ")
        assert taken(relay) == [[(RCPT_INSIDE, "high-volume")]]
        _, rcpt = await ask(client, b"other@remote", RCPT_INSIDE)
        assert rcpt.startswith(b"550 5.7.1 ")

    talk((HIGH_VOLUME,), story, rewrites=(Rewrite(("local",), "a@contoso.com"),))


def test_a_mail_that_breaks_a_rule_of_every_route_is_refused_and_the_next_one_taken() -> None:
    async def story(relay: House, client: Client) -> None:
        foreign = MAIL.replace(b"a@contoso.com", b"boss@contoso.com")
        reply = await send(client, b"a@contoso.com", RCPT_INSIDE, b"z@contoso.com", mail=foreign)
        assert reply == b"550 5.7.1 <x@contoso.com>: From must have one address, the sender's own\r\n"
        large = MAIL + b"x" * 998 + b"\r\n" + b"y" * 998 + b"\r\n"
        reply = await send(client, b"a@contoso.com", RCPT_INSIDE, mail=large)
        assert reply.startswith(b"552 5.3.4 <x@contoso.com>: A mail to this recipient may have 2000 bytes")
        assert relay.mails() == [] == relay.announced.queued
        assert (await send(client, b"a@contoso.com", RCPT_INSIDE)).startswith(b"250 ")
        assert taken(relay) == [[(RCPT_INSIDE, "high-volume")]]

    talk((HIGH_VOLUME,), story)


def test_what_was_streamed_of_a_mail_without_a_route_is_dropped() -> None:
    held = HeldCommitter()
    held.eager = True

    async def story(relay: House, client: Client) -> None:
        large = MAIL + (b"x" * 998 + b"\r\n") * 700
        reply = await send(client, b"a@contoso.com", RCPT_OUTSIDE, mail=large)
        assert reply.startswith(b"552 5.3.4 ")
        kinds = [type(change) for change in held.changes]
        assert kinds[0] is Stream and kinds[-1] is Abandon and Accept not in kinds
        assert (await send(client, b"a@contoso.com", RCPT_OUTSIDE)).startswith(b"250 ")

    talk((POOL,), story, held=held)


def test_a_declared_size_is_not_believed() -> None:
    async def story(relay: House, client: Client) -> None:
        await ask(client, b"a@contoso.com", RCPT_INSIDE, parameters=b" SIZE=1")
        await client.say(b"DATA\r\n")
        large = MAIL + b"x" * 998 + b"\r\n" + b"y" * 998 + b"\r\n"
        assert (await client.say(large + b".\r\n")).startswith(b"552 5.3.4 ")

    talk((HIGH_VOLUME,), story)


@pytest.mark.parametrize(
    "selector", [Selector(b"e", ed25519_key()), Selector(b"r", rsa_key())], ids=["quick", "in a thread"]
)
def test_the_size_that_counts_is_that_of_the_signed_mail(selector: Selector) -> None:
    keys = KeyRing([DomainPolicy(b"contoso.com", (selector,))])
    sizes: list[int] = []

    async def measure(relay: House, client: Client) -> None:
        await send(client, b"a@contoso.com", RCPT_OUTSIDE)
        sizes.extend(envelope.size for envelope, _ in relay.mails())

    talk((Route("any", ("h",)),), measure, keys)
    (size,) = sizes

    async def story(relay: House, client: Client) -> None:
        reply = await send(client, b"a@contoso.com", RCPT_OUTSIDE)
        assert reply.startswith(
            b"552 5.3.4 <y@b.example>: A mail to this recipient may have %d" % (size - 100)
        )
        assert relay.mails() == []

    talk((Route("tight", ("h",), message_size_bytes=size - 100),), story, keys)

    async def fits(relay: House, client: Client) -> None:
        assert (await send(client, b"a@contoso.com", RCPT_OUTSIDE)).startswith(b"250 ")
        assert taken(relay) == [[(RCPT_OUTSIDE, "roomy")]]

    tight, roomy = (Route(name, ("h",), message_size_bytes=size + more) for name, more in (("tight", -100), ("roomy", 100)))  # fmt: skip
    talk((tight, roomy), fits, keys)


@pytest.mark.parametrize(
    ("network", "reply"), [("127.0.0.0/8", b"250 "), ("192.0.2.0/24", b"550 5.7.1 No route leads")]
)
def test_a_route_may_be_for_some_clients(network: str, reply: bytes) -> None:
    async def story(relay: House, client: Client) -> None:
        _, rcpt = await ask(client, b"a@contoso.com", RCPT_OUTSIDE)
        assert rcpt.startswith(reply)
        assert (await client.say(b"RCPT TO:<%b>\r\n" % RCPT_INSIDE)).startswith(b"550 5.7.1 No route leads")

    match = Match(clients=(network,), recipients_are=Side.OUTSIDE)
    talk((Route("r", ("h",), matches=(match,)),), story)
