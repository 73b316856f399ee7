"""An unknown device inside the learning network: what it may and may not, by each way that an address is named.

    by its own connection │ by a PROXY header of a named proxy │ by XCLIENT of a named proxy

Each transaction is written as in `matrix`; and each way is tried from outside, too.
"""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest

from relay.identity.client import Client, Clients
from relay.receive.brake_options import BrakeOptions
from relay.receive.learning_options import LearningOptions
from relay.receive.options import Action, Auth, ListenerOptions, SpoofingOptions
from relay.route.route import Route
from relay.trace.event import DeviceAdmitted, LoginFailed, SessionRefused
from tests.conformance.matrix import HEADER, OK, TENANT, Turns, mail
from tests.conformance.test_matrix import hold
from tests.fakes.clients import SEED, password
from tests.fakes.clock import FakeClock
from tests.receive.harness import Client as Wire
from tests.receive.harness import House, house, run, until

ROUTES = (Route("first", ("mx.first.example",)), Route("printers", ("mx.printers.example",)))
CLOSED = ListenerOptions("test", networks=(), auth=Auth.REQUIRED, auth_without_tls=True)
ME = ("127.0.0.0/8",)
NETWORK = ("192.0.2.0/24",)
HOUR_S = 3_600.0
NOW = 1_800_000_000.0
OPTIONS = LearningOptions(
    NETWORK,
    "printers",
    NOW + HOUR_S,
    TENANT.domains,
    recipients_per_message=2,
    message_bytes=1_000,
    messages_per_day=3,
)


@dataclass(frozen=True)
class Way:
    """How an address comes to be that of a session; `network` is the one that is learnt then."""

    listener: ListenerOptions
    enter: Callable[[House, str], Awaitable[tuple[Wire, bytes]]]
    network: tuple[str, ...] = NETWORK
    inside: str = "192.0.2.7"
    outside: tuple[str, ...] = ("198.51.100.1", "192.0.3.0", "127.77.0.7")


async def directly(h: House, address: str) -> tuple[Wire, bytes]:
    wire = Wire(*await asyncio.open_connection("127.0.0.1", h.port, local_addr=(address, 0)))
    return await _greeted(wire)


async def by_proxy(h: House, address: str) -> tuple[Wire, bytes]:
    wire = await Wire.connect(h.port)
    wire.writer.write(b"PROXY TCP4 %b 10.0.0.1 56324 25\r\n" % address.encode())
    return await _greeted(wire)


async def by_xclient(h: House, address: str) -> tuple[Wire, bytes]:
    wire = await Wire.connect(h.port)
    await _greeted(wire)
    greeting = await wire.say(b"XCLIENT ADDR=%b\r\n" % address.encode())
    return wire, await wire.say(b"EHLO device.example\r\n") if greeting.startswith(b"220 ") else greeting


async def _greeted(wire: Wire) -> tuple[Wire, bytes]:
    greeting = await wire.reply()
    return wire, await wire.say(b"EHLO device.example\r\n") if greeting.startswith(b"220 ") else greeting


WAYS = {
    "its own": Way(
        CLOSED, directly, ("127.77.0.0/16",), "127.77.0.7", ("127.99.0.1", "127.76.255.255", "127.78.0.1")
    ),
    "PROXY": Way(replace(CLOSED, proxy_networks=ME), by_proxy),
    "XCLIENT": Way(replace(CLOSED, xclient_networks=ME), by_xclient),
}


@asynccontextmanager
async def place(
    way: Way,
    clock: FakeClock | None = None,
    known: tuple[Client, ...] = (),
    brakes: BrakeOptions | None = None,
) -> AsyncIterator[tuple[House, FakeClock]]:
    clock = clock or FakeClock(NOW)
    async with house(
        listener=way.listener,
        clock=clock,
        clients=Clients(known, SEED),
        routes=ROUTES,
        tenant=TENANT,
        spoofing=SpoofingOptions(from_field=Action.REFUSE, display_name=Action.REFUSE),
        learning=replace(OPTIONS, networks=way.network),
        brakes=brakes or BrakeOptions(),
    ) as h:
        yield h, clock


