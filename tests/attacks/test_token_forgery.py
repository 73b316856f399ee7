"""Tokens that are forged, stolen, old, meant for others or made to hurt: over a real socket with TLS.

What each is told is the same, and says nothing; what it was stands in the log, without the token.
"""

import asyncio
import json
import socket
import ssl
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from relay.clock import Clock
from relay.identity.access import TokenRefused
from relay.identity.bearer import Inbound, Issuers
from relay.identity.client import Clients
from relay.receive.brake_options import BrakeOptions
from relay.receive.options import Auth, Limits, ListenerOptions, ListenerTls
from relay.smtp.bearer import LINE_MAX_BYTES
from relay.smtp.server import Phase
from relay.tls import ServerContext, server_context
from relay.trace.event import CommandRefused, LoginFailed, LoginSucceeded
from tests.fakes.certificate import Authority
from tests.fakes.clients import ERP, SEED
from tests.fakes.clock import FakeClock
from tests.fakes.tokens import (
    AUDIENCE,
    BOB,
    INBOUND,
    SHOP,
    USER,
    V1,
    claims,
    encode,
    hmac_with_public_key,
    issuers,
    jwk,
    oauthbearer,
    signing_input,
    token,
    xoauth2,
)
from tests.receive.harness import Client as Wire
from tests.receive.harness import House, house, run, until

LISTENER = ListenerOptions("test", ListenerTls.IMPLICIT, networks=("127.0.0.0/8",), auth=Auth.REQUIRED)
FREE = BrakeOptions(exempt=("127.0.0.0/8",))
REFUSED = b"535 5.7.8 The token is not taken here\r\n"
COMPLAINT = b"334 " + b64encode(b'{"status":"invalid_token"}') + b"\r\n"
LONG_AGO, OTHER = 1_000_000, "99999999-2222-4333-8444-555555555555"


@dataclass
class Keys:
    context: ServerContext
    trusting: ssl.SSLContext


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    authority = Authority(tmp_path_factory.mktemp("authority"))
    certificate, key = authority.issue("localhost")
    return Keys(
        server_context(str(certificate), str(key)),
        ssl.create_default_context(cafile=str(authority.ca_file)),
    )


@dataclass
class Entra:
    """The authority as far as it can be asked here."""

    answer: Issuers | TokenRefused = field(default_factory=issuers)
    fetches: int = 0

    def __call__(self, inbound: Inbound) -> Issuers:
        self.fetches += 1
        if isinstance(self.answer, TokenRefused):
            raise self.answer
        return self.answer


@asynccontextmanager
async def door(
    keys: Keys,
    entra: Entra | None = None,
    brakes: BrakeOptions = FREE,
    limits: Limits | None = None,
    clock: Clock | None = None,
) -> AsyncIterator[House]:
    async with house(
        listener=LISTENER,
        context=keys.context,
        clients=Clients((ERP, SHOP, BOB), SEED),
        inbound=INBOUND,
        fetch=entra or Entra(),
        brakes=brakes,
        limits=limits,
        clock=clock,
    ) as h:
        yield h


async def greeted(h: House, keys: Keys) -> Wire:
    wire = Wire(*await asyncio.open_connection("localhost", h.port, ssl=keys.trusting))
    await wire.reply()
    await wire.say(b"EHLO attacker.example\r\n")
    return wire


async def try_with(wire: Wire, message: bytes, mechanism: bytes = b"OAUTHBEARER") -> bytes:
    """The refusal, or the welcome."""
    said = await wire.say(b"AUTH %b %b\r\n" % (mechanism, message))
    return await wire.say(b"AQ==\r\n") if said.startswith(b"334 ") else said


def fresh(**changes: object) -> dict[str, object]:
    return claims(time.time(), **changes)


def unsigned(alg: str) -> str:
    return signing_input(json.dumps(fresh()).encode(), {"alg": alg, "kid": "key 0"}) + "."


def cut(text: str) -> str:
    """A signature that is there and is none."""
    return text.rpartition(".")[0] + "." + encode(b"\0" * 256)


def other_claims(text: str, **changes: object) -> str:
    """The signature of one token under the claims of another."""
    head, _, signature = text.split(".")
    return f"{head}.{encode(json.dumps(fresh(**changes)).encode())}.{signature}"


