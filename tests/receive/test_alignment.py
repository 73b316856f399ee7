"""DMARC: mail that would arrive unaligned is refused or told of, and a DNS that is silent stops no mail."""

import asyncio
from collections.abc import Sequence

import pytest

from relay.identity.dkim import DomainPolicy, KeyRing, Selector
from relay.identity.dkim_dns import NoAnswer
from relay.identity.dmarc_dns import Texts
from relay.receive.options import Action, SpoofingOptions
from relay.route.route import Route
from relay.trace.event import Accepted, AlignmentUnknown, SpoofingSuspected
from tests.fakes.clock import FakeClock
from tests.identity.keys import ed25519_key, rsa_key
from tests.receive.harness import house, run, until
from tests.receive.test_auth import greeted, send

OPEN = (Route("world", ("mx.example",)),)
REFUSE = SpoofingOptions(alignment=Action.REFUSE)
NOT_ALIGNED = b"550 5.7.1 The domain in From wants its mail signed or sent by itself (DMARC)"
OK = b"250 2.0.0"


class Dns:
    """What `_dmarc` names hold; `gate` holds the answers back."""

    def __init__(self, **records: str) -> None:
        self.records = {name.replace("_", "."): text for name, text in records.items()}
        self.asked: list[str] = []
        self.is_broken = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, name: str) -> Texts:
        self.asked.append(name)
        await self.gate.wait()
        if self.is_broken:
            raise NoAnswer("broken")
        text = self.records.get(name.removeprefix("_dmarc."))
        return Texts((text.encode(),), 300.0) if text else Texts()


def mail(author: str) -> bytes:
    return f"From: {author}\r\n\r\nx\r\n".encode()


SIGNED = DomainPolicy(b"contoso.com", (Selector(b"s1", ed25519_key()),), subdomains=True)
RETIRED = DomainPolicy(b"contoso.com", (Selector(b"s1", ed25519_key(), retire_at=1.0),))


@pytest.mark.parametrize(
    ("author", "sender", "keys", "reply"),
    [
        # A domain that asks for nothing.
        ("a@else.example", b"x@bounce.example", (), OK),
        ("a@relaxed.example", b"x@bounce.example", (), OK),
        # By the envelope sender.
        ("a@contoso.com", b"x@contoso.com", (), OK),
        ("a@contoso.com", b"x@bounces.contoso.com", (), OK),
        ("a@news.contoso.com", b"x@contoso.com", (), OK),
        ("a@contoso.com", b"x@bounce.example", (), NOT_ALIGNED),
        ("a@contoso.com", b"", (), NOT_ALIGNED),
        ("a@contoso.com", b"x@notcontoso.com", (), NOT_ALIGNED),
        # By a signature of ours.
        ("a@contoso.com", b"x@bounce.example", (SIGNED,), OK),
        ("a@News.Contoso.com", b"x@bounce.example", (SIGNED,), OK),
        # Strictly.
        ("a@strict.example", b"x@sub.strict.example", (), NOT_ALIGNED),
        ("a@strict.example", b"x@strict.example", (), OK),
        # Who has no author has no domain that asks.
        ("a@contoso.com, b@else.example", b"x@bounce.example", (), OK),
    ],
)
def test_mail_that_would_arrive_unaligned_is_refused(
    author: str, sender: bytes, keys: Sequence[DomainPolicy], reply: bytes
) -> None:
    async def main() -> None:
        look_up = Dns(
            contoso_com="v=DMARC1; p=reject",
            relaxed_example="v=DMARC1; p=none",
            strict_example="v=DMARC1; p=quarantine; adkim=s; aspf=s",
        )
        async with house(routes=OPEN, spoofing=REFUSE, look_up=look_up, keys=KeyRing(keys)) as h:
            wire = await greeted(h)
            for _ in range(2):
                said = await send(wire, sender, mail(author))
                assert said.startswith(reply), said
            assert len(look_up.asked) == len(set(look_up.asked)), "an answer is remembered"
            await wire.close()

    run(main)


def test_a_key_that_signs_no_more_aligns_nothing() -> None:
    async def main() -> None:
        look_up = Dns(contoso_com="v=DMARC1; p=reject")
        async with house(routes=OPEN, spoofing=REFUSE, look_up=look_up, keys=KeyRing((RETIRED,))) as h:
            wire = await greeted(h)
            assert (await send(wire, b"x@bounce.example", mail("a@contoso.com"))).startswith(NOT_ALIGNED)
            await wire.close()

    run(main)


