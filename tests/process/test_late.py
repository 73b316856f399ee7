"""A client hears with the 250 that its mail will be late, or is refused: over the whole relay."""

import smtplib
import subprocess
import sys
import time
from pathlib import Path

import pytest

from relay.spool import prospect
from tests.process.relay import Relay, configuration, running

WITHIN_S = 20.0


def submit(relay: Relay, deadline: str, key: str = "") -> str:
    """The reply to a mail with that deadline, and perhaps an idempotency key."""
    with smtplib.SMTP(*relay.address, timeout=WITHIN_S) as client:
        client.ehlo()
        client.mail("a@s.test")
        client.rcpt("b@c.test")
        fields = f"X-Relay-Deadline: {deadline}\r\n"
        fields += f"X-Relay-Idempotency-Key: {key}\r\n" if key else ""
        code, text = client.data(f"{fields}Subject: code\r\n\r\n1234\r\n".encode())
    return f"{code} {text.decode()}"


@pytest.mark.parametrize("policy", ["tell", "refuse"])
def test_a_deadline_that_cannot_be_kept_is_answered_at_once(tmp_path: Path, policy: str) -> None:
    with running(tmp_path, configuration(route=f'late = "{policy}"')) as relay:
        first = submit(relay, "30m", "login-1")
        assert "expected" not in first, "nobody knows yet that anything is in its way"
        subprocess.run(
            [
                sys.executable, "-m", "relay.cli.main", "suspend", "route", "smarthost", "--for", "4h",
                "-c", str(tmp_path / "relay.toml"),
            ],
            check=True,
            timeout=WITHIN_S,
            capture_output=True,
        )  # fmt: skip
        ends_at = time.monotonic() + WITHIN_S
        while not ((found := prospect.read(tmp_path / "spool" / prospect.FILE)) and found.each):
            assert time.monotonic() < ends_at, "nothing is foreseen"
            time.sleep(0.1)
        time.sleep(1.1)  # Receivers look once a second.
        late, in_time = submit(relay, "30m"), submit(relay, "6h")
        assert submit(relay, "30m", "login-1") == f"{first} before; this repeat is not sent again"
        assert relay.stop() == 0
    if policy == "tell":
        assert late.startswith("250 2.0.0 queued as ") and "; expected to leave about 20" in late
        assert late.endswith("UTC, after its deadline")
    else:
        assert late.startswith("550 5.4.7 X-Relay-Deadline cannot be kept")
    assert in_time.startswith("250") and "expected" not in in_time