FORGED: dict[str, tuple[Callable[[], str], str]] = {
    "alg none": (lambda: unsigned("none"), "malformed token"),
    "alg None, in another case": (lambda: unsigned("nOnE"), "malformed token"),
    "HS256 with the public key": (lambda: hmac_with_public_key(fresh()), "malformed token"),
    "RS256 named, nothing signed": (lambda: unsigned("RS256"), "bad signature"),
    "a signature of zeros": (lambda: cut(token(fresh())), "bad signature"),
    "claims exchanged": (lambda: other_claims(token(fresh()), appid=OTHER), "bad signature"),
    "a key of the attacker's under a known name": (lambda: token(fresh(), key=1, kid="key 0"), "bad signature"),
    "a key of the attacker's": (lambda: token(fresh(), key=1), "unknown key"),
    "a key id that is a path": (lambda: token(fresh(), kid="../../../dev/null"), "unknown key"),
    "a key id that is SQL": (lambda: token(fresh(), kid="key 0' OR '1'='1"), "unknown key"),
    "a key id in another case": (lambda: token(fresh(), kid="KEY 0"), "unknown key"),
    "jwk in the header": (lambda: token(fresh(), key=1, kid="key 0", jwk=jwk(1)), "bad signature"),
    "x5c in the header": (lambda: token(fresh(), key=1, kid="key 0", x5c=["AAAA"]), "bad signature"),
    "a critical extension": (lambda: token(fresh(), crit=["x"], x=1), "bad signature"),
    "an unencoded payload": (lambda: token(fresh(), crit=["b64"], b64=False), "bad signature"),
    "expired": (lambda: token(fresh(exp=LONG_AGO)), "expired token"),
    "never expiring": (lambda: token(fresh(exp=None)), "malformed token"),
    "not valid yet": (lambda: token(fresh(nbf=int(time.time()) + 3_600)), "token not valid yet"),
    "another tenant": (lambda: token(fresh(tid=OTHER)), "wrong tenant"),
    "another tenant's issuer": (lambda: token(fresh(iss=V1.replace("1111", "2222", 1))), "wrong issuer"),
    "an issuer that begins like ours": (lambda: token(fresh(iss=V1 + "evil")), "wrong issuer"),
    "another audience": (lambda: token(fresh(aud="https://graph.microsoft.com")), "wrong audience"),
    "two audiences": (lambda: token(fresh(aud=[AUDIENCE, "https://graph.microsoft.com"])), "malformed token"),
    "another application": (lambda: token(fresh(appid=OTHER)), "unknown application"),
    "a user of the application": (lambda: token(fresh(scp="Mail.Send", sub="x")), "unknown application"),
    "another user of it": (lambda: token(fresh(scp="Mail.Send", oid=USER[::-1])), "unknown application"),
    "JSON without end": (lambda: token(b'{"iss":"' + V1.encode() + b'","a":' + b"[" * 3_000), "malformed token"),
}  # fmt: skip


@pytest.mark.parametrize("what", FORGED)
def test_a_forged_token_is_refused_and_told_nothing(what: str, keys: Keys) -> None:
    made, reason = FORGED[what]
    text = made()

    async def main() -> None:
        async with door(keys) as h:
            wire = await greeted(h, keys)
            assert await wire.say(b"AUTH OAUTHBEARER %b\r\n" % oauthbearer(text)) == COMPLAINT
            assert await wire.say(b"AQ==\r\n") == REFUSED
            assert await try_with(wire, xoauth2(text, "erp"), b"XOAUTH2") == REFUSED
            assert (await wire.say(b"MAIL FROM:<alice@example.com>\r\n")).startswith(b"530 5.7.0")
            failed = [event for event in h.events if isinstance(event, LoginFailed)]
            assert [event.reason for event in failed] == [reason] * 2
            assert text not in repr(h.events) and text[-40:] not in repr(h.events)
            assert not any(
                isinstance(event, CommandRefused) and event.command == "AUTH" for event in h.events
            )
            await wire.close()

    run(main)


