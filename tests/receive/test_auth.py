"""Logging in at a listener, over a real socket: each way in, what it allows, what is written down."""

import asyncio
import smtplib
import ssl
from base64 import b64decode, b64encode

import pytest

from relay.identity.client import Client, Clients, Policy
from relay.receive.options import Auth, ListenerOptions, ListenerTls
from relay.route.match import Match
from relay.route.route import Route
from relay.tls import ServerContext, server_context
from relay.trace.event import Accepted, CommandRefused, LoginFailed, LoginSucceeded
from tests.fakes.certificate import Authority
from tests.fakes.clients import ERP, LEFT, LOCAL, SEED, clients
from tests.receive.harness import Client as Wire
from tests.receive.harness import House, house, run, until
from tests.scram_client import Scram

MAIL = b"From: Alice <alice@example.com>\r\nTo: b@example.com\r\nSubject: x\r\n\r\nHello\r\n"
TLS = ListenerOptions("test", ListenerTls.STARTTLS, auth=Auth.REQUIRED)
CLEAR = ListenerOptions("test", auth=Auth.REQUIRED, auth_without_tls=True)
NOBODY_NEAR = ("192.0.2.0/24",)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def context(authority: Authority) -> ServerContext:
    certificate, key = authority.issue("localhost")
    return server_context(str(certificate), str(key))


def logged_in(h: House, authority: Authority, mechanism: str, password: str = "sesame") -> smtplib.SMTP:
    """A client of the standard library, in with this mechanism; SMTPAuthenticationError."""
    client = smtplib.SMTP("localhost", h.port, timeout=10)
    try:
        client.starttls(context=ssl.create_default_context(cafile=str(authority.ca_file)))
        client.ehlo()
        client.user, client.password = "erp", password
        client.auth(mechanism, getattr(client, f"auth_{mechanism.lower()}"))
    except smtplib.SMTPException:
        client.close()
        raise
    return client


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_smtplib_logs_in_over_tls(authority: Authority, context: ServerContext, mechanism: str) -> None:
    async def main() -> None:
        async with house(listener=TLS, context=context, clients=clients()) as h:

            def send() -> None:
                for _ in range(3):
                    with logged_in(h, authority, mechanism) as client:
                        client.sendmail("alice@example.com", ["b@example.com"], MAIL)

            await asyncio.to_thread(send)
            mails = h.mails()
            assert len(mails) == 3
            for envelope, content in mails:
                assert envelope.account == "erp"
                assert b" with ESMTPSA (TLSv1.3 " in content
            assert [event.account for event in h.events if isinstance(event, Accepted)] == ["erp"] * 3
            # The first is checked, the others are remembered.
            logins = [event for event in h.events if isinstance(event, LoginSucceeded)]
            assert [event.level for event in logins] == ["info", "debug", "debug"]
            assert {(event.account, event.mechanism, event.client) for event in logins} == {
                ("erp", mechanism, "127.0.0.1")
            }

    run(main)


def test_smtplib_chooses_a_mechanism_by_itself(authority: Authority, context: ServerContext) -> None:
    async def main() -> None:
        async with house(listener=TLS, context=context, clients=clients()) as h:

            def login() -> None:
                with smtplib.SMTP("localhost", h.port, timeout=10) as client:
                    assert not client.has_extn("auth")
                    client.starttls(context=ssl.create_default_context(cafile=str(authority.ca_file)))
                    code, text = client.login("erp", "sesame")
                    assert (code, text) == (235, b"2.7.0 Welcome")

            await asyncio.to_thread(login)

    run(main)


