"""swaks logs in to the whole relay, with a password that `client add` has made."""

import subprocess
from pathlib import Path

import pytest

from tests.fakes.certificate import Authority
from tests.integration import needs
from tests.process.relay import configuration, running
from tests.process.test_clients import client

AUTHENTICATION_FAILED = 28
"""swaks(1), EXIT CODES."""


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_swaks_logs_in_over_tls(tmp_path: Path, mechanism: str) -> None:
    swaks = needs.program("swaks", "swaks")
    folder = tmp_path / "authority"
    folder.mkdir()
    certificate, key = Authority(folder).issue("127.0.0.1")
    listener = (
        f'tls = "starttls"\ncertificate = "{certificate}"\nkey = "{key}"\n'
        'networks = ["0.0.0.0/0"]\nauth = "required"'
    )
    text = configuration(listener=listener)
    (tmp_path / "relay.toml").write_text(text)
    password = str(client(tmp_path, "add", "erp", "--sender", "example.com")["password"])

    with running(tmp_path, text) as relay:
        host, port = relay.address

        def send(password: str, sender: str) -> int:
            command = [
                swaks,
                "--server",
                f"{host}:{port}",
                "--tls",
                "--auth",
                mechanism,
                "--auth-user",
                "erp",
            ]
            command += ["--auth-password", password, "--from", sender, "--to", "b@example.net"]
            return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode

        assert send(password, "a@example.com") == 0
        assert send(password, "a@example.org") != 0
        assert send("wrong", "a@example.com") == AUTHENTICATION_FAILED
        (accepted,) = relay.events("accepted")
        assert accepted["account"] == "erp"
        assert relay.stop() == 0
