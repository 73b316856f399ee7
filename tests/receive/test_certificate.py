"""Client certificates at a listener: whose they are, which are refused, what is revoked."""

import asyncio
import socket
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from relay.identity.client import Client, Policy
from relay.receive.options import Auth, ListenerOptions, ListenerTls
from relay.tls import ServerContext, server_context
from relay.trace.event import SessionRefused
from tests.fakes.certificate import Authority
from tests.fakes.clients import ERP, WEB, clients
from tests.receive.harness import Client as Wire
from tests.receive.harness import House, house, run, until
from tests.receive.test_auth import log_in, send

IMPLICIT = ListenerOptions("test", ListenerTls.IMPLICIT, networks=("0.0.0.0/0",), auth=Auth.REQUIRED)
STARTTLS = ListenerOptions("test", ListenerTls.STARTTLS, networks=("0.0.0.0/0",), auth=Auth.REQUIRED)
Pair = tuple[Path, Path]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("stranger"))


@pytest.fixture(scope="module")
def ours(authority: Authority) -> Pair:
    return authority.issue("localhost")


def context(authority: Authority, ours: Pair, crl: Path | None = None) -> ServerContext:
    return server_context(
        str(ours[0]), str(ours[1]), client_ca_file=str(authority.ca_file),
        client_crl_file=None if crl is None else str(crl),
    )  # fmt: skip


def showing(authority: Authority, pair: Pair | None) -> ssl.SSLContext:
    trusting = ssl.create_default_context(cafile=str(authority.ca_file))
    if pair is not None:
        trusting.load_cert_chain(*map(str, pair))
    return trusting


async def connected(h: House, trusting: ssl.SSLContext) -> Wire:
    wire = Wire(*await asyncio.open_connection("localhost", h.port, ssl=trusting))
    await wire.reply()
    await wire.say(b"EHLO client.example\r\n")
    return wire


def fingerprint(pair: Pair) -> str:
    return x509.load_pem_x509_certificate(pair[0].read_bytes()).fingerprint(hashes.SHA256()).hex()


@pytest.mark.parametrize("listener", [IMPLICIT, STARTTLS], ids=["implicit", "starttls"])
def test_a_certificate_says_who_it_is(authority: Authority, ours: Pair, listener: ListenerOptions) -> None:
    by_name = authority.issue("other.example.com", "web.example.com")
    by_mail = authority.issue("app@example.com")
    by_print = authority.issue("unknown.example.com")
    mail = Client("mail", certificates=("app@example.com",))
    printed = Client("print", certificates=(fingerprint(by_print),))

    async def main() -> None:
        async with house(
            listener=listener, context=context(authority, ours), clients=clients(WEB, mail, printed)
        ) as h:
            for pair in (by_name, by_mail, by_print):
                trusting = showing(authority, pair)
                if listener is IMPLICIT:
                    wire = await connected(h, trusting)
                else:
                    wire = await Wire.connect(h.port)
                    await wire.reply()
                    await wire.say(b"EHLO client.example\r\n")
                    assert (await send(wire)).startswith(b"530 5.7.0")
                    await wire.say(b"STARTTLS\r\n")
                    await wire.writer.start_tls(trusting, server_hostname="localhost")
                    await wire.say(b"EHLO client.example\r\n")
                assert (await send(wire)).startswith(b"250 2.0.0")
                await wire.close()
            mails = h.mails()
            assert [envelope.account for envelope, _ in mails] == ["web", "mail", "print"]
            # RFC 3848 marks AUTH alone.
            assert all(b" with ESMTPS (" in content for _, content in mails)

    run(main)


def test_who_shows_none_or_one_that_nobody_knows_is_nobody(authority: Authority, ours: Pair) -> None:
    unknown = authority.issue("WEB.example.com.evil.example")

    async def main() -> None:
        async with house(listener=IMPLICIT, context=context(authority, ours), clients=clients(WEB, ERP)) as h:
            for pair in (None, unknown):
                wire = await connected(h, showing(authority, pair))
                assert (await send(wire)).startswith(b"530 5.7.0 Log in first")
                assert (await log_in(wire)).startswith(b"235")
                assert (await send(wire)).startswith(b"250 2.0.0")
                await wire.close()

    run(main)


