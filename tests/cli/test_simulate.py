"""`simulate`, as a shell sees it."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

WITHIN_S = 20.0
COMMAND = (sys.executable, "-m", "relay.cli.main", "simulate")
LISTEN = """
[listen]
submission = "127.0.0.1:{port}"
mx = ""
high_volume = ""
authority = "127.0.0.1:0"
"""


def run(folder: Path, tables: str, *options: str) -> "subprocess.CompletedProcess[str]":
    (folder / "simulator.toml").write_text(tables)
    command = [*COMMAND, "-c", "simulator.toml", "--folder", "tenant", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=WITHIN_S, check=False)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_how_to_reach_it_and_what_happened(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "simulator.toml").write_text(LISTEN.format(port=0))
    command = [*COMMAND, "-c", "simulator.toml", "--folder", "tenant"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = ""
        while "client_secret_file" not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        process.send_signal(number)
        last = process.stdout.read()
        assert process.wait(WITHIN_S) == 0
    for word in (
        "[[route]]",
        "ca.pem",
        "password_file",
        "client_id",
        "secret_file",
        "orders@contoso.example",
    ):
        assert word in said
    assert "accepted 0 mails" in last


def test_a_port_that_is_taken_is_69_with_a_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run(tmp_path, LISTEN.format(port=taken.getsockname()[1]))
    assert done.returncode == 69 and "another program has this port" in done.stderr


def test_a_speed_that_is_none_is_64(tmp_path: Path) -> None:
    assert run(tmp_path, LISTEN.format(port=0), "--speed", "0").returncode == 64


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ("speeed = 2", 'did you mean "speed"'),
        ('[listen]\nmx = "0.0.0.0:25"', "expose = true"),
        ('[[fault]]\nstep = "end"\nrow = "nonsense"', "fault[0].row"),
        ('[[mailbox]]\naddress = "a@b.example"\n[[mailbox]]\naddress = "A@b.example"', "mailbox[1].address"),
        ("[[mailbox", "no valid TOML"),
    ],
)
def test_a_configuration_that_is_wrong_is_78_with_a_sentence(tmp_path: Path, tables: str, words: str) -> None:
    done = run(tmp_path, tables)
    assert done.returncode == 78 and words in done.stderr and "Traceback" not in done.stderr
