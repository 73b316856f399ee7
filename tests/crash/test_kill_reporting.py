"""The deliverer is killed while mail fails: each sender gets one report, neither none nor two.

A report may arrive twice, as any mail may whose next hop had answered when the deliverer died:
then it is the same mail, with one Message-ID. Two reports of one failure have two.
"""

import os
import random
import re
import signal
import smtplib
import time
from collections import defaultdict
from functools import partial
from pathlib import Path

from tests.fakes.sink import Sunk
from tests.integration.refusing import refusing
from tests.integration.serving import Generations, Serving, configuration
from tests.process.relay import wait_until

MAILS = 1_000
KILLS = 5
SEED = int(os.environ.get("M365_RELAY_CRASH_SEED", "0")) or random.randrange(1, 10**6)
_MESSAGE_ID = re.compile(rb"^Message-ID: (<\S+>)\r$", re.MULTILINE)


def send(address: tuple[str, int], numbers: range) -> None:
    """A mail for each number, to somebody there is not."""
    with smtplib.SMTP(*address, timeout=20) as client:
        for number in numbers:
            mail = f"Subject: {number}\r\n\r\nHello\r\n"
            client.sendmail(f"s{number}@sender.test", [f"bad{number}@c.test"], mail)


def reports(mails: list[Sunk]) -> dict[int, set[bytes]]:
    """Message-IDs of reports by the number of the sender they went to."""
    found: dict[int, set[bytes]] = defaultdict(set)
    for mail in mails:
        number = re.match(rb"RCPT TO:<s(\d+)@", mail.rcpts[0])
        message_id = _MESSAGE_ID.search(mail.content)
        assert number is not None and message_id is not None
        found[int(number[1])].add(message_id[1])
    return found


def has_begun(relay: Generations, times: int) -> bool:
    """Whether so many deliverers have read the spool."""
    return len(relay.now.events("queue_rebuilt")) >= times


def test_kills_of_the_deliverer_lose_no_report_and_repeat_none(tmp_path: Path) -> None:
    rng = random.Random(SEED)
    # ruff: noqa: SIM117 (the next hop stands in the outer "with", the relay in the inner one)
    with refusing(b"RCPT TO:<bad", b"550 5.1.1 No such user") as hop:
        with Serving.started(tmp_path, configuration(hop.port)) as relay:
            part = MAILS // KILLS
            for kill in range(KILLS):
                # The next part comes while there is no deliverer: it begins with all of it, and dies over it.
                wait_until(partial(has_begun, relay, kill + 1))
                time.sleep(rng.uniform(0.0, 0.15))
                os.kill(relay.now.child("deliverer"), signal.SIGKILL)
                send(relay.now.address, range(kill * part, (kill + 1) * part))
            wait_until(lambda: len(reports(list(hop.mails))) == MAILS)
            wait_until(lambda: "No such mail waits" in relay.command("queue", "list").stdout)
            assert relay.now.stop() == 0
            assert relay.now.events("fault") == []
            checked = relay.command("spool", "check")
    assert checked.returncode == 0, checked.stdout
    told = reports(hop.mails)
    assert sorted(told) == list(range(MAILS)), f"seed {SEED}"
    assert {number: ids for number, ids in told.items() if len(ids) > 1} == {}, f"seed {SEED}"
