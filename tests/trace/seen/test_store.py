"""The record on the disk: several writers, bounds, crashes, damage."""

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from relay.trace.seen import store
from relay.trace.seen.sighting import Sighting, Who
from relay.trace.seen.store import SeenError, SeenStore

NOW = 1_800_000_000.0
DAY_S = 86_400.0
ERP = Who("erp", "10.0.0.1", "PLAIN")


def sighting(mails: int = 1, last: float = NOW, sender: str = "a@example.com") -> Sighting:
    seen = Sighting(first=last, senders={sender})
    for _ in range(mails):
        seen.mailed(last, 100, 1, is_tls=True)
    seen.last = last
    return seen


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "seen.db"


def add(path: Path, batch: dict[Who, Sighting], now: float = NOW) -> None:
    writer = SeenStore(path, 90 * DAY_S)
    writer.add(batch, now)
    writer.close()


def test_what_was_added_is_read_those_seen_last_first(path: Path) -> None:
    other = Who("", "10.0.0.2", "nothing")
    add(path, {ERP: sighting(2), other: sighting(last=NOW + 5)})
    add(path, {ERP: sighting(3, sender="b@example.com")})
    (first, _), (second, seen) = store.read(path)
    assert (first, second) == (other, ERP)
    assert (seen.mails, seen.senders) == (5, {"a@example.com", "b@example.com"})


def test_it_holds_addresses_so_nobody_else_may_read_it(path: Path) -> None:
    add(path, {ERP: sighting()})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_record_that_was_not_begun_is_empty(path: Path) -> None:
    assert list(store.read(path)) == []
    sqlite3.connect(path).close()
    assert list(store.read(path)) == []


def test_receivers_that_write_at_once_lose_nothing(path: Path) -> None:
    def work(number: int) -> None:
        writer = SeenStore(path, 90 * DAY_S)
        for _ in range(20):
            for attempt in range(5):
                try:
                    writer.add({ERP: sighting(), Who("", f"10.0.1.{number}", "nothing"): sighting()}, NOW)
                    break
                except SeenError:
                    # Only who begins the file may find another doing so.
                    assert attempt < 4
        writer.close()

    add(path, {ERP: sighting()})
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    rows = dict(store.read(path))
    assert rows[ERP].mails == 81 and len(rows) == 5


def test_rows_are_bounded_and_who_sent_nothing_goes_first(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "ROWS_MAX", 3)
    add(path, {Who("", f"10.0.0.{n}", "nothing"): sighting(last=NOW + n) for n in range(3)})
    add(path, {Who("", "10.0.0.9", "nothing"): sighting(0, NOW + 9)})
    assert [who.address for who, _ in store.read(path)] == ["10.0.0.2", "10.0.0.1", "10.0.0.0"]
    add(path, {Who("", "10.0.0.8", "nothing"): sighting(1, NOW + 8)})
    assert [who.address for who, _ in store.read(path)] == ["10.0.0.8", "10.0.0.2", "10.0.0.1"]


def test_ten_thousand_devices_take_no_more_than_the_bound(path: Path) -> None:
    for start in range(0, 10_000, 2_000):
        add(
            path,
            {
                Who("", f"10.20.{n // 250}.{n % 250}", "nothing"): sighting(last=NOW + n)
                for n in range(start, start + 2_000)
            },
        )
    assert len(list(store.read(path))) == store.ROWS_MAX
    assert path.stat().st_size < 8_000_000


def test_who_was_not_seen_for_long_is_forgotten(path: Path) -> None:
    add(path, {ERP: sighting()})
    add(path, {Who("", "10.0.0.2", "nothing"): sighting(last=NOW + 91 * DAY_S)}, NOW + 91 * DAY_S)
    assert [who.address for who, _ in store.read(path)] == ["10.0.0.2"]


def test_a_person_is_erased(path: Path) -> None:
    add(path, {ERP: sighting(sender="Anna@example.com"), Who("", "10.0.0.2", "nothing"): sighting()})
    assert store.erase(path, "anna@EXAMPLE.com") == (1, True)
    assert store.erase(path, "anna@example.com") == (0, True)
    assert dict(store.read(path))[ERP].senders == set() and dict(store.read(path))[ERP].mails == 1
    assert b"nna@example.com" not in path.read_bytes()


def test_nothing_of_the_person_is_left_beside_a_receiver_that_writes(path: Path) -> None:
    writer, wal = SeenStore(path, 90 * DAY_S), path.with_name("seen.db-wal")
    writer.add({ERP: sighting(sender="anna@example.com")}, NOW)
    with closing(sqlite3.connect(path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM seen").fetchall()
        assert store.erase(path, "anna@example.com", 0.05) == (1, False)
        assert b"anna@" in wal.read_bytes()
    assert store.erase(path, "anna@example.com") == (0, True)
    assert b"anna@" not in path.read_bytes() + wal.read_bytes()
    writer.close()


def test_a_damaged_file_is_moved_aside_and_a_new_one_begun(path: Path) -> None:
    path.write_bytes(b"no database at all" * 1_000)
    writer = SeenStore(path, 90 * DAY_S)
    with pytest.raises(SeenError):
        writer.add({ERP: sighting()}, NOW)
    writer.add({ERP: sighting()}, NOW)
    writer.close()
    assert [who for who, _ in store.read(path)] == [ERP]
    assert len(list(path.parent.glob("seen.db.damaged-*"))) == 1


def test_a_disk_that_takes_nothing_is_an_error_and_no_damage(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SeenError):
        SeenStore(tmp_path / "file" / "seen.db", DAY_S).add({ERP: sighting()}, NOW)


def test_a_record_of_another_format_is_left_alone(path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA user_version = 99")
    with pytest.raises(SeenError, match="format 99"):
        SeenStore(path, DAY_S).add({ERP: sighting()}, NOW)
    with pytest.raises(SeenError, match="format 99"):
        list(store.read(path))
    assert path.exists()


KILLED = """
import os, signal, sys
from pathlib import Path
from relay.trace.seen.sighting import Sighting, Who
from relay.trace.seen.store import SeenStore
writer = SeenStore(Path(sys.argv[1]), 1e9)
for number in range(1, 1_000_000):
    seen = Sighting(first=1.0)
    seen.mailed(1.8e9, 1, 1, is_tls=True)
    writer.add({Who("erp", "10.0.0.1", "PLAIN"): seen}, 1.8e9)
    print(number, flush=True)
"""


def test_a_batch_that_was_written_survives_a_kill_at_any_moment(path: Path) -> None:
    for _ in range(3):
        before = sum(seen.mails for _, seen in store.read(path))
        child = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(path)],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[3],
        )
        assert child.stdout is not None
        done = 0
        for line in child.stdout:
            done = int(line)
            if done >= 7:
                break
        os.kill(child.pid, signal.SIGKILL)
        rest = child.stdout.read().split()
        child.wait(10)
        child.stdout.close()
        done = int(rest[-1]) if rest else done
        after = sum(seen.mails for _, seen in store.read(path))
        assert after - before in (done, done + 1)
