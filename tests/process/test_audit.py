"""A running relay and its commands write one chain; it says what happened."""

import json
import os
import signal
import smtplib
import subprocess
import sys
from pathlib import Path

import pytest

from tests.process.relay import Relay, configuration, running, wait_until

KEY = "0123456789abcdef" * 4
AUDIT = '[audit]\npath = "audit"\nkey_file = "key"\n'
LOGINS = 'auth = "optional"\nauth_without_tls = true'


def rows(folder: Path) -> list[dict[str, object]]:
    file = folder / "audit" / "audit.jsonl"
    return [json.loads(line) for line in file.read_bytes().splitlines()] if file.exists() else []


def kinds(folder: Path) -> list[object]:
    return [row["event"] for row in rows(folder)]


def command(folder: Path, *arguments: str, status: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "relay.cli.main", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "COLUMNS": "250"},
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout if status in (0, 1) else done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "key").write_text(KEY)
    (tmp_path / "key").chmod(0o600)
    return tmp_path


def fail_to_log_in(relay: Relay) -> None:
    with smtplib.SMTP(*relay.address, timeout=20) as client, pytest.raises(smtplib.SMTPAuthenticationError):
        client.login("nobody", "hunter2")


def reload(relay: Relay, text: str, count: int) -> None:
    (relay.folder / "relay.toml").write_text(text)
    relay.process.send_signal(signal.SIGHUP)
    relay.wait_for("configuration_read", count)


def test_a_life_is_recorded_and_reported(folder: Path) -> None:
    text = configuration(listener=LOGINS, rest=AUDIT)
    with running(folder, text) as relay:
        fail_to_log_in(relay)
        relay.send()
        command(folder, "client", "add", "erp", "--sender", "example.com")
        reload(relay, text.replace('drain = "10s"', 'drain = "9s"'), 2)
        wait_until(lambda: "setting_changed" in kinds(folder))
        head = relay.wait_for("audit_head")
        assert relay.stop() == 0
        assert relay.events("audit_trouble") == []
    found = rows(folder)
    by = {str(row["event"]): row for row in found}
    assert (
        str(by["login_failed"]["username"]).startswith("unknown:")
        and by["login_failed"]["process"] == "receiver-0"
    )
    assert by["sender_seen"]["tls"] == ""
    assert (by["client_changed"]["client"], by["client_changed"]["old"]) == ("erp", None)
    assert by["client_changed"]["by"]
    changed = {row["key"]: (row["old"], row["new"]) for row in found if row["event"] == "setting_changed"}
    assert changed["relay.drain"] == ("10s", "9s")
    assert changed["client.erp.passwords"] == (None, "(secret)")
    assert kinds(folder)[-1] == "process_ended"
    text = (folder / "audit" / "audit.jsonl").read_text()
    assert "nobody" not in text and "hunter2" not in text and KEY not in text and "argon2id$" not in text

    anchor = f"{head['seq']}:{head['hash']}"
    assert "The keyed chain is whole" in command(folder, "audit", "verify", "--anchor", anchor)
    report = command(folder, "audit", "report")
    assert "unknown:" in report and "client_changed" in report and "anybody" in report
    answers = json.loads(command(folder, "audit", "report", "--json"))["answers"]
    assert answers["failed logins"]["rows"][0]["name given"].startswith("unknown:")
    assert answers["plain text"]["rows"][0]["from"] == "127.0.0.1"
    assert [row["who"] for row in answers["rights"]["rows"]] == ["erp", "anybody"]
    assert command(folder, "audit", "report", "--html").startswith("<!DOCTYPE html>")
    old = json.loads(command(folder, "audit", "report", "--json", "--until", "2001-01-01"))["answers"]
    assert old["failed logins"]["rows"] == []


def test_what_changed_while_it_was_down_is_recorded(folder: Path) -> None:
    with running(folder, configuration(rest=AUDIT)) as relay:
        relay.wait_for("ready")
        relay.stop()
    (folder / "relay.log").unlink()
    with running(folder, configuration(rest=AUDIT, relay='log_level = "debug"')) as relay:
        relay.wait_for("ready")
        relay.stop()
    changed = [(row["key"], row["new"]) for row in rows(folder) if row["event"] == "setting_changed"]
    assert changed == [("relay.log_level", "debug")]
    assert "is whole" in command(folder, "audit", "verify")


def test_a_receiver_that_is_killed_leaves_a_whole_chain(folder: Path) -> None:
    with running(folder, configuration(listener=LOGINS, rest=AUDIT)) as relay:
        fail_to_log_in(relay)
        wait_until(lambda: "login_failed" in kinds(folder))
        os.kill(relay.children()["receiver-0"], signal.SIGKILL)
        relay.wait_for("process_started", 3)
        relay.stop()
    assert kinds(folder).count("process_ended") >= 2
    assert "is whole" in command(folder, "audit", "verify")


def test_another_key_takes_a_restart(folder: Path) -> None:
    with running(folder, configuration(rest=AUDIT)) as relay:
        relay.wait_for("ready")
        (folder / "key").write_text("another key " * 4)
        relay.process.send_signal(signal.SIGHUP)
        refused = relay.wait_for("configuration_refused")
        assert refused["problems"] == [
            "audit: was changed (the path, the key, a bound), which takes a restart"
        ]
        relay.stop()


def test_a_log_that_cannot_be_written_stops_the_start_and_the_command(folder: Path) -> None:
    (folder / "audit").write_text("a file in the folder's place")
    with running(folder, configuration(rest=AUDIT)) as relay:
        assert relay.process.wait(20) == 74
        assert "audit" in str(relay.events("process_failed")[0]["reason"])
    said = command(folder, "client", "add", "erp", status=78)
    assert "nothing was changed" in said and not (folder / "clients.jsonl").exists()


def test_a_line_that_was_changed_is_named(folder: Path) -> None:
    with running(folder, configuration(rest=AUDIT)) as relay:
        relay.wait_for("ready")
        relay.stop()
    file = folder / "audit" / "audit.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b'"time":"2', b'"time":"1')
    file.write_bytes(b"".join(lines))
    said = command(folder, "audit", "verify", status=1)
    assert "audit.jsonl: line 3: was changed" in said
    # An auditor has the files and the key, and no configuration.
    named = ("audit", "verify", str(file), "--key-file", str(folder / "key"))
    (folder / "relay.toml").unlink()
    assert "line 3" in command(folder, *named, status=1)
    assert "write number and hash" in command(folder, *named, "--anchor", "x", status=64)
