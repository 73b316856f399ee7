"""What changed in the configuration, over restarts, without telling secrets."""

import stat
from pathlib import Path

import pytest

from relay.audit.row import Row
from relay.audit.settings import settle

VALUES = {"relay.hostname": "a.example", "listener[0].address": "127.0.0.1:25"}


def fixed(count: int) -> bytes:
    return b"s" * count


class Folder:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = path / "settings.json"

    def settle(self, values: dict[str, str], secrets: dict[str, bytes] | None = None) -> list[Row]:
        return settle(self.path, values, secrets or {}, fixed)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_the_first_time_nothing_changed(folder: Folder) -> None:
    (row,) = folder.settle(VALUES)
    assert (row["event"], row["settings"], row["changes"], row["before"]) == ("settings_in_force", 2, 0, "")
    assert stat.S_IMODE(folder.file.stat().st_mode) == 0o600


def test_old_and_new_are_told(folder: Folder) -> None:
    (first,) = folder.settle(VALUES)
    head, *rows = folder.settle({"relay.hostname": "b.example", "relay.drain": "5 s"})
    assert head["before"] == first["sha256"] != head["sha256"]
    assert [(row["key"], row["old"], row["new"]) for row in rows] == [
        ("listener[0].address", "127.0.0.1:25", None),
        ("relay.drain", None, "5 s"),
        ("relay.hostname", "a.example", "b.example"),
    ]


def test_what_did_not_change_is_not_told(folder: Folder) -> None:
    folder.settle(VALUES, {"route[0].password": b"hunter2"})
    (row,) = folder.settle(VALUES, {"route[0].password": b"hunter2"})
    assert row["changes"] == 0 and row["before"] == row["sha256"]


def test_a_secret_is_told_to_be_another_and_never_itself(folder: Folder) -> None:
    folder.settle(VALUES, {"route[0].password": b"hunter2"})
    assert b"hunter2" not in folder.file.read_bytes()
    _, row = folder.settle(VALUES, {"route[0].password": b"hunter3"})
    assert row == {
        "event": "setting_changed",
        "key": "route[0].password",
        "old": "(secret)",
        "new": "(secret)",
    }
    _, row = folder.settle(VALUES)
    assert (row["old"], row["new"]) == ("(secret)", None)


def test_a_file_that_somebody_changed_does_not_match_what_was_recorded(folder: Folder) -> None:
    (first,) = folder.settle(VALUES)
    folder.file.write_bytes(folder.file.read_bytes().replace(b"a.example", b"b.example"))
    (second,) = folder.settle(VALUES | {"relay.hostname": "b.example"})
    assert second["changes"] == 0 and second["before"] != first["sha256"]
    folder.file.write_bytes(b"{")
    (third,) = folder.settle(VALUES)
    assert third["before"] == ""
