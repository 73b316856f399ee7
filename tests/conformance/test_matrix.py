"""Every way in × every rule of a policy, allowed and refused, held over a real socket.

The same policy is the client's whatever it has shown: a network, a login by each
mechanism, a certificate, an address that a proxy names, a token of Entra's. `matrix` has what is said.
"""

import asyncio
import ssl
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from relay.identity.client import Client, Clients, Policy
from relay.receive.options import Auth, ListenerOptions, ListenerTls
from relay.route.tenant import Tenant
from relay.tls import ServerContext, server_context
from tests.conformance.matrix import ROUTES, RULES, TENANT, Rule, Turns
from tests.fakes.certificate import Authority
from tests.fakes.clients import SEED, password
from tests.fakes.tokens import APP, INBOUND, issuers, oauthbearer, token, xoauth2
from tests.receive.harness import Client as Wire
from tests.receive.harness import House, house, run
from tests.receive.test_auth import log_in, scram

REQUIRED = ListenerOptions("test", networks=(), auth=Auth.REQUIRED, auth_without_tls=True)
ANYWHERE = replace(REQUIRED, networks=("127.0.0.0/8",))
PASSWORDS = (password("sesame"),)


@dataclass(frozen=True)
class Keys:
    """Certificates of both sides."""

    context: ServerContext
    trusting: ssl.SSLContext


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    folder: Path = tmp_path_factory.mktemp("authority")
    authority = Authority(folder)
    certificate, key = authority.issue("localhost")
    context = server_context(str(certificate), str(key), client_ca_file=str(authority.ca_file))
    trusting = ssl.create_default_context(cafile=str(authority.ca_file))
    trusting.load_cert_chain(*map(str, authority.issue("app.contoso.com")))
    return Keys(context, trusting)


TOKEN = token(now=time.time())


@dataclass(frozen=True)
class Way:
    """How the client is written, where it comes in, what it says first, and what it hears when it is disabled."""

    client: Client
    listener: ListenerOptions
    enter: Callable[[House, Keys], Awaitable[tuple[Wire, bytes]]]
    turned_away: bytes


async def by_address(h: House, keys: Keys) -> tuple[Wire, bytes]:
    """In clear, and known by where it comes from; the reply to its first command."""
    return await _greeted(await Wire.connect(h.port))


async def _greeted(wire: Wire) -> tuple[Wire, bytes]:
    greeting = await wire.reply()
    return wire, await wire.say(b"EHLO app.example\r\n") if greeting.startswith(b"220 ") else greeting


async def by_plain(h: House, keys: Keys) -> tuple[Wire, bytes]:
    wire, _ = await by_address(h, keys)
    return wire, await log_in(wire)


async def by_login(h: House, keys: Keys) -> tuple[Wire, bytes]:
    wire, _ = await by_address(h, keys)
    assert (await wire.say(b"AUTH LOGIN\r\n")).startswith(b"334 ")
    assert (await wire.say(b64encode(b"erp") + b"\r\n")).startswith(b"334 ")
    return wire, await wire.say(b64encode(b"sesame") + b"\r\n")


async def by_scram(h: House, keys: Keys) -> tuple[Wire, bytes]:
    wire, _ = await by_address(h, keys)
    return wire, await scram(wire, "erp", "sesame")


async def by_oauthbearer(h: House, keys: Keys) -> tuple[Wire, bytes]:
    """In one line."""
    wire = await _over_tls(h, keys)
    return wire, await _refusal_of(
        wire, await wire.say(b"AUTH OAUTHBEARER %b\r\n" % oauthbearer(TOKEN)), b"AQ=="
    )


async def by_xoauth2(h: House, keys: Keys) -> tuple[Wire, bytes]:
    """In two."""
    wire = await _over_tls(h, keys)
    assert await wire.say(b"AUTH XOAUTH2\r\n") == b"334 \r\n"
    return wire, await _refusal_of(wire, await wire.say(xoauth2(TOKEN, "erp") + b"\r\n"), b"")


async def _over_tls(h: House, keys: Keys) -> Wire:
    wire = Wire(*await asyncio.open_connection("localhost", h.port, ssl=keys.trusting))
    await _greeted(wire)
    return wire


async def _refusal_of(wire: Wire, said: bytes, answer: bytes) -> bytes:
    """A refusal comes after the client's answer to a complaint."""
    return await wire.say(answer + b"\r\n") if said.startswith(b"334 ") else said


async def by_certificate(h: House, keys: Keys) -> tuple[Wire, bytes]:
    """What decides is said at MAIL: TLS begins for everybody whom the authority has signed."""
    wire = await _over_tls(h, keys)
    said = await wire.say(b"MAIL FROM:<>\r\n")
    await wire.say(b"RSET\r\n")
    return wire, said


async def by_proxy(h: House, keys: Keys) -> tuple[Wire, bytes]:
    wire = await Wire.connect(h.port)
    wire.writer.write(b"PROXY TCP4 192.0.2.7 10.0.0.1 56324 25\r\n")
    return await _greeted(wire)


