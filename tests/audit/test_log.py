"""The audit log's folder: appending, rotation, what torn writes leave, several writers."""

import errno
import fcntl
import os
import stat
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from relay.audit import chain
from relay.audit import log as module
from relay.audit.log import AuditLog, files
from relay.audit.options import AuditOptions
from relay.errors import ConfigurationError
from tests.fakes.clock import FakeClock

DAY_S = 86_400.0


class House:
    def __init__(self, folder: Path) -> None:
        self.folder = folder / "audit"
        self.clock = FakeClock()
        self.options = AuditOptions(self.folder)
        self.current = self.folder / "audit.jsonl"

    def append(self, *names: str, options: AuditOptions | None = None) -> chain.Link:
        log = AuditLog(options or self.options, self.clock)
        return log.append([log.row({"event": name}) for name in names])

    def problems(self, key: bytes = b"") -> list[str]:
        verifier = chain.Verifier()
        digests = {"": chain.digest_by(b""), chain.key_id(key): chain.digest_by(key)}
        found = []
        for file in files(self.folder):
            digest = digests[module.key_named(file) or ""]
            with open(file, "rb") as opened:
                found += [problem for line in opened for problem in verifier.take(line, digest)]
        assert verifier.first == chain.START
        return found + verifier.end()

    def events(self) -> list[str]:
        return [
            str(msgspec.json.decode(line)["event"])
            for file in files(self.folder)
            for line in file.read_bytes().splitlines()
            if line.endswith(b"}")
        ]


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_rows_follow_each_other_over_writers(house: House) -> None:
    house.append("a", "b")
    assert house.append("c").seq == 4
    assert house.events() == ["begun", "a", "b", "c"]
    assert house.problems() == []


def test_nobody_else_can_read_it(house: House) -> None:
    house.append("a")
    assert stat.S_IMODE(house.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(house.current.stat().st_mode) == 0o600


def test_a_file_that_is_too_large_or_too_old_is_put_away_and_the_chain_goes_on(house: House) -> None:
    small = AuditOptions(house.folder, rotate_bytes=600)
    for name in "abcdef":
        house.append(name, options=small)
    assert len(files(house.folder)) > 1
    count = len(files(house.folder))
    house.clock.advance(31 * DAY_S)
    house.append("g")
    assert len(files(house.folder)) == count + 1
    first = msgspec.json.decode(house.current.read_bytes().splitlines()[0])
    assert (first["event"], first["continues"]) == ("begun", files(house.folder)[-2].name)
    assert [name for name in house.events() if name != "begun"] == list("abcdefg")
    assert house.problems() == []


def test_another_key_begins_a_file(house: House) -> None:
    keyed = AuditOptions(house.folder, key=b"k" * 32)
    house.append("a")
    house.append("b", options=keyed)
    assert len(files(house.folder)) == 2
    assert house.problems(keyed.key) == []


@pytest.mark.parametrize("cut", [1, 2, 50, 200])
def test_a_torn_line_is_ended_and_told(house: House, cut: int) -> None:
    house.append("a")
    house.append("b")
    whole = house.current.read_bytes()
    house.current.write_bytes(whole[:-cut])
    house.append("c")
    assert house.problems() == []
    # What wants its line end only is there.
    assert house.events() == (["begun", "a", "b", "c"] if cut == 1 else ["begun", "a", "torn", "c"])


def test_a_first_line_that_is_torn_does_not_stop_it(house: House) -> None:
    house.append("a")
    house.current.write_bytes(house.current.read_bytes()[:50])
    house.append("b")
    house.append("c")
    assert house.events() == ["torn", "begun", "b", "c"]
    assert house.problems() == []


def test_a_relay_that_died_between_two_files_continues_the_old_one(house: House) -> None:
    house.append("a")
    house.current.rename(house.folder / "audit-000000000001-20270115.jsonl")
    house.append("b")
    assert house.events() == ["begun", "a", "begun", "b"]
    assert house.problems() == []


def test_a_beginning_that_was_damaged_stays_as_evidence(house: House) -> None:
    house.append("a")
    house.current.write_bytes(house.current.read_bytes().replace(b'"begun"', b'"beguN"'))
    house.append("b")
    assert len(files(house.folder)) == 2
    assert "changed" in house.problems()[0] and len(house.problems()) == 1


def test_a_full_disk_leaves_nothing_half(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.append("a")
    before = house.current.read_bytes()
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:100]))
    with pytest.raises(OSError, match="No space left") as caught:
        house.append("b")
    assert caught.value.errno == errno.ENOSPC
    monkeypatch.undo()
    assert house.current.read_bytes() == before
    house.append("b")
    assert house.events() == ["begun", "a", "b"] and house.problems() == []


def test_a_link_in_its_place_is_not_followed(house: House, tmp_path: Path) -> None:
    house.folder.mkdir()
    (tmp_path / "other").write_bytes(b"")
    house.current.symlink_to(tmp_path / "other")
    with pytest.raises(OSError):
        house.append("a")
    assert (tmp_path / "other").read_bytes() == b""


WRITER = """
import sys
from pathlib import Path
from relay.audit.log import AuditLog
from relay.audit.options import AuditOptions
from relay.errors import ConfigurationError
from relay.clock import SystemClock
log = AuditLog(AuditOptions(Path(sys.argv[1]), rotate_bytes=4000), SystemClock())
for number in range(40):
    log.append([log.row({"event": "x", "by": sys.argv[2], "n": number})])
"""


def test_several_processes_write_one_chain(house: House) -> None:
    command = [sys.executable, "-c", WRITER, str(house.folder)]
    writers = [subprocess.Popen([*command, str(number)]) for number in range(3)]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    assert house.events().count("x") == 120
    assert house.problems() == []


def test_a_writer_that_holds_the_lock_is_not_waited_for_for_ever(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.append("a")
    monkeypatch.setattr(module, "LOCK_WAIT_S", 0.02)
    with open(house.folder / "audit.lock", "rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(ConfigurationError, match=r"audit\.lock"):
            house.append("b")
    house.append("b")
    assert house.problems() == []
