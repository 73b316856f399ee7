"""kill -9 at any moment: what was acknowledged is there, whole, and nothing is there by half."""

import random
import subprocess
import sys
import threading
from pathlib import Path

from relay.spool.check import check_store
from relay.spool.entry import Entry
from relay.spool.store import Store
from tests.spool.sample import options

ROUNDS = 25
LIFE_S = 0.6
"""At most so long between the first acknowledgement and the kill."""


def test_no_acknowledged_mail_is_lost_to_sigkill(tmp_path: Path) -> None:
    rng = random.Random(2)
    acknowledged: set[int] = set()
    removed: set[int] = set()
    for _ in range(ROUNDS):
        for line in lines_until_killed(tmp_path / "spool", rng.random() * LIFE_S):
            (acknowledged if line[:1] == b"+" else removed).add(int(line[1:]))
        verify(tmp_path / "spool", acknowledged, removed)
    assert len(acknowledged) > 100 * ROUNDS


def lines_until_killed(path: Path, life_s: float) -> list[bytes]:
    writer = subprocess.Popen([sys.executable, "-m", "tests.spool.writer", str(path)], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    first = writer.stdout.readline()
    assert first, "the writer did not start"
    timer = threading.Timer(life_s, writer.kill)
    timer.start()
    # To the end of file, and only whole lines: the last write may have been cut.
    lines = [first, *writer.stdout]
    assert writer.wait(30) == -9
    timer.join()
    writer.stdout.close()
    return [line for line in lines if line.endswith(b"\n")]


def verify(path: Path, acknowledged: set[int], removed: set[int]) -> None:
    store = Store.open(options(path))
    assert store.abandon_partial(range(64)) >= 0
    found: set[int] = set()
    while batch := store.scan(max(found, default=0)):
        for entry in batch:
            assert isinstance(entry, Entry)
            found.add(entry.queued.id)
    lost = acknowledged - removed - found
    assert not lost, f"{len(lost)} acknowledged mails are gone"
    assert check_store(store).problems == []
    for id in found:
        mail = store.read(id)
        assert mail is not None and mail[1][:8] == id.to_bytes(8, "big")
    store.close()
