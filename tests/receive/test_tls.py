"""TLS at a listener: STARTTLS and implicit, and that nothing said before it counts after it."""

import asyncio
import smtplib
import ssl
import subprocess
from pathlib import Path
from shutil import which

import pytest

from relay.audit.report import WEAK
from relay.receive.options import Limits, ListenerOptions, ListenerTls
from relay.tls import TlsVersion, server_context
from relay.trace.event import SessionEnded
from tests.receive.harness import Client, House, house, run, until, without_own_fields
from tests.receive.test_session import MAIL

STARTTLS = ListenerOptions("test", tls=ListenerTls.STARTTLS)
IMPLICIT = ListenerOptions("test", tls=ListenerTls.IMPLICIT)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and self-signed certificate for localhost, in one file."""
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    path = tmp_path_factory.mktemp("tls") / "tls.pem"
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + built.public_bytes(pem))
    return path


def trusting(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate))


def test_smtplib_delivers_over_starttls(certificate: Path) -> None:
    async def main() -> None:
        async with house(listener=STARTTLS, context=server_context(str(certificate))) as h:

            def send() -> None:
                with smtplib.SMTP("localhost", h.port, timeout=5) as client:
                    client.ehlo()
                    assert client.has_extn("starttls")
                    client.starttls(context=trusting(certificate))
                    client.ehlo()
                    assert not client.has_extn("starttls")
                    for _ in range(3):
                        client.sendmail("a@example.org", ["b@x.example"], MAIL)

            await asyncio.to_thread(send)
            assert_stored(h, 3)

    run(main)


def test_smtplib_delivers_over_implicit_tls(certificate: Path) -> None:
    async def main() -> None:
        async with house(listener=IMPLICIT, context=server_context(str(certificate))) as h:

            def send() -> None:
                context = trusting(certificate)
                with smtplib.SMTP_SSL("localhost", h.port, timeout=5, context=context) as client:
                    client.sendmail("a@example.org", ["b@x.example"], MAIL)

            await asyncio.to_thread(send)
            assert_stored(h, 1)

    run(main)


def assert_stored(h: House, count: int) -> None:
    mails = h.mails()
    assert len(mails) == count
    for _, content in mails:
        assert without_own_fields(content) == MAIL
        assert b" with ESMTPS (TLSv1.3 " in content


@pytest.mark.skipif(which("swaks") is None, reason="swaks is not installed")
@pytest.mark.parametrize("kind", [ListenerTls.STARTTLS, ListenerTls.IMPLICIT])
def test_swaks_delivers_with_tls(certificate: Path, kind: ListenerTls) -> None:
    async def main() -> None:
        listener = ListenerOptions("test", tls=kind)
        async with house(listener=listener, context=server_context(str(certificate))) as h:
            tls = "--tls" if kind is ListenerTls.STARTTLS else "--tlsc"
            command = ["swaks", "--server", "127.0.0.1", "--port", str(h.port), tls, "--pipeline",
                       "--from", "a@example.org", "--to", "b@x.example", "--body", "hello"]  # fmt: skip
            done = await asyncio.to_thread(subprocess.run, command, capture_output=True, timeout=20)
            assert done.returncode == 0, done.stdout
            ((_, content),) = h.mails()
            assert b"\r\n\r\nhello\r\n" in content

    run(main)


@pytest.mark.skipif(which("openssl") is None, reason="openssl is not installed")
@pytest.mark.parametrize(("option", "minimum", "gets_in"), [
    ("-tls1", TlsVersion.TLS_1_0, True),
    ("-tls1_1", TlsVersion.TLS_1_0, True),
    ("-tls1", TlsVersion.TLS_1_2, False),
])  # fmt: skip
def test_an_old_machine_sends_where_it_may(
    certificate: Path, option: str, minimum: TlsVersion, gets_in: bool
) -> None:
    """A client of another library's command line; it says nothing before the handshake ended."""
    mail = b"Message-ID: <1@old>\r\nDate: Tue, 24 Nov 2026 02:00:00 +0000\r\n\r\nHello\r\n"
    dialogue = (
        b"EHLO old.example\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@x.example>\r\nDATA\r\n%b.\r\nQUIT\r\n"
    )

    async def main() -> None:
        context = server_context(str(certificate), minimum=minimum)
        async with house(listener=STARTTLS, context=context) as h:
            command = ["openssl", "s_client", "-connect", f"127.0.0.1:{h.port}", "-starttls", "smtp", option,
                       "-cipher", "ALL:@SECLEVEL=0", "-ign_eof", "-nocommands"]  # fmt: skip
            done = await asyncio.to_thread(
                subprocess.run, command, input=dialogue % mail, capture_output=True, timeout=20
            )
            await until(lambda: any(isinstance(event, SessionEnded) for event in h.events))
            (ended,) = [event for event in h.events if isinstance(event, SessionEnded)]
            assert ended.mails == int(gets_in), done.stderr
            if gets_in:
                ((_, content),) = h.mails()
                assert without_own_fields(content) == mail
                assert ended.tls.startswith(WEAK)
            else:
                assert "no TLS version that is still safe" in ended.reason

    run(main)


