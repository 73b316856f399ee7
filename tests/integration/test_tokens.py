"""Tokens through the whole relay: real msal gets them from a simulated Entra, smtplib and curl log in with them."""

import smtplib
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from relay.simulator.simulator import Simulator
from tests.fakes.certificate import Authority
from tests.fakes.tokens import AUDIENCE, TENANT
from tests.integration import needs
from tests.process.relay import Relay, configuration, running, wait_until
from tests.process.test_clients import client
from tests.simulator.running import run
from tests.simulator.test_authority import fetch, no_other_authorities

__all__ = ["no_other_authorities"]
APPS = ("aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee", "bbbbbbbb-bbbb-4ccc-8ddd-eeeeeeeeeeee")
MAIL = b"From: a@example.com\r\nSubject: x\r\n\r\nHello\r\n"
LOGIN_DENIED = 67
"""curl(1), EXIT CODES."""


@contextmanager
def relay_of(
    folder: Path, simulator: Simulator, *, authority: str = ""
) -> Iterator[tuple[Relay, ssl.SSLContext]]:
    """A relay that takes the simulated tenant's tokens; `client add` has made its client."""
    here = folder / "listener"
    here.mkdir()
    authority_of_listener = Authority(here)
    certificate, key = authority_of_listener.issue("127.0.0.1", "localhost")
    listener = (
        f'tls = "starttls"\ncertificate = "{certificate}"\nkey = "{key}"\n'
        'networks = ["0.0.0.0/0"]\nauth = "required"'
    )
    inbound = (
        f'[oauth_inbound]\ntenant = "{TENANT}"\naudiences = ["{AUDIENCE}"]\n'
        f'authority = "{authority or simulator.authority.base}"\nca_file = "{simulator.folder.ca_file}"\n'
        'roles = ["Relay.Send", "Mail.Send"]'
    )
    text = configuration(listener=listener, rest=inbound)
    (folder / "relay.toml").write_text(text)
    added = client(folder, "add", "shop", "--oauth-app", APPS[0].upper(), "--sender", "example.com")
    assert added == {"name": "shop", "username": None, "password": None}
    with running(folder, text, {"NO_PROXY": "*"}) as relay:
        yield relay, ssl.create_default_context(cafile=str(authority_of_listener.ca_file))


def token_of(simulator: Simulator, scope: str = f"{AUDIENCE}/.default") -> str:
    answer = fetch(simulator, simulator.folder.secret, scope)
    assert "access_token" in answer, answer
    return str(answer["access_token"])


@contextmanager
def secured(relay: Relay, trusting: ssl.SSLContext) -> Iterator[smtplib.SMTP]:
    with smtplib.SMTP(*relay.address, timeout=20) as smtp:
        assert smtp.starttls(context=trusting)[0] == 220
        smtp.ehlo()
        yield smtp


