"""The whole relay in a migration: a device is learnt, a receiver dies, the device is adopted, learning ends."""

import datetime
import json
import os
import signal
import smtplib
import subprocess
import sys
from pathlib import Path

import pytest

from relay.trace.seen import store
from tests.process.relay import Relay, configuration, running, wait_until
from tests.process.test_clients import reload

DEVICE, OTHER, OUTSIDE = "127.77.0.7", "127.77.0.8", "127.99.0.1"
MAIL = b"From: scan@contoso.com\r\nSubject: x\r\n\r\nHello\r\n"
LISTENER = 'networks = []\nauth = "required"\nauth_without_tls = true'
REST = """
[tenant]
domains = ["contoso.com"]
[learning]
networks = ["127.77.0.0/16"]
route = "smarthost"
until = {until}
[audit]
path = "audit"
[console]
address = "127.0.0.1:0"
"""


def text(until: datetime.datetime) -> str:
    rest = REST.format(until=until.isoformat(timespec="milliseconds"))
    return configuration(listener=LISTENER, rest=rest).replace("receivers = 1", "receivers = 2")


def after(seconds: float) -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)


def send(relay: Relay, address: str, recipient: str = "b@contoso.com") -> None:
    """One mail from that address; SMTPException."""
    with smtplib.SMTP(*relay.address, timeout=20, source_address=(address, 0)) as session:
        session.sendmail("scan@contoso.com", [recipient], MAIL)


def refused(relay: Relay, address: str) -> int:
    with pytest.raises(smtplib.SMTPConnectError) as no:
        send(relay, address)
    return no.value.smtp_code


def command(folder: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "relay.cli.main", *words, "-c", str(folder / "relay.toml")],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


def mails_seen(folder: Path) -> int:
    return sum(seen.mails for who, seen in store.read(folder / "spool" / "seen.db") if who.address == DEVICE)


def test_a_device_is_learnt_then_adopted_and_sends_after_learning_has_ended(tmp_path: Path) -> None:
    with running(tmp_path, text(after(3_600))) as relay:
        assert relay.wait_for("learning_began")["route"] == "smarthost"
        assert refused(relay, OUTSIDE) == 554
        for _ in range(3):
            send(relay, DEVICE)
        wait_until(lambda: mails_seen(tmp_path) == 3)
        for role in ("receiver-0", "receiver-1"):
            os.kill(relay.children()[role], signal.SIGKILL)
        relay.wait_for("process_ended", 2)
        wait_until(lambda: {"receiver-0", "receiver-1"} <= relay.children().keys())
        send(relay, DEVICE)
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            send(relay, DEVICE, "eve@else.example")
        # Once for the device, whichever receivers it came to, and however many died.
        (admitted,) = relay.events("device_admitted")
        assert admitted["account"] == f"learning:{DEVICE}"
        wait_until(lambda: mails_seen(tmp_path) == 4)
        (row,) = json.loads(command(tmp_path, "client", "seen", "--unknown", "--json"))
        assert (row["client"], row["senders"], row["mails_without_tls"]) == (
            f"learning:{DEVICE}",
            ["scan@contoso.com"],
            4,
        )
        command(tmp_path, "client", "adopt", DEVICE, "--name", "mfp", "--yes")
        (tmp_path / "relay.toml").write_text(text(after(-1)))
        reload(relay)
        relay.wait_for("learning_ended")
        send(relay, DEVICE)
        assert refused(relay, OTHER) == 554
        assert relay.wait_for("device_refused")["reason"] == "over"
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            send(relay, DEVICE, "eve@else.example")
        accounts = [event["account"] for event in relay.events("accepted")]
        assert accounts == [f"learning:{DEVICE}"] * 4 + ["mfp"]
        assert relay.stop() == 0
    lines = [line for file in (tmp_path / "audit").glob("*.jsonl") for line in file.read_text().splitlines()]
    recorded = {json.loads(line)["event"] for line in lines}
    assert {
        "learning_began",
        "device_admitted",
        "client_changed",
        "learning_ended",
        "device_refused",
    } <= recorded


def test_it_ends_by_itself_without_a_reload(tmp_path: Path) -> None:
    # Receivers start in a second or two; the deliverer looks every five.
    with running(tmp_path, text(after(8))) as relay:
        send(relay, DEVICE)
        relay.wait_for("learning_ended")
        assert refused(relay, DEVICE) == 554
        assert len(relay.events("ready")) == 1
        assert relay.stop() == 0
