"""The relay's limits before the simulator's: a burst that Microsoft would refuse in part goes through whole."""

import smtplib
from pathlib import Path

from tests.process.relay import Relay, running, wait_until
from tests.simulator.office import INSIDE, ORDERS, OUTSIDE
from tests.simulator.test_relay import configuration, simulating

INSIDE_MAILS, OUTSIDE_MAILS = 60, 40
TABLES = """
speed = 60
[limits]
messages_mode = "refuse"
external_recipients = 20
external_recipients_per = "1m"
session = 0
idle = 0
"""
"""A minute of the simulator's is a second: so the printed route has it."""


def send_burst(relay: Relay) -> None:
    """Mail to the outside first: it must let the rest past."""
    with smtplib.SMTP(*relay.address, timeout=20) as smtp:
        for number in range(OUTSIDE_MAILS + INSIDE_MAILS):
            to = OUTSIDE if number < OUTSIDE_MAILS else INSIDE
            smtp.sendmail(
                ORDERS, [to], f"From: {ORDERS}\r\nMessage-ID: <{number}@client.example>\r\n\r\nHello\r\n"
            )


def test_a_burst_of_a_mailbox_meets_no_refusal(tmp_path: Path) -> None:
    with simulating(tmp_path, TABLES) as simulator:
        with running(tmp_path, configuration(simulator.facts["route"])) as relay:
            send_burst(relay)
            wait_until(lambda: len(relay.events("delivered")) >= OUTSIDE_MAILS + INSIDE_MAILS)
            assert relay.events("deferred") == [] and relay.events("held") == []
            assert {event["attempts"] for event in relay.events("delivered")} == {1}
            assert relay.stop() == 0
        report = simulator.stop()
    assert (report.accepted, report.duplicates) == (OUTSIDE_MAILS + INSIDE_MAILS, 0)
    assert (report.refusals, report.violations) == ({}, {})
    mailbox = report.mailboxes[ORDERS]
    assert mailbox.peak_messages == 30 and mailbox.peak_connections <= 3
    assert report.peak_external_recipients == 20