def log_in(smtp: smtplib.SMTP, mechanism: str, text: str, name: str, *, initial: bool) -> tuple[int, bytes]:
    """By the standard library's dialogue; SMTPAuthenticationError."""
    messages = {
        "XOAUTH2": f"user={name}\x01auth=Bearer {text}\x01\x01",
        "OAUTHBEARER": f"n,a={name},\x01auth=Bearer {text}\x01\x01",
    }
    said = [messages[mechanism]]

    def answer(challenge: bytes | None = None) -> str:
        if said:
            return said.pop()
        # To a complaint: nothing, or one byte.
        return "" if mechanism == "XOAUTH2" else "\x01"

    return smtp.auth(mechanism, answer, initial_response_ok=initial)


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
def test_smtplib_sends_with_a_token_that_msal_has_fetched(tmp_path: Path, mechanism: str) -> None:
    def work(simulator: Simulator) -> None:
        good, other = token_of(simulator), token_of(simulator, "https://outlook.office365.com/.default")
        with relay_of(tmp_path, simulator) as (relay, trusting):
            assert relay.wait_for("signing_keys_read")["keys"] == 2
            for initial in (True, False):
                with secured(relay, trusting) as smtp:
                    assert smtp.esmtp_features["auth"].split() == ["PLAIN", "LOGIN", "OAUTHBEARER", "XOAUTH2"]
                    with pytest.raises(smtplib.SMTPAuthenticationError) as caught:
                        log_in(smtp, mechanism, other, "a@example.com", initial=initial)
                    assert (caught.value.smtp_code, caught.value.smtp_error) == (
                        535,
                        b"5.7.8 The token is not taken here",
                    )
                    assert log_in(smtp, mechanism, good, "a@example.com", initial=initial)[0] == 235
                    smtp.sendmail("a@example.com", ["b@example.net"], MAIL)
                    with pytest.raises(smtplib.SMTPSenderRefused):
                        smtp.sendmail("a@example.org", ["b@example.net"], MAIL)
            wait_until(lambda: len(relay.events("accepted")) == 2)
            assert [event["account"] for event in relay.events("accepted")] == ["shop"] * 2
            wait_until(lambda: len(relay.events("login_failed")) == 2)
            failed = relay.events("login_failed")
            assert [(each["reason"], each["mechanism"], each["about"]) for each in failed] == [
                ("wrong audience", mechanism, f"application {APPS[0]}")
            ] * 2
            assert relay.stop() == 0
            log = relay.log_file.read_text()
            assert good not in log and other not in log and relay.events("fault") == []

    run(tmp_path / "entra", work)


def test_curl_sends_with_a_token_by_the_mechanism_it_likes_best(tmp_path: Path) -> None:
    curl = needs.program("curl", "curl")
    (tmp_path / "mail").write_bytes(MAIL)

    def work(simulator: Simulator) -> None:
        with relay_of(tmp_path, simulator) as (relay, _):
            host, port = relay.address

            def send(text: str) -> int:
                command = [
                    curl,
                    "--silent",
                    "--show-error",
                    "--ssl-reqd",
                    f"smtp://{host}:{port}/client.example",
                ]
                command += [
                    "--cacert",
                    str(tmp_path / "listener/ca.pem"),
                    "--user",
                    "a@example.com",
                    "--oauth2-bearer",
                    text,
                ]
                command += ["--mail-from", "a@example.com"]
                command += ["--mail-rcpt", "b@example.net", "--upload-file", str(tmp_path / "mail")]
                return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode

            assert send(token_of(simulator)) == 0
            assert send(token_of(simulator, "https://outlook.office365.com/.default")) == LOGIN_DENIED
            assert relay.wait_for("accepted")["account"] == "shop"
            assert relay.wait_for("login_succeeded")["mechanism"] == "OAUTHBEARER"
            assert relay.wait_for("login_failed")["reason"] == "wrong audience"
            assert relay.stop() == 0

    run(tmp_path / "entra", work)


def test_while_entra_cannot_be_asked_a_token_may_come_again(tmp_path: Path) -> None:
    def work(simulator: Simulator) -> None:
        good = token_of(simulator)
        # Nothing listens there.
        with relay_of(tmp_path, simulator, authority="https://127.0.0.1:9") as (relay, trusting):
            told = relay.wait_for("signing_keys_read")
            assert told["level"] == "error" and "cannot reach 127.0.0.1:9" in str(told["reason"])
            with secured(relay, trusting) as smtp:
                with pytest.raises(smtplib.SMTPAuthenticationError) as caught:
                    log_in(smtp, "XOAUTH2", good, "", initial=True)
                assert caught.value.smtp_code == 454
            assert relay.wait_for("login_failed")["reason"] == "no signing keys"
            assert relay.stop() == 0

    run(tmp_path / "entra", work)


def test_a_relay_stops_while_entra_hangs(tmp_path: Path) -> None:
    import socket

    def work(simulator: Simulator) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            authority = f"https://127.0.0.1:{silent.getsockname()[1]}"
            with relay_of(tmp_path, simulator, authority=authority) as (relay, _):
                relay.wait_for("ready")
                accepted, _ = silent.accept()
                with accepted:
                    began = time.monotonic()
                    assert relay.stop() == 0
                    assert time.monotonic() - began < 10
                    assert relay.events("fault") == []

    run(tmp_path / "entra", work)
