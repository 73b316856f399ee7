"""Clients that others wrote, and BDAT by hand: each delivers a mail byte for byte."""

import base64
import smtplib
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import rivals
from relay import tls
from tests.fakes.certificate import Authority
from tests.fakes.sink import PLAIN_EXTENSIONS, Script
from tests.integration import needs
from tests.integration.recording import Recording, added, recording
from tests.integration.serving import Generations, Serving, configuration
from tests.integration.wire import Wire

HEADER = (
    b"From: =?utf-8?B?w4TDtsO8?= <a@example.com>\r\n"
    b"To: b@example.net\r\n"
    b"Subject:  two blanks,\r\n\tfolded with a tab \r\n"
    b"Date: Tue, 24 Nov 2026 03:00:00 +0000\r\n"
    b"Message-ID: <one@example.com>\r\n"
    b"X-Odd :a blank before the colon\r\n"
)
BODY = b"\r\n.\r\n..\r\n.two\r\n trailing blanks  \r\n\t\r\n" + b"x" * 900 + b"\r\n\xc3\xa4\xff\r\n\r\n\r\n"
MAIL = HEADER + BODY
BY_SWAKS = MAIL + b"\r\n"
"""swaks puts a line end of its own before the final dot."""


@pytest.fixture
def hop() -> Iterator[Recording]:
    with recording() as sink:
        yield sink


@pytest.fixture
def relay(tmp_path: Path, hop: Recording) -> Iterator[Generations]:
    with Serving.started(tmp_path, configuration(hop.port)) as running:
        yield running


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    folder = tmp_path / "authority"
    folder.mkdir()
    return Authority(folder)


def trusting(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(authority.ca_file))


def swaks(port: int, mail: Path, *more: str) -> None:
    """Send a file with swaks, which stuffs dots and ends the content by itself."""
    command = [needs.program("swaks", "swaks"), "--server", f"127.0.0.1:{port}"]
    command += ["--from", "a@example.com", "--to", "b@example.net", "--data", f"@{mail}", *more]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_smtplib_delivers_byte_for_byte(relay: Generations, hop: Recording) -> None:
    with smtplib.SMTP("127.0.0.1", relay.port, timeout=20) as client:
        assert (
            client.sendmail("a@example.com", ["b@example.net", "c@example.org"], MAIL, ["BODY=8BITMIME"])
            == {}
        )
    mail = hop.one()
    assert added(mail.content, MAIL) == [b"Received"]
    assert mail.mail.startswith(b"MAIL FROM:<a@example.com>") and b"BODY=8BITMIME" in mail.mail
    assert mail.rcpts == [b"RCPT TO:<b@example.net>", b"RCPT TO:<c@example.org>"]


def test_swaks_delivers_byte_for_byte(tmp_path: Path, relay: Generations, hop: Recording) -> None:
    file = tmp_path / "mail"
    file.write_bytes(MAIL)
    swaks(relay.port, file)
    assert added(hop.one().content, BY_SWAKS) == [b"Received"]


@pytest.mark.parametrize("cut", [1, 7, 300, len(MAIL)])
def test_bdat_delivers_byte_for_byte(relay: Generations, hop: Recording, cut: int) -> None:
    with Wire(relay.port) as wire:
        wire.open(parameters=b" BODY=8BITMIME")
        chunks = [MAIL[at : at + cut] for at in range(0, len(MAIL), cut)]
        for chunk in chunks:
            wire.socket.sendall(b"BDAT %d\r\n" % len(chunk) + chunk)
        wire.socket.sendall(b"BDAT 0 LAST\r\n")
        for reply in (wire.reply() for _ in range(len(chunks) + 1)):
            assert reply.startswith(b"250"), reply
    assert added(hop.one().content, MAIL) == [b"Received"]


def test_what_came_by_data_leaves_by_bdat_byte_for_byte(tmp_path: Path, hop: Recording) -> None:
    text = configuration(hop.port, route='tls = "none"\nuse_bdat = true')
    with Serving.started(tmp_path, text) as relay, Wire(relay.port) as wire:
        assert wire.send(MAIL).startswith(b"250")
        assert added(hop.one().content, MAIL) == [b"Received"]
    assert any(line.startswith(b"BDAT") for line in hop.sink.commands)


def test_a_mail_without_date_and_message_id_gets_them_on_top(relay: Generations, hop: Recording) -> None:
    bare = b"Subject: bare\r\n\r\nHello\r\n"
    with Wire(relay.port) as wire:
        assert wire.send(bare).startswith(b"250")
    assert set(added(hop.one().content, bare)) == {b"Received", b"Message-ID", b"Date"}


def test_many_mails_of_one_session_arrive_once_each(relay: Generations, hop: Recording) -> None:
    with smtplib.SMTP("127.0.0.1", relay.port, timeout=20) as client:
        for number in range(200):
            client.sendmail("a@example.com", ["b@example.net"], b"Subject: %d\r\n" % number + MAIL)
    subjects = [mail.content.split(b"\r\nSubject: ")[1].split(b"\r\n")[0] for mail in hop.received(200)]
    assert sorted(subjects, key=int) == [b"%d" % number for number in range(200)]