@pytest.mark.parametrize("name", ["erp", "bob", "boss@rival.example", "shop@"])
def test_a_good_token_makes_nobody_somebody_else(name: str, keys: Keys) -> None:
    async def main() -> None:
        async with door(keys) as h:
            wire = await greeted(h, keys)
            good = token(fresh())
            for message, mechanism in (
                (oauthbearer(good, name), b"OAUTHBEARER"),
                (xoauth2(good, name), b"XOAUTH2"),
            ):
                assert await try_with(wire, message, mechanism) == REFUSED
            assert (await try_with(wire, oauthbearer(good, "shop"))).startswith(b"235 ")
            said = await wire.say(b"MAIL FROM:<boss@rival.example>\r\n")
            assert said.startswith(b"550 5.7.1 You may not send with this envelope sender")
            await wire.close()

    run(main)


def test_where_a_header_says_that_keys_are_nobody_looks(keys: Keys) -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as trap:
            trap.setblocking(False)
            url = f"http://127.0.0.1:{trap.getsockname()[1]}/keys"
            entra = Entra()
            async with door(keys, entra) as h:
                wire = await greeted(h, keys)
                for number, kid in enumerate(("key 0", "key 1")):
                    text = token(fresh(), key=1, kid=kid, jku=url, x5u=url)
                    assert await try_with(wire, oauthbearer(text)) == REFUSED, number
                await wire.close()
            assert entra.fetches == 1
            with pytest.raises(BlockingIOError):
                trap.accept()

    run(main)


def test_a_flood_of_key_ids_makes_us_ask_once_and_keeps_nobody_out(keys: Keys) -> None:
    async def main() -> None:
        entra = Entra()
        async with door(keys, entra, limits=Limits(errors_per_session=1_000)) as h:
            wires = [await greeted(h, keys) for _ in range(5)]

            async def flood(wire: Wire, number: int) -> None:
                for count in range(40):
                    text = token(fresh(), kid=f"made up {number} {count}")
                    assert await try_with(wire, oauthbearer(text)) == REFUSED

            async def honest() -> None:
                for _ in range(10):
                    wire = await greeted(h, keys)
                    assert (await try_with(wire, oauthbearer(token(fresh())))).startswith(b"235 ")
                    await wire.close()

            await asyncio.gather(honest(), *(flood(wire, number) for number, wire in enumerate(wires)))
            assert entra.fetches == 1
            for wire in wires:
                await wire.close()

    run(main)


def test_while_the_authority_is_down_a_token_may_come_again_and_nobody_is_banned(keys: Keys) -> None:
    async def main() -> None:
        entra = Entra(TokenRefused("down", is_fault=False))
        async with door(keys, entra, BrakeOptions(login_failures=3)) as h:
            wire = await greeted(h, keys)
            for _ in range(10):
                said = await try_with(wire, oauthbearer(token(fresh())))
                assert said == b"454 4.7.0 Tokens cannot be verified just now; try again later\r\n"
            assert entra.fetches == 1
            await wire.close()

    run(main)


