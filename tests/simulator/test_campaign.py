"""A campaign through a whole relay into a simulated tenant: its end is foreseen, and comes when it was foreseen."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.relay import Relay, running
from tests.simulator.burst import Mail, _report, _send
from tests.simulator.test_relay import LISTEN, Command, configuration, simulating

MAILBOXES, MAILS = 4, 960
SPEED = 30
"""A minute of the tenant takes two seconds, so that the campaign takes 16."""
WITHIN_S = 120.0
WARM = 80
"""Mails of which it is measured how long one takes; too few for a campaign that is foreseen."""
TENANT = f"""
speed = {SPEED}
[limits]
messages_mode = "refuse"
external_recipients = {3 * MAILS}
"""


def address(number: int) -> str:
    return f"m{number % MAILBOXES}@contoso.example"


def mails(priority: str, campaign: str = "Spring sale", count: int = MAILS) -> Iterator[Mail]:
    for number in range(count):
        name = f"<{number}@{campaign.split()[0].lower()}.example>"
        fields = f"X-Relay-Campaign: {campaign}\r\nX-Relay-Priority: {priority}\r\n"
        content = f"From: {address(number)}\r\nMessage-ID: {name}\r\n{fields}Subject: x\r\n\r\nHello\r\n.\r\n"
        yield address(number), f"r{number}@outside.example", content.encode()


def told(folder: Path, *words: str) -> dict[str, float]:
    """What a command says."""
    done = subprocess.run(
        [sys.executable, "-m", "relay.cli.main", *words, "--json", "-c", str(folder / "relay.toml")],
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, float] = json.loads(done.stdout)
    return found


def until(simulator: Command, part: float, within_s: float = WITHIN_S) -> None:
    """Wait until so much has arrived."""
    ends_at = time.monotonic() + within_s
    while _report(simulator).accepted < MAILS * part:
        assert time.monotonic() < ends_at, "it does not go on"
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize("priority", ["bulk", "normal"])
def test_the_end_that_is_foreseen_at_a_tenth_is_off_by_less_than_five_per_cent(
    tmp_path: Path, priority: str
) -> None:
    tables = "".join(f'[[mailbox]]\naddress = "{address(n)}"\n' for n in range(MAILBOXES))
    with simulating(tmp_path, TENANT + tables, LISTEN) as simulator:
        with running(tmp_path, configuration(simulator.facts["route"])) as relay:
            began = time.time()
            asyncio.run(_send(relay, mails(priority)))
            until(simulator, 0.1)
            early = told(tmp_path, "campaign", "show", "Spring sale")
            planned = told(
                tmp_path, "plan", "--recipients", "100", "--from", address(0), "--priority", priority
            )
            until(simulator, 1.0)
            ended = ended_at(relay, tmp_path)
        report = simulator.stop()
    assert report.refusals == {}
    assert early["waiting"] >= 0.7 * MAILS
    assert early["recipients"] == MAILS
    # Normal mail goes in bursts: whether the last few have room in one more of them is a window more or less.
    window_s = 0.0 if priority == "bulk" else 60 / SPEED
    assert abs(early["done_at"] - ended) < 0.05 * (ended - began) + window_s
    # What would come now, without a campaign, takes every second turn of its mailbox: 200 go until its 100 have.
    turns_s = 200 / (30 * SPEED / 60)
    assert 0.7 * turns_s < planned["done_at"] - planned["asked_at"] < 1.3 * turns_s + 60 / SPEED


@pytest.mark.slow
def test_the_end_of_a_campaign_that_waits_for_its_hours_is_foreseen_before_they_begin(tmp_path: Path) -> None:
    tables = "".join(f'[[mailbox]]\naddress = "{address(n)}"\n' for n in range(MAILBOXES))
    with simulating(tmp_path, TENANT + tables, LISTEN) as simulator:
        opens_at = int(time.time() + 45) // 60 * 60 + 60
        hours = (
            f'[[route.hours]]\nfrom = "{clock(opens_at)}"\nto = "{clock(opens_at + 7_200)}"\ntime_zone = "UTC"\n'
            'campaigns = ["Spring*"]\n'
        )
        with running(tmp_path, configuration(simulator.facts["route"]) + hours) as relay:
            began = time.time()
            # Mail that has no hours goes at once; how long a mail takes is measured by it.
            asyncio.run(_send(relay, mails("bulk", "Warm up", WARM)))
            asyncio.run(_send(relay, mails("bulk")))
            until(simulator, WARM / MAILS)
            early = told(tmp_path, "campaign", "show", "Spring sale")
            assert time.time() < opens_at, "this machine is too slow to ask before the hours begin"
            assert (early["waiting"], early["delivered"]) == (MAILS, 0)
            # The hours may be 105 s away.
            until(simulator, 1.0 + WARM / MAILS, within_s=2 * WITHIN_S)
            ended = ended_at(relay, tmp_path)
        report = simulator.stop()
    assert report.refusals == {}
    # What its mail takes from its hours on, and no more than that: the wait is no merit of the forecast.
    assert abs(early["done_at"] - ended) < 0.05 * (ended - opens_at) + 1.0
    assert ended - began > opens_at - began


def clock(at: float) -> str:
    return time.strftime("%H:%M", time.gmtime(at))


def ended_at(relay: Relay, folder: Path) -> float:
    event = relay.wait_for("campaign_ended")
    assert (event["campaign"], event["delivered"], event["failed"]) == ("Spring sale", MAILS, 0)
    error = event["forecast_error"]
    assert isinstance(error, float) and abs(error) < 0.25, "the first one is made while the mail still comes"
    shown = told(folder, "campaign", "show", "Spring sale")
    assert (shown["waiting"], shown["delivered"], shown["mails"]) == (0, MAILS, MAILS)
    return shown["ended_at"]