@pytest.mark.parametrize("client", ["smtplib", "swaks"])
@pytest.mark.parametrize("implicit", [False, True], ids=["starttls", "implicit"])
def test_tls_in_and_out(tmp_path: Path, authority: Authority, client: str, implicit: bool) -> None:
    mode = "implicit" if implicit else "starttls"
    certificate, key = authority.issue("localhost", "127.0.0.1")
    script = Script(tls=tls.server_context(str(certificate), str(key)), implicit_tls=implicit)
    file = tmp_path / "mail"
    file.write_bytes(MAIL)
    with recording(script) as hop:
        text = configuration(
            hop.port,
            listener=f'tls = "{mode}"\ncertificate = "{certificate}"\nkey = "{key}"',
            route=f'tls = "{"implicit" if implicit else "required"}"\nca_file = "{authority.ca_file}"',
        )
        with Serving.started(tmp_path, text) as relay:
            if client == "swaks":
                swaks(relay.port, file, "--tls-on-connect" if implicit else "--tls")
            else:
                with_smtplib(relay.port, trusting(authority), implicit=implicit)
            arrived = hop.one().content
    assert added(arrived, BY_SWAKS if client == "swaks" else MAIL) == [b"Received"]
    assert b"with ESMTPS" in arrived.partition(b";")[0]
    assert (b"STARTTLS" in hop.sink.commands) is not implicit


def with_smtplib(port: int, context: ssl.SSLContext, *, implicit: bool) -> None:
    """Verifies our certificate, as a careful application does."""
    if implicit:
        with smtplib.SMTP_SSL("localhost", port, context=context, timeout=20) as client:
            client.sendmail("a@example.com", ["b@example.net"], MAIL)
    else:
        with smtplib.SMTP("localhost", port, timeout=20) as client:
            client.starttls(context=context)
            client.sendmail("a@example.com", ["b@example.net"], MAIL)


def test_a_next_hop_whose_certificate_is_not_trusted_gets_nothing(
    tmp_path: Path, authority: Authority
) -> None:
    certificate, key = authority.issue("other.example")
    script = Script(tls=tls.server_context(str(certificate), str(key)))
    with recording(script) as hop:
        text = configuration(hop.port, route=f'tls = "required"\nca_file = "{authority.ca_file}"')
        with Serving.started(tmp_path, text) as relay, Wire(relay.port) as wire:
            assert wire.send(MAIL).startswith(b"250")
            failed = relay.now.wait_for("connection_failed")
            assert "certificate" in str(failed["reason"]), failed
            assert not any(line.startswith(b"MAIL") for line in hop.sink.commands)
            assert hop.sink.mails == []


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_auth_at_the_next_hop(tmp_path: Path, authority: Authority, mechanism: str) -> None:
    certificate, key = authority.issue("localhost", "127.0.0.1")
    script = Script(
        extensions=(*PLAIN_EXTENSIONS, f"AUTH {mechanism}"),
        tls=tls.server_context(str(certificate), str(key)),
        login=("relay@example.com", "open sesame ä"),
    )
    (tmp_path / "password").write_text("open sesame ä\n")
    (tmp_path / "password").chmod(0o600)
    with recording(script) as hop:
        route = f'tls = "required"\nca_file = "{authority.ca_file}"\n'
        route += 'username = "relay@example.com"\npassword_file = "password"'
        with Serving.started(tmp_path, configuration(hop.port, route=route)) as relay:
            with Wire(relay.port) as wire:
                assert wire.send(MAIL).startswith(b"250")
            assert added(hop.one().content, MAIL) == [b"Received"]
            log = relay.now.log_file.read_bytes()
    assert any(line.startswith(b"AUTH " + mechanism.encode()) for line in hop.sink.commands)
    for secret in ("open sesame ä", "open sesame"):
        assert secret.encode() not in log and base64.b64encode(secret.encode()).rstrip(b"=") not in log


def test_postfix_as_smarthost_passes_on_byte_for_byte(tmp_path: Path, hop: Recording) -> None:
    if why := rivals.has_postfix():
        needs.missing(why)
    # Postfix's processes look into its folder as another user; pytest's folders are root's alone.
    with tempfile.TemporaryDirectory(prefix="m365-relay-postfix-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with (
            rivals.postfix(folder, hop.port, None, tuned=False) as postfix,
            Serving.started(tmp_path, configuration(postfix.port)) as relay,
        ):
            # Postfix takes blanks before a field's colon away; that is its business.
            mail = MAIL.replace(b"X-Odd :", b"X-Odd:")
            with Wire(relay.port) as wire:
                assert wire.send(mail).startswith(b"250")
            assert added(hop.one().content, mail) == [b"Received", b"Received"]