def test_a_failed_login_is_written_down_and_tells_nothing(
    authority: Authority, context: ServerContext
) -> None:
    async def main() -> None:
        async with house(listener=TLS, context=context, clients=clients()) as h:

            def login() -> None:
                with pytest.raises(smtplib.SMTPAuthenticationError) as caught:
                    logged_in(h, authority, "PLAIN", "opensesame")
                assert caught.value.smtp_code == 535

            await asyncio.to_thread(login)
            failed = [event for event in h.events if isinstance(event, LoginFailed)]
            assert failed == [LoginFailed("127.0.0.1", "test", "erp", "PLAIN", "wrong password")]
            assert "opensesame" not in repr(h.events)
            # One fact, one event.
            assert not any(isinstance(event, CommandRefused) for event in h.events)

    run(main)


async def scram(wire: Wire, username: str, password: str) -> bytes:
    """The last reply to a login with SCRAM-SHA-256."""
    client = Scram(username, password)
    said = await wire.say(b"AUTH SCRAM-SHA-256 %b\r\n" % b64encode(client.first()))
    said = await wire.say(b64encode(client.final(b64decode(said[4:]))) + b"\r\n")
    if not said.startswith(b"334 "):
        return said
    client.verify(b64decode(said[4:]))
    return await wire.say(b"\r\n")


def test_scram_logs_in_with_an_independent_client() -> None:
    async def main() -> None:
        async with house(listener=CLEAR, clients=clients()) as h:
            wire = await greeted(h)
            assert (await scram(wire, "erp", "wrong")).startswith(b"535 5.7.8")
            assert (await scram(wire, "nobody", "sesame")).startswith(b"535 5.7.8")
            assert (await scram(wire, "left", "sesame")).startswith(b"535 5.7.8")
            assert await scram(wire, "erp", "sesame") == b"235 2.7.0 Welcome\r\n"
            assert (await send(wire)).startswith(b"250 2.0.0")
            ((envelope, content),) = h.mails()
            assert envelope.account == "erp" and b" with ESMTPA id " in content
            reasons = [event.reason for event in h.events if isinstance(event, LoginFailed)]
            assert reasons == ["wrong password", "unknown user", "disabled"]
            await wire.close()

    run(main)


async def greeted(h: House) -> Wire:
    wire = await Wire.connect(h.port)
    await wire.reply()
    await wire.say(b"EHLO client.example\r\n")
    return wire


async def send(wire: Wire, sender: bytes = b"alice@example.com", mail: bytes = MAIL) -> bytes:
    """The reply that decides: to MAIL, or to the mail."""
    said = await wire.say(b"MAIL FROM:<%b>\r\n" % sender)
    if not said.startswith(b"250"):
        return said
    await wire.say(b"RCPT TO:<b@example.com>\r\n")
    await wire.say(b"DATA\r\n")
    return await wire.say(mail + b".\r\n")


async def log_in(wire: Wire, username: bytes = b"erp", password: bytes = b"sesame") -> bytes:
    return await wire.say(b"AUTH PLAIN %b\r\n" % b64encode(b"\0%b\0%b" % (username, password)))


ANYBODY = Client("anybody", networks=("127.0.0.0/8",))


