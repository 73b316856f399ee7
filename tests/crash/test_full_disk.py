"""A spool on a small file system: mail is refused with 452 while there is no room, and nothing is lost."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.disk import fill, mount_trouble, small_tmpfs
from tests.integration import needs
from tests.integration.serving import Generations, Serving, configuration, free_port
from tests.integration.traffic import Ledger, Source, sink
from tests.integration.wire import Wire
from tests.process.relay import wait_until

MIB = 1024 * 1024
DISK_BYTES = 64 * MIB
MAILS = 8_000
"""80 MB: more than the disk holds."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    if (trouble := mount_trouble()) is not None:
        needs.missing(trouble)
    with small_tmpfs(tmp_path / "disk", DISK_BYTES) as folder:
        yield folder


def answer_to_mail(port: int) -> bytes:
    """What MAIL gets, which must come at once."""
    began = time.monotonic()
    with Wire(port) as wire:
        assert wire.say(b"EHLO client").startswith(b"250")
        answer = wire.say(b"MAIL FROM:<a@example.com>")
    assert time.monotonic() - began < 2.0
    return answer


def is_refusing(relay: Generations) -> bool:
    return answer_to_mail(relay.port).startswith(b"452 4.3.1")


def is_accepting(relay: Generations) -> bool:
    return answer_to_mail(relay.port).startswith(b"250")


def test_a_relay_that_fills_its_disk_refuses_until_mail_has_left(tmp_path: Path, disk: Path) -> None:
    hop_port = free_port()
    text = configuration(hop_port, path=str(disk / "spool"))
    with Serving.started(tmp_path, text) as relay:
        source = Source(relay.port, MAILS, record=tmp_path / "sent", timeout_s=60)
        wait_until(lambda: is_refusing(relay))
        refusing = relay.now.wait_for("spool_refusing")
        assert "MiB" in str(refusing["reason"])
        time.sleep(0.5)
        assert is_refusing(relay), "it gave in to clients that come again and again"
        with sink(port=hop_port, record=tmp_path / "arrivals") as hop:
            sent = source.sent()
            assert sent.acknowledged == MAILS and sent.refused > 0
            wait_until(lambda: hop.report().unique == MAILS)
            relay.now.wait_for("spool_accepting")
            assert is_accepting(relay)
            assert relay.now.stop() == 0
            assert hop.report().altered == 0
        assert relay.command("spool", "check").returncode == 0
    ledger = Ledger()
    ledger.read_source(tmp_path / "sent")
    ledger.read_sink(tmp_path / "arrivals")
    assert not ledger.lost and not ledger.repeated and not ledger.uncertain


def test_a_disk_filled_by_others_stops_acceptance_and_not_deliveries(tmp_path: Path, disk: Path) -> None:
    hop_port = free_port()
    waiting = 1_000
    with Serving.started(tmp_path, configuration(hop_port, path=str(disk / "spool"))) as relay:
        assert Source(relay.port, waiting, record=tmp_path / "sent").sent().acknowledged == waiting
        filler = fill(disk)
        wait_until(lambda: is_refusing(relay))
        with sink(port=hop_port, record=tmp_path / "arrivals") as hop:
            wait_until(lambda: hop.report().unique == waiting)
            # Freed pages are room again: deliveries alone may lift the floor, or the other program goes.
            filler.unlink()
            wait_until(lambda: is_accepting(relay))
            more = Source(relay.port, 500, first=waiting, record=tmp_path / "more").sent()
            assert more.acknowledged == 500
            wait_until(lambda: hop.report().unique == waiting + 500)
            assert relay.now.stop() == 0
            assert hop.report().mails == waiting + 500
        assert [line["reason"] for line in relay.now.events("fault")] == []
        assert relay.command("spool", "check").returncode == 0