every_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())


REFUSED: dict[str, Turns] = {
    "another sender": mail(sender="alice@else.example", says=("550 5.7.1 You may not send with this envelope",)),
    "the null sender": mail(sender="", says=("550 5.7.1 You may not send with the null sender",)),
    "another author": mail(
        content=HEADER.replace("alice@contoso.com", "eve@else.example"),
        says=("250 2.1.0", "250 2.1.5", "354", "550 5.7.1"),
    ),
    "no author": mail(
        content="Subject: x\r\n\r\nHello\r\n.", says=("250 2.1.0", "250 2.1.5", "354", "550 5.7.1")
    ),
    "a name that is a trick": mail(
        content='From: "boss@rival.example" <alice@contoso.com>\r\n\r\nHello\r\n.',
        says=("250 2.1.0", "250 2.1.5", "354", "550 5.7.1 The name in From shows"),
    ),
    "to the outside": mail(
        recipients=("eve@else.example",), says=("250 2.1.0", "550 5.7.1 You may not send to this recipient")
    ),
    "too many recipients": mail(
        recipients=("a@contoso.com", "b@contoso.com", "c@contoso.com"),
        says=("250 2.1.0", "250 2.1.5", "250 2.1.5", "452 4.5.3"),
    ),
    "too large": mail(parameters=" SIZE=1001", says=("552 5.3.4 A mail of yours may have 1000",)),
    "as high": mail(parameters=" MT-PRIORITY=4", says=("250 2.3.6 0 is the highest priority here",)),
}  # fmt: skip


@every_way
def test_a_device_inside_sends_and_is_held_to_its_rules(way: Way) -> None:
    async def main() -> None:
        async with place(way) as (h, _):
            wire, said = await way.enter(h, way.inside)
            assert said.startswith(b"250-")
            for turns in REFUSED.values():
                await hold(wire, turns)
            assert h.mails() == []
            for _ in range(3):
                await hold(wire, OK)
            await hold(wire, mail(says=("450 4.7.1 Your messages for this day are used up",)))
            for envelope, _ in h.mails():
                assert envelope.account == f"learning:{way.inside}"
                assert [each.route for each in envelope.recipients] == ["printers"]
            assert [event.account for event in h.events if isinstance(event, DeviceAdmitted)] == [
                f"learning:{way.inside}"
            ]
            await wire.close()

    run(main)


@every_way
def test_nobody_outside_the_network_comes_in(way: Way) -> None:
    async def main() -> None:
        async with place(way) as (h, _):
            for outside in way.outside:
                wire, said = await way.enter(h, outside)
                assert said.startswith(b"554 5.7.1 This relay does not serve your address"), outside
                await wire.close()
            assert h.mails() == []
            assert not any(isinstance(event, DeviceAdmitted) for event in h.events)

    run(main)


@every_way
def test_nobody_comes_in_after_it_has_ended(way: Way) -> None:
    async def main() -> None:
        async with place(way) as (h, clock):
            clock.advance(HOUR_S)
            wire, said = await way.enter(h, way.inside)
            assert said.startswith(b"554 5.7.1 This relay does not serve your address")
            await wire.close()

    run(main)


@every_way
def test_a_session_that_is_open_at_the_moment_sends_no_more(way: Way) -> None:
    async def main() -> None:
        async with place(way) as (h, clock):
            wire, _ = await way.enter(h, way.inside)
            clock.advance(HOUR_S - 1)
            await hold(wire, OK)
            clock.advance(1)
            await hold(wire, mail(says=("554 5.7.1 This relay does not serve your address",)))
            assert len(h.mails()) == 1
            await wire.close()

    run(main)