@pytest.mark.parametrize("is_initial", [True, False])
def test_a_token_of_a_megabyte_is_read_to_its_end_and_kept_nowhere(is_initial: bool, keys: Keys) -> None:
    async def main() -> None:
        async with door(keys) as h:
            wire = await greeted(h, keys)
            begun = b"AUTH XOAUTH2 " if is_initial else b"AUTH XOAUTH2\r\n"
            wire.writer.write(begun + b"A" * 1_000_000)
            (session,) = h.receiver._common.sessions
            await until(lambda: session._received > 900_000)
            assert len(session._server._begun) == 0 and session._inbox.end < 4_096
            said = await wire.say(b"\r\n")
            said = said if is_initial else await wire.reply()
            assert said.startswith(b"500 5.5.2" if is_initial else b"500 5.5.6")
            assert (await wire.say(b"NOOP\r\n")).startswith(b"250 "), "out of step"
            # The longest that is taken is no trouble either.
            longest = b64encode(
                b"user=a\x01auth=Bearer " + b"x" * (LINE_MAX_BYTES * 3 // 4 - 100) + b"\x01\x01"
            )
            assert await try_with(wire, longest, b"XOAUTH2") == REFUSED
            await wire.close()

    run(main)


@pytest.mark.parametrize(
    "message",
    [
        b"user=a\r\nMAIL FROM:<b@example.com>\x01auth=Bearer x\x01\x01",
        b"user=a\x01auth=Bearer x\r\nMAIL FROM:<b@example.com>\r\n\x01\x01",
        b"n,a=a\r\nb,\x01auth=Bearer x\x01\x01",
        b"n,,\x01host=a\r\nMAIL FROM:<b@example.com>\x01auth=Bearer x\x01\x01",
        b"user=a\x01auth=Bearer x\x01auth=Bearer y\x01\x01",
    ],
)
def test_line_ends_in_a_message_make_no_command_and_no_line_of_the_log(message: bytes, keys: Keys) -> None:
    async def main() -> None:
        async with door(keys) as h:
            wire = await greeted(h, keys)
            for mechanism in (b"XOAUTH2", b"OAUTHBEARER"):
                said = await try_with(wire, b64encode(message), mechanism)
                assert said == REFUSED or said.startswith(b"501 5.5.2"), said
            assert (await wire.say(b"NOOP\r\n")).startswith(b"250 2.0.0"), "out of step"
            for event in h.events:
                assert not isinstance(event, LoginFailed) or event.username.isprintable()
            await wire.close()

    run(main)


def test_who_tries_tokens_is_banned_as_who_guesses_passwords(keys: Keys) -> None:
    async def main() -> None:
        async with door(keys, brakes=BrakeOptions(login_failures=4, delay_max_s=0.0)) as h:
            wire = await greeted(h, keys)
            said = [await try_with(wire, oauthbearer(token(fresh(aud=str(n))))) for n in range(4)]
            assert [each[:9] for each in said] == [b"535 5.7.8"] * 3 + [b"421 4.7.0"]
            await wire.close()

    run(main)


def test_an_application_whose_token_ran_out_shuts_out_nobody(keys: Keys) -> None:
    async def main() -> None:
        async with door(keys, brakes=BrakeOptions(login_failures=4, delay_max_s=0.0)) as h:
            wire = await greeted(h, keys)
            old = oauthbearer(token(fresh(exp=LONG_AGO)))
            assert {await try_with(wire, old) for _ in range(12)} == {REFUSED}
            assert (await try_with(wire, oauthbearer(token(fresh())))).startswith(b"235 ")
            assert any(isinstance(event, LoginSucceeded) for event in h.events)
            await wire.close()

    run(main)


def test_many_addresses_that_fail_without_a_name_slow_down_nobody_else(keys: Keys) -> None:
    async def main() -> None:
        async with door(
            keys, brakes=BrakeOptions(login_failures=1_000, name_failures=2, delay_max_s=0.001)
        ) as h:
            wire = await greeted(h, keys)
            for number in range(4):
                assert await try_with(wire, oauthbearer(token(fresh(aud=str(number))))) == REFUSED
            brakes, now = h.receiver._common.brakes, h.receiver._common.now
            assert brakes.login_succeeded("192.0.2.9", "", now).delay_s == 0
            await wire.close()

    run(main)


@pytest.mark.parametrize("is_initial", [True, False])
def test_a_token_that_comes_a_byte_now_and_then_loses_its_place(is_initial: bool, keys: Keys) -> None:
    async def main() -> None:
        clock = FakeClock()
        async with door(keys, clock=clock) as h:
            wire = await greeted(h, keys)
            # More than a session's own buffer holds: its beginning is kept elsewhere.
            wire.writer.write((b"AUTH XOAUTH2 " if is_initial else b"AUTH XOAUTH2\r\n") + b"A" * 5_000)
            (session,) = h.receiver._common.sessions
            await until(lambda: len(session._server._begun) > 3_000)
            for _ in range(2):
                received = session._received
                wire.writer.write(b"A")
                await until(lambda: session._received > received)  # noqa: B023
                clock.advance(295.0)
                h.receiver.sweep()
            # A byte now and then is no sign of life.
            assert session._server.phase is Phase.CLOSED
            assert (await wire.rest()).endswith(b"421 4.4.2 Nothing heard for too long\r\n")
            await wire.close()

    run(main)
