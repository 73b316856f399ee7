"""The whole relay, as processes, asks the simulator's message trace about mails whose reply was lost."""

import json
import smtplib
import subprocess
import sys
from pathlib import Path

import pytest

from tests.process.relay import running as relay_running
from tests.process.relay import wait_until
from tests.simulator.office import INSIDE, ORDERS
from tests.simulator.test_relay import Command, configuration, delivered, send, simulating

pytest.importorskip("msal", reason="msal is not installed (pip install msal)")

TABLES = """
[limits]
trace_latency = 0
[[fault]]
step = "accepted"
action = "reset"
times = 2
[[fault]]
step = "end"
action = "reset"
times = 2
"""
GRAPH = """
[graph]
tenant = "11111111-2222-4333-8444-555555555555"
client_id = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
client_secret_file = "{secret}"
authority = "{authority}"
url = "{authority}"
ca_file = "tenant/ca.pem"
trace_first = "1500ms"
trace_absent_after = "1500ms"
"""


def asking(simulator: Command) -> str:
    """The printed route, asking."""
    address = simulator.facts["addresses"]["authority"]
    route = simulator.facts["route"].replace("[[route]]\n", '[[route]]\nuncertain = "ask"\n')
    return configuration(route) + GRAPH.format(secret="tenant/secret", authority=f"https://{address}")


def test_nothing_that_arrived_is_sent_again_and_nothing_is_lost(tmp_path: Path) -> None:
    with simulating(tmp_path, TABLES) as simulator, relay_running(tmp_path, asking(simulator)) as relay:
        send(relay, 20, recipients=(INSIDE,))
        wait_until(lambda: delivered(relay) >= 20)
        uncertain = relay.events("uncertain")
        steered = [(each["do"], each["by"]) for each in relay.events("steered")]
        assert relay.stop() == 0
        report = simulator.stop()
    assert (report.accepted, report.duplicates) == (20, 0)
    assert [each["decision"] for each in uncertain] == ["ask"] * 4
    assert (
        sorted(steered)
        == [("arrived", "Microsoft's message trace")] * 2 + [("not arrived", "Microsoft's message trace")] * 2
    )
    assert report.tokens["issued"] == 1


def test_without_the_permission_what_is_in_doubt_is_kept_and_why_is_told(tmp_path: Path) -> None:
    roles = '[[application]]\nroles = ["SMTP.SendAsApp"]\n'
    with (
        simulating(tmp_path, TABLES + roles) as simulator,
        relay_running(tmp_path, asking(simulator)) as relay,
    ):
        send(relay, 5, recipients=(INSIDE,))
        wait_until(lambda: len(relay.events("trace_unavailable")) + len(relay.events("uncertain")) == 5)
        [told] = relay.events("trace_unavailable")
        assert told["level"] == "error" and "docs/uncertain.md" in str(told["reason"])
        listed = command(tmp_path, "queue", "list", "--status", "uncertain", "--json").stdout.splitlines()
        assert len(listed) == 4
        shown = command(tmp_path, "why", str(told_id(listed[0]))).stdout
        assert "may have arrived, and is kept" in shown and "403" in shown
        settled = command(tmp_path, "queue", "settle", "--status", "uncertain", "--arrived", "--yes")
        assert settled.returncode == 64
        settled = command(tmp_path, "queue", "settle", "--all", "--arrived", "--yes")
        assert "4 mails settled" in settled.stdout
        assert command(tmp_path, "queue", "list").stdout == "No such mail waits.\n"
        assert relay.stop() == 0


def test_who_is_not_in_the_directory_is_refused_at_rcpt(tmp_path: Path) -> None:
    people = '[tenant]\npeople = ["bob@contoso.example"]\ngroups = ["all@contoso.example"]\n'
    with simulating(tmp_path, people) as simulator:
        text = asking(simulator).replace(
            "[tenant]\n", '[tenant]\nrecipients = "graph"\nrecipients_unknown = "refuse"\n'
        )
        with relay_running(tmp_path, text) as relay:
            wait_until(lambda: any(each["recipients"] for each in relay.events("recipients_read")))
            [told] = relay.events("directory_read")
            assert told["addresses"] == 7
            with smtplib.SMTP(*relay.address, timeout=20) as smtp:
                smtp.ehlo()
                smtp.mail(ORDERS)
                asked = ("bob@contoso.example", "all@contoso.example", ORDERS, "eve@contoso.example")
                assert [smtp.rcpt(each)[0] for each in asked] == [250, 250, 250, 550]
            assert relay.stop() == 0


def command(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """`m365-relay WORDS`, as a person gives it."""
    line = [sys.executable, "-m", "relay.cli.main", *words, "--config", str(folder / "relay.toml")]
    return subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)


def told_id(line: str) -> str:
    return str(json.loads(line)["id"])