@pytest.mark.parametrize(
    ("auth", "networks", "known", "with_login", "code", "account"),
    [
        # auth = off: networks decide, as ever.
        (Auth.OFF, ("127.0.0.0/8",), (ERP,), False, b"250", ""),
        (Auth.OFF, NOBODY_NEAR, (ERP,), False, b"554", ""),
        (Auth.OFF, NOBODY_NEAR, (ANYBODY,), False, b"250", "anybody"),
        (Auth.OFF, ("127.0.0.0/8",), (ERP,), True, b"250", ""),
        # optional: a login adds a name.
        (Auth.OPTIONAL, ("127.0.0.0/8",), (ERP,), False, b"250", ""),
        (Auth.OPTIONAL, ("127.0.0.0/8",), (ERP,), True, b"250", "erp"),
        (Auth.OPTIONAL, NOBODY_NEAR, (ERP,), True, b"554", ""),
        # required: who has no name does not send, whatever the networks say.
        (Auth.REQUIRED, ("0.0.0.0/0",), (ERP,), False, b"530", ""),
        (Auth.REQUIRED, ("0.0.0.0/0",), (ERP,), True, b"250", "erp"),
        (Auth.REQUIRED, ("0.0.0.0/0",), (LEFT,), True, b"530", ""),
        (Auth.REQUIRED, ("0.0.0.0/0",), (ANYBODY,), False, b"250", "anybody"),
        (Auth.REQUIRED, NOBODY_NEAR, (ANYBODY, ERP), True, b"250", "erp"),
        (Auth.REQUIRED, NOBODY_NEAR, (ERP,), True, b"554", ""),
    ],
)  # fmt: skip
def test_each_way_in(
    auth: Auth, networks: tuple[str, ...], known: tuple[Client, ...], with_login: bool, code: bytes, account: str
) -> None:  # fmt: skip
    async def main() -> None:
        listener = ListenerOptions("test", networks=networks, auth=auth, auth_without_tls=True)
        async with house(listener=listener, clients=Clients(known, SEED)) as h:
            wire = await Wire.connect(h.port)
            said = await wire.reply()
            if said.startswith(b"220"):
                await wire.say(b"EHLO client.example\r\n")
                if with_login:
                    await log_in(wire)
                said = await send(wire)
            assert said.startswith(code), said
            if code == b"250":
                ((envelope, content),) = h.mails()
                assert envelope.account == account
                marked = b" with ESMTPA id " in content
                assert marked is (account == "erp"), "only AUTH is marked (RFC 3848)"
            else:
                assert h.mails() == []
            await wire.close()

    run(main)


@pytest.mark.parametrize(
    ("sender", "author", "reply"),
    [
        (b"alice@example.com", b"alice@example.com", b"250 2.0.0"),
        (b"", b"alice@example.com", b"250 2.0.0"),
        (b"alice@example.com", b"Alice <alice@example.com>, bob@example.com", b"550 5.7.1 The mail needs one From field"),
        (b"boss@example.org", b"alice@example.com", b"550 5.7.1 You may not send with this envelope sender"),
        (b"a@sub.example.com", b"alice@example.com", b"550 5.7.1 You may not send with this envelope sender"),
        (b"alice@example.com", b"boss@example.org", b"550 5.7.1 You may not send with this From address"),
        (b"alice@example.com", b"alice@example.com, boss@example.org", b"550 5.7.1 The mail needs one From field"),
        (b"alice@example.com", b'"alice@example.com" <boss@example.org>', b"550 5.7.1 You may not send with this From address"),
        (b"alice@example.com", b"alice@example.com\r\nFrom: boss@example.org", b"550 5.7.1 The mail needs one From field"),
        (b"alice@example.com", b"alice@example.com <boss@example.org>", b"550 5.7.1 You may not send with this From address"),
        (b"alice@example.com", b"Everybody: alice@example.com;", b"550 5.7.1 The mail needs one From field"),
    ],
)  # fmt: skip
def test_a_client_sends_as_it_may(sender: bytes, author: bytes, reply: bytes) -> None:
    async def main() -> None:
        async with house(listener=CLEAR, clients=clients()) as h:
            wire = await greeted(h)
            await log_in(wire)
            said = await send(wire, sender, b"From: %b\r\n\r\nHello\r\n" % author)
            assert said.startswith(reply), said
            assert len(h.mails()) == said.startswith(b"250")
            await wire.close()

    run(main)


def test_a_login_counts_for_more_than_a_network() -> None:
    async def main() -> None:
        async with house(listener=CLEAR, clients=clients(ERP, LOCAL)) as h:
            wire = await greeted(h)
            assert (await send(wire)).startswith(b"550 5.7.1")
            await log_in(wire)
            assert (await send(wire)).startswith(b"250 2.0.0")
            ((envelope, _),) = h.mails()
            assert envelope.account == "erp"
            await wire.close()

    run(main)


