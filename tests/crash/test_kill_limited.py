"""The deliverer is killed in the midst of a burst that a limit holds back: no window holds one mail too many.

The sink judges by its own record: what it took twice counts twice.
"""

import os
import random
import signal
import time
from pathlib import Path

from tests.integration.serving import Serving, configuration
from tests.integration.traffic import Ledger, Source, sink
from tests.process.relay import wait_until

COUNT, WINDOW_S = 80, 2.0
MAILS = 480
KILLS = 4
SEED = int(os.environ.get("M365_RELAY_CRASH_SEED", "0")) or random.randrange(1, 10**6)
LIMIT = f"""
[[route.limit]]
count = {COUNT}
of = "messages"
per = {WINDOW_S}
"""


def fullest(ledger: Ledger) -> int:
    """Mails in the fullest window, wherever it begins."""
    times = sorted(at for each in ledger.taken.values() for at in each)
    most, first = 0, 0
    for last, at in enumerate(times):
        while at - times[first] >= WINDOW_S:
            first += 1
        most = max(most, last - first + 1)
    return most


def test_kills_of_the_deliverer_never_put_one_mail_too_many_into_a_window(tmp_path: Path) -> None:
    rng = random.Random(SEED)
    ledger = Ledger()
    with sink(record=tmp_path / "arrivals", delay_ms=3) as hop:
        text = configuration(hop.port, route='tls = "none"\n', rest=LIMIT)
        with Serving.started(tmp_path, text) as relay:
            sent = Source(relay.port, MAILS, size=2048, record=tmp_path / "sent").sent()
            assert sent.acknowledged == MAILS
            for _ in range(KILLS):
                time.sleep(rng.uniform(0.2, 1.4))
                os.kill(relay.now.child("deliverer"), signal.SIGKILL)
            wait_until(lambda: hop.report().unique == MAILS)
            told = relay.now.events("throttled")
            assert relay.now.stop() == 0
            assert relay.now.events("fault") == []
            checked = relay.command("spool", "check")
    ledger.read_source(tmp_path / "sent")
    ledger.read_sink(tmp_path / "arrivals")
    assert not ledger.lost, f"seed {SEED}"
    assert COUNT // 2 < fullest(ledger) <= COUNT, f"seed {SEED}"
    assert told and "80 messages in 2 s of the route sink" in str(told[0]["limit"])
    assert checked.returncode == 0, checked.stdout
