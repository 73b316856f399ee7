"""A process's rows on their way to the disk: bounded, counted, never in the way."""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from relay.audit import writer as module
from relay.audit.log import AuditLog
from relay.audit.options import AuditOptions
from relay.audit.writer import AuditWriter
from relay.trace import event as trace
from relay.trace.event import Event
from tests.fakes.clock import FakeClock
from tests.process.relay import wait_until

FAILED = trace.LoginFailed("10.0.0.7", "l", "erp", "PLAIN", "wrong password")
SENT = trace.SessionEnded("10.0.0.7", "l", "client quit", 3, 1.0)


class House:
    def __init__(self, folder: Path) -> None:
        self.file = folder / "audit" / "audit.jsonl"
        self.clock = FakeClock()
        self.told: list[Event] = []
        self.open: list[AuditWriter] = []
        self.folder = folder / "audit"

    def writer(self, *, rows_a_minute: int = 600, rows_waiting: int = 100, head: bool = False) -> AuditWriter:
        options = AuditOptions(self.folder, rows_a_minute=rows_a_minute, rows_waiting=rows_waiting)
        log = AuditLog(options, self.clock)
        made = AuditWriter(log, "receiver-0", options, self.clock, self.told.append, tells_head=head)
        self.open.append(made)
        return made

    def rows(self) -> list[dict[str, object]]:
        lines = self.file.read_bytes().splitlines() if self.file.exists() else []
        return [msgspec.json.decode(line, type=dict[str, object]) for line in lines[1:]]

    def kinds(self) -> list[object]:
        return [row["event"] for row in self.rows()]


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setattr(module, "RETRY_S", 0.02)
    monkeypatch.setattr(module, "GATHER_S", 0.01)
    house = House(tmp_path)
    yield house
    for writer in house.open:
        writer.close(0.1)


def test_what_was_noted_is_on_the_disk_at_the_end(house: House) -> None:
    writer = house.writer()
    writer.note(FAILED)
    writer.note(trace.Committed(1, 1, 0.1))
    writer.put({"event": "x"})
    writer.close()
    assert house.kinds() == ["login_failed", "x"]
    assert house.rows()[0]["process"] == "receiver-0"


def test_what_was_noted_gets_there_without_an_end(house: House) -> None:
    house.writer().note(FAILED)
    wait_until(lambda: house.kinds() == ["login_failed"])


def test_a_sender_is_told_once_a_day(house: House) -> None:
    writer = house.writer()
    for _ in range(3):
        writer.note(SENT)
    writer.note(msgspec.structs.replace(SENT, tls="TLSv1.3 X"))
    house.clock.advance(86_401)
    writer.note(SENT)
    writer.close()
    assert [row["tls"] for row in house.rows()] == ["", "TLSv1.3 X", ""]


def test_who_fails_without_end_is_counted(house: House) -> None:
    writer = house.writer(rows_a_minute=5)
    for _ in range(20):
        writer.note(FAILED)
    # What no stranger can cause is recorded all the same.
    writer.note(trace.Ready(("l",)))
    writer.sweep()
    house.clock.advance(61)
    writer.sweep()
    writer.note(FAILED)
    writer.close()
    assert house.kinds() == ["login_failed"] * 5 + ["ready", "rows_above_limit", "login_failed"]
    assert house.rows()[6]["rows"] == 15


def test_the_count_is_told_at_the_end_too(house: House) -> None:
    writer = house.writer(rows_a_minute=1)
    writer.note(FAILED)
    writer.note(FAILED)
    writer.close()
    assert house.kinds() == ["login_failed", "rows_above_limit"]


def test_a_disk_that_takes_nothing_is_told_once_and_waited_for(house: House) -> None:
    house.folder.write_bytes(b"a file in the folder's place")
    writer = house.writer(rows_waiting=3)
    writer.put({"event": "first"})
    wait_until(lambda: len(house.told) == 1)
    for _ in range(9):
        writer.put({"event": "x"})
    trouble = house.told[0]
    assert isinstance(trouble, trace.AuditTrouble) and trouble.waiting == 1
    house.folder.unlink()
    wait_until(lambda: "rows_lost" in house.kinds())
    assert house.kinds() == ["first", "x", "x", "rows_lost"]
    assert house.rows()[-1]["rows"] == 7
    assert len(house.told) == 1


def test_a_disk_that_takes_nothing_does_not_keep_a_process_alive(house: House) -> None:
    house.folder.write_bytes(b"a file in the folder's place")
    writer = house.writer()
    writer.put({"event": "x"})
    writer.close(0.05)
    assert not writer._thread.is_alive()


def test_the_head_is_told_at_first_and_then_hourly(house: House) -> None:
    writer = house.writer(head=True)

    def put(count: int) -> Callable[[], bool]:
        writer.put({"event": "x"})
        return lambda: len(house.kinds()) == count

    wait_until(put(1))
    wait_until(put(2))
    house.clock.advance(3_600)
    wait_until(put(3))
    writer.close()
    heads = [event for event in house.told if isinstance(event, trace.AuditHead)]
    # The row before the hour has passed is on the disk a moment before its thread looks at the clock.
    first, second = heads
    assert first.seq == 2 and second.seq in (3, 4)
    lines = house.file.read_bytes().splitlines()
    assert msgspec.json.decode(lines[1])["hash"] == heads[0].hash