def test_a_mail_without_from_needs_no_author_where_none_is_ruled() -> None:
    async def main() -> None:
        free = Client("free", networks=("127.0.0.1/32",), policy=Policy(("example.com",), None))
        async with house(listener=CLEAR, clients=clients(free)) as h:
            wire = await greeted(h)
            assert (await send(wire, mail=b"Subject: x\r\n\r\n")).startswith(b"250 2.0.0")
            await wire.close()

    run(main)


def test_a_login_does_not_survive_starttls(authority: Authority, context: ServerContext) -> None:
    async def main() -> None:
        listener = ListenerOptions("test", ListenerTls.STARTTLS, auth=Auth.REQUIRED, auth_without_tls=True)
        async with house(listener=listener, context=context, clients=clients()) as h:
            wire = await greeted(h)
            assert (await log_in(wire)).startswith(b"235")
            assert (await wire.say(b"STARTTLS\r\n")).startswith(b"220")
            trusting = ssl.create_default_context(cafile=str(authority.ca_file))
            await wire.writer.start_tls(trusting, server_hostname="localhost")
            assert b"AUTH SCRAM-SHA-256 PLAIN LOGIN\r\n" in await wire.say(b"EHLO client.example\r\n")
            assert await send(wire) == b"530 5.7.0 Log in first\r\n"
            assert (await log_in(wire)).startswith(b"235")
            assert (await send(wire)).startswith(b"250 2.0.0")
            await wire.close()

    run(main)


def test_a_login_that_was_said_before_tls_is_not_carried_into_it(context: ServerContext) -> None:
    async def main() -> None:
        async with house(listener=TLS, context=context, clients=clients()) as h:
            wire = await greeted(h)
            login = b"AUTH PLAIN %b\r\n" % b64encode(b"\0erp\0sesame")
            wire.writer.write(b"STARTTLS\r\n" + login)
            assert await wire.rest() == b"503 5.5.1 Nothing may follow STARTTLS before TLS does\r\n"
            assert not any(isinstance(event, LoginSucceeded | LoginFailed) for event in h.events)
            await wire.close()

    run(main)


def test_a_client_that_leaves_while_its_password_is_checked_does_no_harm() -> None:
    async def main() -> None:
        async with house(listener=CLEAR, clients=clients()) as h:
            for number in range(20):
                wire = await greeted(h)
                wire.writer.write(b"AUTH PLAIN %b\r\n" % b64encode(b"\0erp\0%d" % number))
                wire.writer.transport.abort()
            await until(lambda: not h.receiver.sessions)
            wire = await greeted(h)
            assert (await log_in(wire)).startswith(b"235")
            await wire.close()

    run(main)


def test_a_drain_does_not_wait_for_a_login_that_never_comes() -> None:
    async def main() -> None:
        async with house(listener=CLEAR, clients=clients()) as h:
            wire = await greeted(h)
            assert await wire.say(b"AUTH PLAIN\r\n") == b"334 \r\n"
            await h.receiver.drain(20.0)
            assert (await wire.rest()).startswith(b"421 4.3.2")
            await wire.close()

    run(main)


def test_a_route_may_be_for_a_client_by_its_name() -> None:
    async def main() -> None:
        routes = (
            Route("erps", ("mx.erp.example",), matches=(Match(clients=("erp",)),)),
            Route("others", ("mx.example",), matches=(Match(clients=("192.0.2.0/24",)),)),
        )
        listener = ListenerOptions(
            "test", networks=("127.0.0.0/8",), auth=Auth.OPTIONAL, auth_without_tls=True
        )
        async with house(listener=listener, clients=clients(), routes=routes) as h:
            wire = await greeted(h)
            await wire.say(b"MAIL FROM:<alice@example.com>\r\n")
            assert (await wire.say(b"RCPT TO:<b@example.com>\r\n")).startswith(b"550 5.7.1")
            await wire.say(b"RSET\r\n")
            await log_in(wire)
            assert (await send(wire)).startswith(b"250 2.0.0")
            ((envelope, _),) = h.mails()
            assert envelope.routes() == ("erps",)
            await wire.close()

    run(main)
