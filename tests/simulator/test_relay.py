"""The relay in front of the simulator: mails arrive, what is refused for now arrives later."""

import json
import signal
import smtplib
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path

import msgspec
import pytest

from relay.simulator.report import Report
from tests.process.relay import Relay, wait_until
from tests.process.relay import running as relay_running
from tests.simulator.office import BULK, INSIDE, ORDERS, OUTSIDE

WITHIN_S = 20.0
LISTEN = """
[listen]
submission = "127.0.0.1:0"
mx = ""
high_volume = ""
authority = "127.0.0.1:0"
"""
RELAY = """
[relay]
hostname = "relay.contoso.example"
receivers = 1
[spool]
path = "spool"
free_space_floor = 0
[[listener]]
address = "127.0.0.1:0"
{route}
"""
TENANT = '[tenant]\ndomains = ["contoso.example"]\n'
PATIENCE = 'retry_first = "300ms"'


class Command:
    """`m365-relay simulate`, as a person starts it."""

    def __init__(self, folder: Path, tables: str) -> None:
        (folder / "simulator.toml").write_text(tables)
        self.report_file = folder / "report.json"
        arguments = ("--config", "simulator.toml", "--folder", "tenant", "--json", "--report", "report.json")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "relay.cli.main", "simulate", *arguments],
            cwd=folder,
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        self.facts = json.loads(self.process.stdout.readline())

    def stop(self) -> Report:
        """End it as a person does; what it says then."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.stdout is not None
        said = self.process.stdout.read()
        assert self.process.wait(WITHIN_S) == 0
        report = msgspec.json.decode(self.report_file.read_bytes(), type=Report)
        assert msgspec.json.decode(said, type=Report) == report
        return report


@contextmanager
def simulating(folder: Path, tables: str = "", listen: str = LISTEN) -> Iterator[Command]:
    command = Command(folder, f"{tables}\n{listen}")
    try:
        yield command
    finally:
        if command.process.poll() is None:
            command.process.kill()
        command.process.communicate()


def configuration(route: str) -> str:
    """Of the relay; the printed route has its tenant with it."""
    return RELAY.format(route=route) + ("" if "[tenant]" in route else TENANT)


@contextmanager
def relaying(folder: Path, simulator: Command) -> Iterator[Relay]:
    """The relay with the very route that the simulator prints; it only tries again sooner."""
    route = simulator.facts["route"].replace("[[route]]\n", f"[[route]]\n{PATIENCE}\n")
    with relay_running(folder, configuration(route)) as relay:
        yield relay


def send(
    relay: Relay, count: int, author: str = ORDERS, recipients: Sequence[str] = (INSIDE, OUTSIDE)
) -> None:
    with smtplib.SMTP(*relay.address, timeout=WITHIN_S) as smtp:
        for number in range(count):
            message = EmailMessage()
            message["From"], message["To"] = author, ", ".join(recipients)
            message["Message-ID"] = f"<{number}.{author}>"
            message.set_content("Hello")
            smtp.send_message(message)


def delivered(relay: Relay) -> int:
    return len(relay.events("delivered"))


def test_mails_arrive_through_the_relay(tmp_path: Path) -> None:
    with simulating(tmp_path) as simulator, relaying(tmp_path, simulator) as relay:
        send(relay, 20)
        wait_until(lambda: delivered(relay) >= 20)
        assert relay.stop() == 0
        report = simulator.stop()
    assert (report.accepted, report.recipients, report.external_recipients) == (20, 40, 20)
    assert (report.duplicates, report.violations, report.refusals) == (0, {}, {})
    assert report.mailboxes[ORDERS].accepted == 20 and report.mailboxes[ORDERS].peak_connections <= 3


def test_what_is_refused_with_432_rests_and_is_no_attempt(tmp_path: Path) -> None:
    """That it goes on after 5 to 30 seconds is shown with a clock of its own: tests/deliver/test_mailboxes.py."""
    fault = '[[fault]]\nstep = "end"\nrow = "432 concurrent"\ntimes = 1'
    with simulating(tmp_path, fault) as simulator:
        with relaying(tmp_path, simulator) as relay:
            send(relay, 5)
            opened = relay.wait_for("breaker_opened")
            assert (opened["scope"], opened["key"]) == ("sender", ORDERS)
            assert relay.stop() == 0
            assert relay.events("deferred") == []
            assert {event["attempts"] for event in relay.events("delivered")} <= {1}
            assert delivered(relay) < 5
        report = simulator.stop()
    assert report.duplicates == 0 and sum(report.faults.values()) == 1


def test_a_rate_that_is_delayed_loses_nothing(tmp_path: Path) -> None:
    tables = "speed = 60\n[limits]\nmessages = 10\nsession = 0\nidle = 0"
    with simulating(tmp_path, tables) as simulator:
        route = simulator.facts["route"]
        # A relay that does not know the limit.
        assert "count = 10\n" in route
        simulator.facts["route"] = route.replace("count = 10\n", "count = 1000\n")
        with relaying(tmp_path, simulator) as relay:
            send(relay, 25)
            wait_until(lambda: delivered(relay) >= 25)
            assert relay.stop() == 0
        report = simulator.stop()
    assert (report.accepted, report.duplicates, report.refusals) == (25, 0, {})
    assert report.mailboxes[ORDERS].peak_messages == 10 and report.violations["messages"] >= 2
    assert report.ended - report.began >= 120


CONNECTOR = """
[[route]]
name = "connector"
host = "127.0.0.1"
port = {port}
ca_file = "{ca_file}"
client_certificate = "{connector_certificate}"
client_key = "{connector_key}"
"""


def test_a_connector_takes_what_the_relay_sends_to_the_world(tmp_path: Path) -> None:
    tables = LISTEN.replace('mx = ""', 'mx = "127.0.0.1:0"')
    with simulating(tmp_path, tables=tables, listen="") as simulator:
        port = simulator.facts["addresses"]["mx"].rpartition(":")[2]
        simulator.facts["route"] = CONNECTOR.format(port=port, **simulator.facts)
        with relaying(tmp_path, simulator) as relay:
            send(relay, 5, "anybody@contoso.example")
            wait_until(lambda: delivered(relay) >= 5)
            assert relay.stop() == 0
        report = simulator.stop()
    assert (report.accepted, report.external_recipients, report.violations) == (5, 5, {})
    assert report.sessions.keys() == {"mx"}


OAUTH = """
[[route]]
name = "{kind}"
kind = "{kind}"
host = "127.0.0.1"
port = {port}
ca_file = "{ca_file}"
username = "{username}"

