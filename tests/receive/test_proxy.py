"""Proxies at a listener: who is believed, and whose the session is then."""

import asyncio
import contextlib
import ssl
from base64 import b64encode

import pytest

from relay.identity.client import Client
from relay.receive.options import Auth, Limits, ListenerOptions, ListenerTls
from relay.tls import server_context
from relay.trace.event import SessionEnded, SessionRefused
from tests.fakes.certificate import Authority
from tests.fakes.clients import clients
from tests.receive.harness import Client as Wire
from tests.receive.harness import house, run, until
from tests.receive.test_auth import greeted, send
from tests.smtp.test_proxy import TCP4, v2

ME = ("127.0.0.1/32",)
ELSEWHERE = ("192.0.2.0/24",)
V1 = b"PROXY TCP4 192.0.2.7 10.0.0.1 56324 25\r\n"
V2 = v2(0x21, 0x11, TCP4)
OFFICE = Client("office", networks=ELSEWHERE)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.mark.parametrize("header", [V1, V2], ids=["v1", "v2"])
def test_the_session_is_that_of_the_client_whom_the_proxy_names(header: bytes) -> None:
    async def main() -> None:
        listener = ListenerOptions("test", networks=(), proxy_networks=ME)
        async with house(listener=listener, clients=clients(OFFICE)) as h:
            wire = await Wire.connect(h.port)
            wire.writer.write(header)
            assert (await wire.reply()).startswith(b"220 ")
            await wire.say(b"EHLO app.example\r\n")
            assert (await send(wire)).startswith(b"250 2.0.0")
            ((envelope, content),) = h.mails()
            assert (envelope.client, envelope.account) == ("192.0.2.7", "office")
            assert content.startswith(b"Received: from app.example ([192.0.2.7])\r\n")
            await wire.close()
            await until(lambda: any(isinstance(event, SessionEnded) for event in h.events))
            assert [event.client for event in h.events if isinstance(event, SessionEnded)] == ["192.0.2.7"]

    run(main)


def test_a_header_comes_before_tls(authority: Authority) -> None:
    async def main() -> None:
        certificate, key = authority.issue("localhost")
        listener = ListenerOptions("test", ListenerTls.IMPLICIT, networks=ELSEWHERE, proxy_networks=ME)
        async with house(listener=listener, context=server_context(str(certificate), str(key))) as h:
            reader, writer = await asyncio.open_connection("127.0.0.1", h.port)
            writer.write(V1)
            trusting = ssl.create_default_context(cafile=str(authority.ca_file))
            await writer.start_tls(trusting, server_hostname="localhost")
            wire = Wire(reader, writer)
            assert (await wire.reply()).startswith(b"220 ")
            await wire.say(b"EHLO app.example\r\n")
            assert (await send(wire)).startswith(b"250 2.0.0")
            ((envelope, content),) = h.mails()
            assert envelope.client == "192.0.2.7" and b" with ESMTPS (TLS" in content
            await wire.close()

    run(main)


def test_a_header_that_comes_byte_by_byte_is_read(authority: Authority) -> None:
    async def main() -> None:
        listener = ListenerOptions("test", networks=ELSEWHERE, proxy_networks=ME)
        async with house(listener=listener) as h:
            wire = await Wire.connect(h.port)
            for byte in V1:
                wire.writer.write(bytes((byte,)))
                await asyncio.sleep(0)
            assert (await wire.reply()).startswith(b"220 ")
            await wire.close()

    run(main)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (b"EHLO client.example\r\n", "no PROXY header"),
        (b"PROXY TCP4 here there 1 2\r\n", "a malformed PROXY line"),
        (V2[:14] + b"\xff\xff", "a PROXY header of 65551 bytes exceeds 2048"),
    ],
)
def test_a_proxy_with_a_wrong_header_is_closed(header: bytes, reason: str) -> None:
    async def main() -> None:
        listener = ListenerOptions("test", proxy_networks=ME)
        async with house(listener=listener) as h:
            wire = await Wire.connect(h.port)
            wire.writer.write(header)
            # Closed without a word, with bytes unread: the peer sees an end or a reset.
            with contextlib.suppress(ConnectionResetError):
                assert await wire.rest() == b""
            await until(lambda: any(isinstance(event, SessionRefused) for event in h.events))
            assert [event.reason for event in h.events if isinstance(event, SessionRefused)] == [reason]
            await wire.close()

    run(main)


def test_a_proxy_without_a_header_is_closed_in_time() -> None:
    async def main() -> None:
        listener = ListenerOptions("test", proxy_networks=ME)
        async with house(listener=listener, limits=Limits(handshake_timeout_s=0.1)) as h:
            wire = await Wire.connect(h.port)
            assert await wire.rest() == b""
            (event,) = [event for event in h.events if isinstance(event, SessionRefused)]
            assert event.reason == "no PROXY header came in time"
            await wire.close()

    run(main)