def test_a_warning_lets_the_mail_pass() -> None:
    async def main() -> None:
        look_up = Dns(contoso_com="v=DMARC1; p=reject")
        warn = SpoofingOptions(alignment=Action.WARN)
        async with house(routes=OPEN, spoofing=warn, look_up=look_up) as h:
            wire = await greeted(h)
            assert (await send(wire, b"x@bounce.example", mail("a@contoso.com"))).startswith(OK)
            (event,) = [event for event in h.events if isinstance(event, SpoofingSuspected)]
            assert (event.rule, event.author) == ("alignment", "contoso.com")
            (accepted,) = [event for event in h.events if isinstance(event, Accepted)]
            assert accepted.id == event.id
            await wire.close()

    run(main)


def test_mail_that_waits_for_the_dns_is_signed_whole_and_in_its_order() -> None:
    async def main() -> None:
        look_up = Dns(contoso_com="v=DMARC1; p=reject")
        look_up.gate.clear()
        policy = DomainPolicy(b"contoso.com", (Selector(b"r1", rsa_key()),))
        async with house(routes=OPEN, spoofing=REFUSE, look_up=look_up, keys=KeyRing((policy,))) as h:
            one, two = await greeted(h), await greeted(h)
            waiting = [
                asyncio.ensure_future(send(wire, b"x@bounce.example", mail("a@contoso.com")))
                for wire in (one, two)
            ]
            await until(lambda: bool(look_up.asked))
            assert not any(each.done() for each in waiting)
            look_up.gate.set()
            assert all(said.startswith(OK) for said in await asyncio.gather(*waiting))
            assert look_up.asked == ["_dmarc.contoso.com", "_dmarc.com"]
            assert all(content.startswith(b"DKIM-Signature:") for _, content in h.mails())
            await one.close()
            await two.close()

    run(main)


def test_a_client_that_leaves_while_the_dns_is_asked_has_sent_its_mail() -> None:
    async def main() -> None:
        look_up = Dns(contoso_com="v=DMARC1; p=reject")
        look_up.gate.clear()
        async with house(routes=OPEN, spoofing=REFUSE, look_up=look_up, keys=KeyRing((SIGNED,))) as h:
            for sender in (b"x@contoso.com", b"x@bounce.example"):
                wire = await greeted(h)
                await wire.say(b"MAIL FROM:<%b>\r\n" % sender)
                await wire.say(b"RCPT TO:<b@example.com>\r\n")
                await wire.say(b"DATA\r\n")
                wire.writer.write(mail("a@contoso.com") + b".\r\n")
                await until(lambda: bool(look_up.asked))
                await asyncio.sleep(0.02)
                wire.writer.transport.abort()
            await until(lambda: not h.receiver.sessions)
            look_up.gate.set()
            await until(lambda: len(h.mails()) == 2)

    run(main)


def test_a_dns_that_is_broken_stops_no_mail_and_is_asked_again_later() -> None:
    async def main() -> None:
        clock = FakeClock()
        look_up = Dns(contoso_com="v=DMARC1; p=reject")
        look_up.is_broken = True
        async with house(routes=OPEN, spoofing=REFUSE, look_up=look_up, clock=clock) as h:
            wire = await greeted(h)
            bad = (b"x@bounce.example", mail("a@contoso.com"))
            assert (await send(wire, *bad)).startswith(OK)
            assert (await send(wire, *bad)).startswith(OK)
            assert look_up.asked == ["_dmarc.contoso.com"]
            (event,) = [event for event in h.events if isinstance(event, AlignmentUnknown)]
            assert event == AlignmentUnknown("contoso.com", "broken")
            look_up.is_broken = False
            clock.advance(61.0)
            # The old answer is used while it is asked for again.
            assert (await send(wire, *bad)).startswith(OK)
            await until(lambda: len(look_up.asked) == 3)
            assert (await send(wire, *bad)).startswith(NOT_ALIGNED)
            # What is known outlives a DNS that breaks.
            look_up.is_broken = True
            clock.advance(301.0)
            assert (await send(wire, *bad)).startswith(NOT_ALIGNED)
            await until(lambda: len(look_up.asked) == 4)
            assert (await send(wire, *bad)).startswith(NOT_ALIGNED)
            await wire.close()

    run(main)