WITH_TOKEN = Client("erp", oauth_app=APP)
OVER_TLS = ListenerOptions("test", ListenerTls.IMPLICIT, networks=("127.0.0.0/8",), auth=Auth.REQUIRED)
WITH_PASSWORD = Client("erp", "erp", PASSWORDS)
NOT_SERVED = b"554 5.7.1 This relay does not serve your address"
WRONG = b"535 5.7.8 Name or password is wrong"
WRONG_TOKEN = b"535 5.7.8 The token is not taken here"
WAYS = {
    "network": Way(Client("erp", networks=("127.0.0.0/8",)), REQUIRED, by_address, NOT_SERVED),
    "PLAIN": Way(WITH_PASSWORD, ANYWHERE, by_plain, WRONG),
    "LOGIN": Way(WITH_PASSWORD, ANYWHERE, by_login, WRONG),
    "SCRAM": Way(WITH_PASSWORD, ANYWHERE, by_scram, WRONG),
    "OAUTHBEARER": Way(WITH_TOKEN, OVER_TLS, by_oauthbearer, WRONG_TOKEN),
    "XOAUTH2": Way(WITH_TOKEN, OVER_TLS, by_xoauth2, WRONG_TOKEN),
    "certificate": Way(
        Client("erp", certificates=("app.contoso.com",)),
        OVER_TLS,
        by_certificate,
        b"530 5.7.0 Log in first",
    ),
    "proxied network": Way(
        Client("erp", networks=("192.0.2.0/24",)),
        replace(REQUIRED, proxy_networks=("127.0.0.0/8",)),
        by_proxy,
        NOT_SERVED,
    ),
}


@asynccontextmanager
async def listing(rule: Rule) -> AsyncIterator[Tenant]:
    """The tenant, with the list that its directory gives."""
    if not rule.listed:
        yield TENANT
        return
    with TemporaryDirectory() as folder:
        path = Path(folder) / "recipients"
        path.write_text("".join(f"{each}\n" for each in rule.listed))
        yield replace(TENANT, recipients=path)


@asynccontextmanager
async def place(way: Way, rule: Rule, keys: Keys) -> AsyncIterator[tuple[House, Wire, bytes]]:
    """A receiver with that client, a connection on which it has come in, and what it heard."""
    known = Clients((replace(way.client, policy=rule.policy),), SEED)
    context = None if way.listener.tls is ListenerTls.NONE else keys.context
    async with (
        listing(rule) as tenant,
        house(
            listener=way.listener,
            context=context,
            clients=known,
            routes=ROUTES,
            tenant=tenant,
            spoofing=rule.spoofing,
            inbound=INBOUND,
            fetch=lambda inbound: issuers(),
        ) as h,
    ):
        wire, said = await way.enter(h, keys)
        yield h, wire, said
        await wire.close()


async def hold(wire: Wire, turns: Turns) -> None:
    """Say all of it; a transaction that is open then is ended."""
    for said, expected in turns:
        reply = (await wire.say(said.encode() + b"\r\n")).decode()
        assert reply.startswith(expected), f"after {said!r}: {reply!r} is not {expected!r}"
    assert (await wire.say(b"RSET\r\n")).startswith(b"250 ")


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_each_way_in_meets_each_rule(way: Way, rule: Rule, keys: Keys) -> None:
    async def main() -> None:
        async with place(way, rule, keys) as (h, wire, _):
            first, second = (rule.allowed, rule.refused) if rule.is_spent else (rule.refused, rule.allowed)
            await hold(wire, first)
            assert len(h.mails()) == rule.is_spent
            await hold(wire, second)
            ((envelope, _),) = h.mails()
            assert envelope.account == "erp"

    run(main)


OF_A_CLIENT = {name: rule for name, rule in RULES.items() if rule.policy != Policy()}


@pytest.mark.parametrize("rule", OF_A_CLIENT.values(), ids=OF_A_CLIENT.keys())
def test_who_is_not_that_client_is_not_held_to_its_rules(rule: Rule, keys: Keys) -> None:
    """So what is refused above is refused by the policy: from somebody without one the same passes."""

    async def main() -> None:
        listener = ListenerOptions("test", networks=("127.0.0.0/8",))
        async with house(listener=listener, routes=ROUTES, tenant=TENANT) as h:
            wire, _ = await by_address(h, keys)
            said = [await wire.say(command.encode() + b"\r\n") for command, _ in rule.refused]
            assert all(reply[:1] in b"23" for reply in said), said
            assert not said[-1].decode().startswith(rule.refused[-1][1])
            await wire.close()

    run(main)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_a_client_that_is_disabled_comes_in_by_no_way(way: Way, keys: Keys) -> None:
    async def main() -> None:
        disabled = replace(way, client=replace(way.client, is_disabled=True))
        async with place(disabled, RULES["envelope sender"], keys) as (_, _, said):
            assert said.startswith(way.turned_away), said

    run(main)