@every_way
def test_a_mail_that_is_under_way_at_the_moment_is_not_taken(way: Way) -> None:
    async def main() -> None:
        async with place(way) as (h, clock):
            wire, _ = await way.enter(h, way.inside)
            for command, expected in OK[:-1]:
                assert (await wire.say(command.encode() + b"\r\n")).startswith(expected.encode())
            clock.advance(HOUR_S)
            assert (await wire.say(OK[-1][0].encode() + b"\r\n")).startswith(b"451 4.7.1")
            assert h.mails() == []
            await wire.close()

    run(main)


@pytest.mark.parametrize(
    "between", [b"AUTH PLAIN AGEAYg==", b"AUTH NONE", b"NOOP", b"EHLO", b"MAIL FROM:<x@else.example>"]
)
def test_nothing_said_within_a_mail_makes_it_that_of_somebody_else(between: bytes) -> None:
    """What a mail may was settled at MAIL; that it is learnt must not be forgotten before its end is judged."""

    async def main() -> None:
        way = WAYS["its own"]
        async with place(replace(way, listener=replace(CLOSED, auth_without_tls=False))) as (h, clock):
            wire, _ = await way.enter(h, way.inside)
            for command, expected in OK[:2]:
                assert (await wire.say(command.encode() + b"\r\n")).startswith(expected.encode())
            clock.advance(HOUR_S)
            await wire.say(between + b"\r\n")
            assert (await wire.say(b"DATA\r\n")).startswith(b"354 ")
            assert (await wire.say(HEADER.encode() + b"\r\n")).startswith(b"451 4.7.1")
            assert h.mails() == []
            await wire.close()

    run(main)


def test_a_large_mail_that_is_under_way_at_the_moment_leaves_nothing_behind() -> None:
    async def main() -> None:
        way = WAYS["its own"]
        clock = FakeClock(NOW)
        options = replace(OPTIONS, networks=way.network, message_bytes=2_000_000)
        async with house(
            listener=way.listener, clock=clock, routes=ROUTES, tenant=TENANT, learning=options
        ) as h:
            wire, _ = await way.enter(h, way.inside)
            for command, _ in OK[:-1]:
                await wire.say(command.encode() + b"\r\n")
            wire.writer.write(HEADER.removesuffix(".").encode() + (b"x" * 998 + b"\r\n") * 1_000)
            await wire.writer.drain()
            await until(lambda: h.receiver.content_bytes > 0)
            clock.advance(HOUR_S)
            assert (await wire.say(b".\r\n")).startswith(b"451 4.7.1")
            assert h.mails() == []
            await until(lambda: h.receiver.content_bytes == 0)
            await wire.close()

    run(main)


def test_a_header_of_a_proxy_that_nobody_named_is_no_address() -> None:
    async def main() -> None:
        async with place(Way(replace(CLOSED, networks=ME), by_proxy)) as (h, _):
            wire, said = await by_proxy(h, "192.0.2.7")
            assert said.startswith(b"500 ") or (await wire.reply()).startswith(b"500 ")
            await wire.close()
            wire = await Wire.connect(h.port)
            await _greeted(wire)
            assert (await wire.say(b"XCLIENT ADDR=192.0.2.7\r\n"))[:3] in (b"500", b"502", b"550")
            assert (await wire.say(b"MAIL FROM:<alice@contoso.com>\r\n")).startswith(b"530 5.7.0")
            await wire.close()

    run(main)


@pytest.mark.parametrize(
    "listener",
    [replace(CLOSED, networks=ME, proxy_networks=ME), replace(CLOSED, networks=ME, xclient_networks=ME)],
    ids=["PROXY", "XCLIENT"],
)
def test_a_proxy_inside_the_network_is_no_device_itself(listener: ListenerOptions) -> None:
    """Nor at another listener: there it would speak for everybody behind it without a name."""

    async def main() -> None:
        async with place(Way(listener, directly, ME)) as (h, _):
            wire = await Wire.connect(h.port)
            if listener.proxy_networks:
                wire.writer.write(b"PROXY UNKNOWN\r\n")
            await _greeted(wire)
            assert (await wire.say(b"MAIL FROM:<alice@contoso.com>\r\n")).startswith(b"530 5.7.0")
            assert not any(isinstance(event, DeviceAdmitted) for event in h.events)
            await wire.close()

    run(main)


