"""A relay whose spool is encrypted: mail lies sealed, a key that is missing stops the start and loses nothing."""

import secrets
import subprocess
import sys
from pathlib import Path

from relay.spool.store import DATA_FILE
from tests.process.relay import configuration, running, wait_until

SPOOL = 'key_file = "keys"'


def write_keys(folder: Path, *keys: str) -> None:
    (folder / "keys").write_text("".join(f"{key}\n" for key in keys))
    (folder / "keys").chmod(0o600)


def test_mail_lies_sealed_and_outlives_its_key(tmp_path: Path) -> None:
    old, new = secrets.token_hex(32), secrets.token_hex(32)
    write_keys(tmp_path, old)
    text = configuration(spool=SPOOL)
    with running(tmp_path, text) as relay:
        relay.send(2)
        wait_until(lambda: relay.events("connection_failed") != [])
        assert relay.stop() == 0
        data = (tmp_path / "spool" / DATA_FILE).read_bytes()
        assert b"a@example.com" not in data and b"Hello" not in data

    write_keys(tmp_path, new)
    (tmp_path / "relay.log").unlink()
    with running(tmp_path, text) as relay:
        assert relay.process.wait(20) == 78
        reasons = [str(event["reason"]) for event in relay.events("process_failed")]
        assert any("spool.key_file lacks" in reason for reason in reasons)
        assert relay.events("record_quarantined") == []
        assert not any(key in (tmp_path / "relay.log").read_text() for key in (old, new))

    write_keys(tmp_path, new, old)
    (tmp_path / "relay.log").unlink()
    with running(tmp_path, text) as relay:
        relay.send(1)
        (rebuilt,) = relay.events("queue_rebuilt")
        assert rebuilt["queued"] == 2
        assert relay.stop() == 0
    check = [sys.executable, "-m", "relay.cli.main", "spool", "check", "-c", str(tmp_path / "relay.toml")]
    done = subprocess.run(check, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout.count("with the key") == 2
    listed = [
        sys.executable,
        "-m",
        "relay.cli.main",
        "check-config",
        "--json",
        "-c",
        str(tmp_path / "relay.toml"),
    ]
    shown = subprocess.run(listed, capture_output=True, text=True, timeout=60)
    assert shown.returncode == 0 and "spool.keys" in shown.stdout
    assert new not in shown.stdout and old not in shown.stdout