def test_a_proxy_that_looks_whether_we_live_is_itself() -> None:
    async def main() -> None:
        async with house(listener=ListenerOptions("test", proxy_networks=ME)) as h:
            wire = await Wire.connect(h.port)
            wire.writer.write(v2(0x20, 0x00, b""))
            assert (await wire.reply()).startswith(b"220 ")
            await wire.close()

    run(main)


def test_a_client_that_the_proxy_names_must_be_served() -> None:
    async def main() -> None:
        async with house(listener=ListenerOptions("test", proxy_networks=ME)) as h:
            wire = await Wire.connect(h.port)
            wire.writer.write(V1)
            assert (await wire.reply()).startswith(b"554 5.7.1")
            await wire.close()

    run(main)


def test_nobody_else_is_believed() -> None:
    async def main() -> None:
        listener = ListenerOptions("test", networks=("127.0.0.0/8",), proxy_networks=ELSEWHERE)
        async with house(listener=listener) as h:
            wire = await Wire.connect(h.port)
            assert (await wire.reply()).startswith(b"220 ")
            assert (await wire.say(V1)).startswith(b"500 5.5.1")
            await wire.close()

    run(main)


def test_connections_count_for_the_client_and_not_for_the_proxy() -> None:
    async def main() -> None:
        listener = ListenerOptions("test", networks=("0.0.0.0/0",), proxy_networks=ME)
        async with house(listener=listener, limits=Limits(connections_per_address=1)) as h:
            wires = []
            for number in (1, 2, 2):
                wire = await Wire.connect(h.port)
                wire.writer.write(b"PROXY TCP4 192.0.2.%d 10.0.0.1 1 25\r\n" % number)
                wires.append((wire, (await wire.reply())[:3]))
            assert [code for _, code in wires] == [b"220", b"220", b"421"]
            for wire, _ in wires:
                await wire.close()

    run(main)


def test_headers_that_never_end_are_bounded_by_the_limit_of_connections() -> None:
    async def main() -> None:
        listener = ListenerOptions("test", networks=("0.0.0.0/0",), proxy_networks=ME)
        async with house(listener=listener, limits=Limits(connections=3)) as h:
            wires = [await Wire.connect(h.port) for _ in range(5)]
            await until(lambda: sum(isinstance(event, SessionRefused) for event in h.events) == 2)
            for wire in wires:
                await wire.close()

    run(main)


# XCLIENT


def test_a_proxy_speaks_for_a_client_with_xclient() -> None:
    async def main() -> None:
        listener = ListenerOptions("test", networks=ELSEWHERE, auth=Auth.REQUIRED, xclient_networks=ME)
        async with house(listener=listener, clients=clients(OFFICE)) as h:
            wire = await greeted(h)
            # Until it does, it may not send: it is in nobody's networks.
            assert (await send(wire)).startswith(b"554 5.7.1")
            assert (await wire.say(b"XCLIENT ADDR=192.0.2.7 PROTO=ESMTP HELO=app.example\r\n")).startswith(
                b"220 "
            )
            assert (await send(wire)).startswith(b"250 2.0.0")
            ((envelope, content),) = h.mails()
            assert (envelope.client, envelope.account) == ("192.0.2.7", "office")
            assert content.startswith(
                b"Received: from app.example ([192.0.2.7])\r\n\tby relay.example with ESMTP id "
            )
            await wire.close()
            await until(lambda: not h.receiver.sessions)

    run(main)


def test_a_login_of_the_proxy_is_not_that_of_its_client() -> None:
    async def main() -> None:
        listener = ListenerOptions(
            "test", networks=("0.0.0.0/0",), auth=Auth.REQUIRED, auth_without_tls=True, xclient_networks=ME,
            auth_without_tls_networks=ME,
        )  # fmt: skip
        async with house(listener=listener, clients=clients()) as h:
            wire = await greeted(h)
            login = b"AUTH PLAIN %b\r\n" % b64encode(b"\0erp\0sesame")
            assert (await wire.say(login)).startswith(b"235")
            assert (await wire.say(b"XCLIENT ADDR=198.51.100.1\r\n")).startswith(b"220")
            await wire.say(b"EHLO app.example\r\n")
            assert (await send(wire)).startswith(b"530 5.7.0")
            # Whether it may log in without TLS is a question of its own address.
            assert (await wire.say(login)).startswith(b"538 5.7.11")
            await wire.close()

    run(main)