def test_the_name_in_the_subject_is_nobodys(authority: Authority, ours: Pair) -> None:
    pair = authority.issue_without_names("web.example.com")

    async def main() -> None:
        async with house(listener=IMPLICIT, context=context(authority, ours), clients=clients(WEB)) as h:
            wire = await connected(h, showing(authority, pair))
            assert (await send(wire)).startswith(b"530 5.7.0")
            await wire.close()

    run(main)


def test_a_certificate_of_another_authority_ends_the_handshake(
    authority: Authority, stranger: Authority, ours: Pair
) -> None:
    theirs = stranger.issue("web.example.com")

    async def main() -> None:
        async with house(listener=IMPLICIT, context=context(authority, ours), clients=clients(WEB)) as h:
            await refused(h, showing(authority, theirs))
            assert h.mails() == []

    run(main)


async def refused(h: House, trusting: ssl.SSLContext) -> None:
    """TLS 1.3 lets a client end its handshake before the server has judged its certificate."""
    with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
        reader, writer = await asyncio.open_connection("localhost", h.port, ssl=trusting)
        try:
            assert await asyncio.wait_for(reader.readline(), 10) != b""
        finally:
            writer.transport.abort()
    await until(lambda: any(isinstance(event, SessionRefused) for event in h.events))


def test_a_revoked_certificate_ends_the_handshake(authority: Authority, ours: Pair) -> None:
    good, bad = authority.issue("web.example.com"), authority.issue("web.example.com")
    crl = authority.revoke(bad[0])

    async def main() -> None:
        async with house(listener=IMPLICIT, context=context(authority, ours, crl), clients=clients(WEB)) as h:
            wire = await connected(h, showing(authority, good))
            assert (await send(wire)).startswith(b"250 2.0.0")
            await wire.close()
            await refused(h, showing(authority, bad))
            assert len(h.mails()) == 1

    run(main)


def test_a_session_is_not_resumed_past_a_revocation(authority: Authority, ours: Pair) -> None:
    pair = authority.issue("web.example.com")

    async def main() -> None:
        async with house(listener=IMPLICIT, context=context(authority, ours), clients=clients(WEB)) as h:

            def resumed() -> bool:
                trusting, session, was_reused = showing(authority, pair), None, False
                for _ in range(2):
                    with (
                        socket.create_connection(("127.0.0.1", h.port), timeout=10) as sock,
                        trusting.wrap_socket(sock, server_hostname="localhost", session=session) as tls,
                    ):
                        assert tls.recv(3) == b"220"
                        session, was_reused = tls.session, bool(tls.session_reused)
                return was_reused

            assert not await asyncio.to_thread(resumed)

    run(main)


def test_a_disabled_client_and_its_rules(authority: Authority, ours: Pair) -> None:
    pair = authority.issue("web.example.com")
    disabled = Client("web", certificates=WEB.certificates, is_disabled=True)
    ruled = Client("web", certificates=WEB.certificates, policy=Policy(("example.org",), ("example.org",)))

    async def main() -> None:
        for client, code in ((disabled, b"530 5.7.0"), (ruled, b"550 5.7.1")):
            async with house(
                listener=IMPLICIT, context=context(authority, ours), clients=clients(client)
            ) as h:
                wire = await connected(h, showing(authority, pair))
                assert (await send(wire)).startswith(code)
                await wire.close()

    run(main)


def test_a_proxys_certificate_is_not_its_clients(authority: Authority, ours: Pair) -> None:
    pair = authority.issue("web.example.com")
    listener = ListenerOptions(
        "test", ListenerTls.IMPLICIT, networks=("0.0.0.0/0",), auth=Auth.REQUIRED, xclient_networks=("127.0.0.1/32",)
    )  # fmt: skip

    async def main() -> None:
        async with house(listener=listener, context=context(authority, ours), clients=clients(WEB)) as h:
            wire = await connected(h, showing(authority, pair))
            await wire.say(b"XCLIENT ADDR=192.0.2.1\r\n")
            await wire.say(b"EHLO app.example\r\n")
            assert (await send(wire)).startswith(b"530 5.7.0")
            await wire.close()

    run(main)