def test_a_large_mail_comes_whole_over_tls(certificate: Path) -> None:
    body = b"".join(b"%07d " % number + b"x" * 70 + b"\r\n" for number in range(20_000))

    async def main() -> None:
        async with house(listener=IMPLICIT, context=server_context(str(certificate))) as h:
            client = Client(*await asyncio.open_connection("localhost", h.port, ssl=trusting(certificate)))
            await client.open_mail()
            assert (await client.say(b"Subject: x\r\n\r\n" + body + b".\r\n")).startswith(b"250 ")
            ((_, content),) = h.mails()
            assert content.endswith(b"Subject: x\r\n\r\n" + body)
            await client.close()

    run(main)


def test_what_follows_starttls_is_never_read(certificate: Path) -> None:
    async def main() -> None:
        async with house(listener=STARTTLS, context=server_context(str(certificate))) as h:
            client = await Client.connect(h.port)
            await client.reply()
            await client.say(b"EHLO client.example\r\n")
            client.writer.write(b"STARTTLS\r\nRSET\r\nMAIL FROM:<evil@example.com>\r\n")
            assert await client.rest() == b"503 5.5.1 Nothing may follow STARTTLS before TLS does\r\n"
            await client.close()

    run(main)


def test_plain_text_after_starttls_ends_the_session(certificate: Path) -> None:
    async def main() -> None:
        async with house(listener=STARTTLS, context=server_context(str(certificate))) as h:
            client = await Client.connect(h.port)
            await client.reply()
            await client.say(b"EHLO client.example\r\n")
            assert await client.say(b"STARTTLS\r\n") == b"220 2.0.0 Start TLS\r\n"
            client.writer.write(b"MAIL FROM:<evil@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n")
            rest = await client.rest()
            assert b"250" not in rest and b"354" not in rest
            await client.close()
            await until(lambda: any(isinstance(event, SessionEnded) for event in h.events))
            assert not h.receiver.sessions

    run(main)


def test_a_handshake_that_does_not_come_is_ended(certificate: Path) -> None:
    async def main() -> None:
        limits = Limits(handshake_timeout_s=0.2)
        async with house(listener=IMPLICIT, limits=limits, context=server_context(str(certificate))) as h:
            client = await Client.connect(h.port)
            assert await client.rest() == b""
            await client.close()
            await until(lambda: not h.receiver.sessions)

    run(main)


def test_greeting_and_transaction_before_tls_are_forgotten(certificate: Path) -> None:
    async def main() -> None:
        async with house(listener=STARTTLS, context=server_context(str(certificate))) as h:
            client = await Client.connect(h.port)
            await client.reply()
            await client.say(b"EHLO client.example\r\n")
            await client.say(b"MAIL FROM:<a@example.com>\r\n")
            assert (await client.say(b"STARTTLS\r\n")).startswith(b"220 ")
            await client.writer.start_tls(trusting(certificate), server_hostname="localhost")
            assert (await client.say(b"RCPT TO:<b@example.com>\r\n")).startswith(b"503 5.5.1")
            assert (await client.say(b"MAIL FROM:<a@example.com>\r\n")).startswith(b"503 5.5.1")
            await client.close()

    run(main)