@every_way
def test_no_password_is_taken_and_the_device_sends_all_the_same(way: Way) -> None:
    async def main() -> None:
        known = (Client("erp", "erp", (password("sesame"),)),)
        listener = replace(way.listener, auth_without_tls_networks=("0.0.0.0/0",))
        async with place(replace(way, listener=listener), known=known) as (h, _):
            wire, _ = await way.enter(h, way.inside)
            for name, word in ((b"scanner@contoso.com", b"anything"), (b"erp", b"guessed")):
                login = b64encode(b"\0%b\0%b" % (name, word))
                assert (await wire.say(b"AUTH PLAIN %b\r\n" % login)).startswith(b"535 5.7.8")
            await hold(wire, OK)
            ((envelope, _),) = h.mails()
            assert envelope.account == f"learning:{way.inside}"
            failed = [event for event in h.events if isinstance(event, LoginFailed)]
            # A name that nobody has may be a password: what is written down of it is a hash.
            assert [(event.username.partition(":")[0], event.reason) for event in failed] == [
                ("unknown", "unknown user"),
                ("erp", "wrong password"),
            ]
            assert (await wire.say(b"AUTH PLAIN %b\r\n" % b64encode(b"\0erp\0sesame"))).startswith(b"235 ")
            await hold(wire, mail(sender="alice@else.example", recipients=("eve@else.example",)))
            assert h.mails()[-1][0].account == "erp"
            await wire.close()

    run(main)


@every_way
def test_a_device_that_guesses_passwords_is_banned_and_neither_its_neighbour_nor_the_proxy_is(
    way: Way,
) -> None:
    """Who is learnt may try to log in, and is braked as anybody; what a proxy brings is not the proxy's fault."""

    async def main() -> None:
        listener = replace(way.listener, auth_without_tls_networks=("0.0.0.0/0",))
        brakes = BrakeOptions(login_failures=4, delay_max_s=0.0)
        known = (Client("erp", "erp", (password("sesame"),)),)
        async with place(replace(way, listener=listener), known=known, brakes=brakes) as (h, _):
            guesser, _ = await way.enter(h, way.inside)
            answers = [
                (await guesser.say(b"AUTH PLAIN %b\r\n" % b64encode(b"\0erp\0guess %d" % number)))[:9]
                for number in range(4)
            ]
            assert answers == [b"535 5.7.8"] * 3 + [b"421 4.7.0"]
            await guesser.close()
            again, said = await way.enter(h, way.inside)
            assert said.startswith(b"421 4.7.0 Too much went wrong")
            await again.close()
            neighbour, _ = await way.enter(h, way.inside[:-1] + "8")
            await hold(neighbour, OK)
            ((envelope, _),) = h.mails()
            assert envelope.account == f"learning:{way.inside[:-1]}8"
            await neighbour.close()

    run(main)


def test_a_device_of_a_network_that_a_listener_serves_is_held_to_the_rules_while_it_is_learnt() -> None:
    """As a client's network holds it: more than one rule for one address would be none."""

    async def main() -> None:
        way = WAYS["its own"]
        listener = ListenerOptions("test", networks=("127.0.0.0/8",))
        async with place(replace(way, listener=listener)) as (h, clock):
            wire, _ = await way.enter(h, way.inside)
            await hold(wire, REFUSED["to the outside"])
            clock.advance(HOUR_S)
            await hold(wire, mail(recipients=("eve@else.example",)))
            assert [envelope.account for envelope, _ in h.mails()] == [""]
            await wire.close()

    run(main)


def test_without_the_table_nobody_unknown_comes_in() -> None:
    async def main() -> None:
        async with house(listener=CLOSED, routes=ROUTES, tenant=TENANT) as h:
            wire, said = await directly(h, "127.77.0.7")
            assert said.startswith(b"554 5.7.1")
            await until(lambda: any(isinstance(event, SessionRefused) for event in h.events))
            await wire.close()

    run(main)