[route.oauth]
tenant = "{tenant}"
client_id = "{client_id}"
authority = "{authority}"
ca_file = "{ca_file}"
{credential}
"""
CREDENTIALS = {
    "secret": 'client_secret_file = "{secret_file}"',
    "certificate": 'certificate = "{application_certificate}"\nkey = "{application_key}"',
}


def oauth_route(simulator: Command, kind: str, credential: str) -> str:
    service, username = {"submission": ("submission", ORDERS), "high-volume": ("high_volume", BULK)}[kind]
    authority, _, tenant = simulator.facts["authority"].removeprefix("https://").partition("/")
    facts = simulator.facts | {"authority": authority, "tenant": tenant, "kind": kind, "username": username}
    port = simulator.facts["addresses"][service].rpartition(":")[2]
    return OAUTH.format(port=port, credential=CREDENTIALS[credential].format(**facts), **facts)


@pytest.mark.parametrize(
    ("kind", "credential"),
    [("submission", "secret"), ("submission", "certificate"), ("high-volume", "secret")],
)
def test_the_relay_logs_in_with_a_token(tmp_path: Path, kind: str, credential: str) -> None:
    listen = LISTEN.replace('high_volume = ""', 'high_volume = "127.0.0.1:0"')
    author = ORDERS if kind == "submission" else BULK
    with simulating(tmp_path, listen=listen) as simulator:
        route = oauth_route(simulator, kind, credential)
        with relay_running(tmp_path, configuration(route)) as relay:
            send(relay, 10, author, [INSIDE])
            wait_until(lambda: delivered(relay) >= 10)
            assert relay.stop() == 0
        report = simulator.stop()
    assert (report.accepted, report.violations, report.tokens) == (10, {}, {"issued": 1})
    assert report.mailboxes[author].accepted == 10


def test_what_high_volume_does_not_take_goes_by_the_next_route(tmp_path: Path) -> None:
    listen = LISTEN.replace('high_volume = ""', 'high_volume = "127.0.0.1:0"').replace(
        'mx = ""', 'mx = "127.0.0.1:0"'
    )
    with simulating(tmp_path, listen=listen) as simulator:
        port = simulator.facts["addresses"]["mx"].rpartition(":")[2]
        simulator.facts["route"] = oauth_route(simulator, "high-volume", "secret") + CONNECTOR.format(
            port=port, **simulator.facts
        )
        with relaying(tmp_path, simulator) as relay:
            send(relay, 3, BULK)
            send(relay, 2, ORDERS, [INSIDE])
            wait_until(lambda: delivered(relay) >= 8)
            assert relay.stop() == 0
        report = simulator.stop()
    assert (report.violations, report.refusals, report.duplicates) == ({}, {}, 0)
    assert (report.accepted, report.recipients, report.external_recipients) == (8, 8, 3)
    assert report.mailboxes[BULK].accepted == 3


def test_the_route_by_token_works_as_it_is_printed(tmp_path: Path) -> None:
    with simulating(tmp_path) as simulator:
        route = simulator.facts["route_by_token"]
        with relay_running(tmp_path, configuration(route)) as relay:
            send(relay, 3)
            wait_until(lambda: delivered(relay) >= 3)
        assert simulator.stop().tokens == {"issued": 1}


def test_a_sender_without_rights_is_counted_as_a_violation(tmp_path: Path) -> None:
    with simulating(tmp_path) as simulator:
        mailbox = f'username = "{ORDERS}"\n'
        assert mailbox in simulator.facts["route"]
        simulator.facts["route"] = simulator.facts["route"].replace(mailbox, f"{mailbox}default = true\n")
        with relaying(tmp_path, simulator) as relay:
            send(relay, 5, "shop@contoso.example")
            wait_until(lambda: bool(relay.events("breaker_opened")))
            relay.stop()
        report = simulator.stop()
    assert (report.accepted, report.violations) == (0, {"send_as": 1})


def test_every_mailbox_sends_for_whom_it_may_and_mail_for_a_pool_is_shared(tmp_path: Path) -> None:
    tables = "\n".join(
        f'[[mailbox]]\naddress = "news{number}@contoso.example"\nsend_as = ["news@contoso.example"]'
        for number in (1, 2)
    )
    with simulating(tmp_path, tables) as simulator, relaying(tmp_path, simulator) as relay:
        send(relay, 40, "news@contoso.example")
        send(relay, 5, "news2@contoso.example")
        wait_until(lambda: delivered(relay) >= 45)
        assert relay.stop() == 0
        report = simulator.stop()
    assert (report.accepted, report.violations, report.refusals) == (45, {}, {})
    assert all(each.accepted >= 5 for each in report.mailboxes.values())
