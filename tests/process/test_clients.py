"""The whole relay with clients: added, rotated and disabled beside it, in force with a reload."""

import json
import signal
import smtplib
import subprocess
import sys
from pathlib import Path

import pytest

from tests.process.relay import Relay, configuration, running, wait_until

LISTENER = 'networks = ["0.0.0.0/0"]\nauth = "required"\nauth_without_tls = true'
MAIL = b"From: a@example.com\r\nSubject: x\r\n\r\nHello\r\n"


def client(folder: Path, *arguments: str) -> dict[str, object]:
    """`m365-relay client …`, and what it says."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "relay.cli.main",
            "client",
            *arguments,
            "--json",
            "-c",
            str(folder / "relay.toml"),
        ],
        capture_output=True,
        timeout=60,
        check=True,
    )
    said = json.loads(done.stdout)
    assert isinstance(said, dict)
    return said


def reload(relay: Relay) -> None:
    """Until all that is new is in force."""
    count = len(relay.events("ready"))
    relay.process.send_signal(signal.SIGHUP)
    relay.wait_for("ready", count + 1)


def send(relay: Relay, username: str, password: str) -> None:
    """One mail after a login; SMTPException."""
    with smtplib.SMTP(*relay.address, timeout=20) as session:
        session.login(username, password)
        session.sendmail("a@example.com", ["b@example.net"], MAIL)


def test_a_client_is_added_rotated_and_disabled_beside_a_running_relay(tmp_path: Path) -> None:
    text = configuration(listener=LISTENER)
    with running(tmp_path, text) as relay:
        with (
            smtplib.SMTP(*relay.address, timeout=20) as session,
            pytest.raises(smtplib.SMTPSenderRefused) as no,
        ):
            session.sendmail("a@example.com", ["b@example.net"], MAIL)
        assert no.value.smtp_code == 530
        old = str(client(tmp_path, "add", "erp", "--sender", "example.com")["password"])
        with pytest.raises(smtplib.SMTPAuthenticationError):
            send(relay, "erp", old)
        reload(relay)
        send(relay, "erp", old)
        new = str(client(tmp_path, "rotate", "erp")["password"])
        reload(relay)
        for password in (old, new):
            send(relay, "erp", password)
        client(tmp_path, "disable", "erp")
        reload(relay)
        for password in (old, new):
            with pytest.raises(smtplib.SMTPAuthenticationError):
                send(relay, "erp", password)
        # smtplib tries PLAIN and then LOGIN.
        wait_until(lambda: len(relay.events("login_failed")) == 6)
        reasons = [event["reason"] for event in relay.events("login_failed")]
        assert reasons == ["unknown user"] * 2 + ["disabled"] * 4
        assert [event["account"] for event in relay.events("accepted")] == ["erp"] * 3
        assert [event["account"] for event in relay.events("login_succeeded")] == ["erp"] * 3
        assert relay.stop() == 0
        log = relay.log_file.read_text()
        assert old not in log and new not in log and "argon2" not in log and "SCRAM-SHA-256$" not in log


def test_a_broken_clients_file_leaves_the_old_clients_in_force(tmp_path: Path) -> None:
    (tmp_path / "relay.toml").write_text(configuration(listener=LISTENER))
    password = str(client(tmp_path, "add", "erp")["password"])
    with running(tmp_path, configuration(listener=LISTENER)) as relay:
        send(relay, "erp", password)
        with open(tmp_path / "clients.jsonl", "a") as file:
            file.write('{"name": "half')
        relay.process.send_signal(signal.SIGHUP)
        refused = relay.wait_for("configuration_refused")
        assert "clients.jsonl: line 3" in str(refused["problems"])
        send(relay, "erp", password)
        assert relay.stop() == 0


def test_hashes_reach_the_receivers_alone_and_no_arguments(tmp_path: Path) -> None:
    (tmp_path / "relay.toml").write_text(configuration(listener=LISTENER))
    client(tmp_path, "add", "erp")
    with running(tmp_path, configuration(listener=LISTENER)) as relay:
        relay.wait_for("ready")
        for pid in (*relay.children().values(), relay.process.pid):
            for name in ("cmdline", "environ"):
                shown = Path(f"/proc/{pid}/{name}").read_bytes()
                assert b"argon2" not in shown and b"SCRAM" not in shown
        assert relay.stop() == 0
