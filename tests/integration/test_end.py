"""Planned ends under load: nothing is lost, nothing comes twice, no client is left in doubt."""

import signal
import time
from pathlib import Path

import pytest

from benchmarks.tools import Sink
from tests.integration.serving import Generations, Serving, configuration, free_port
from tests.integration.traffic import Ledger, Source, sink
from tests.process.relay import wait_until

MAILS = 6_000
DRAIN_S = 8.0
"""As configured; and some seconds for the processes to end."""


def account(folder: Path) -> Ledger:
    ledger = Ledger()
    ledger.read_source(folder / "sent")
    ledger.read_sink(folder / "arrivals")
    return ledger


def assert_all_once(ledger: Ledger) -> None:
    assert len(ledger.acknowledged) == MAILS
    assert not ledger.lost and not ledger.repeated
    assert not ledger.uncertain, "a planned end leaves no client in doubt"


def under_load(relay: Generations, hop: Sink, folder: Path) -> Source:
    """A source that has been at work for a moment."""
    source = Source(relay.port, MAILS, record=folder / "sent", timeout_s=90)
    wait_until(lambda: hop.report().unique > 200)
    return source


@pytest.mark.parametrize("delay_ms", [0, 10])
def test_sigterm_under_load_drains_and_the_next_start_goes_on(tmp_path: Path, delay_ms: int) -> None:
    with sink(record=tmp_path / "arrivals", delay_ms=delay_ms) as hop:
        text = configuration(hop.port, port=free_port())
        with Serving.started(tmp_path, text) as relay:
            source = under_load(relay, hop, tmp_path)
            began = time.monotonic()
            assert relay.now.stop() == 0
            assert time.monotonic() - began < DRAIN_S + 2
            assert not any(pid for pid in relay.now.known if pid in relay.now.children().values())
            assert relay.command("spool", "check").returncode == 0
            relay.start()
            source.sent()
            wait_until(lambda: hop.report().unique == MAILS)
            assert relay.now.stop() == 0
    assert_all_once(account(tmp_path))


def test_reloads_under_load_lose_nothing(tmp_path: Path) -> None:
    with sink(record=tmp_path / "arrivals") as hop:
        text = configuration(hop.port, receivers=2)
        with Serving.started(tmp_path, text) as relay:
            source = under_load(relay, hop, tmp_path)
            reloads = 0
            while source.process.poll() is None and reloads < 10:
                before = relay.now.children()
                relay.now.process.send_signal(signal.SIGHUP)
                reloads += 1
                relay.now.wait_for("ready", reloads + 1)
                after = relay.now.children()
                assert before.keys() == after.keys()
                assert not set(before.values()) & set(after.values())
            source.sent()
            wait_until(lambda: hop.report().unique == MAILS)
            assert relay.now.events("configuration_refused") == []
            assert relay.now.stop() == 0
    assert reloads >= 2, "the load was over too soon"
    assert_all_once(account(tmp_path))
