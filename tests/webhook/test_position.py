"""The file that says where a webhook has got to."""

import os
import stat
from pathlib import Path

import pytest

from relay.webhook.position import Order, Position, PositionDamaged, PositionFile

SOME = Position("mark", ("a", "b"), 17, 20, 3, True, "o1", 100, 1.5, 2.5, 4, "it answered 500", 3.5)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    file = PositionFile(tmp_path / "webhooks", "crm")
    assert file.read() is None
    file.write(SOME)
    assert file.read() == SOME
    assert stat.S_IMODE((tmp_path / "webhooks").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "webhooks" / "crm.json").stat().st_mode) == 0o600


def test_a_write_that_was_cut_off_leaves_the_old_one(tmp_path: Path) -> None:
    file = PositionFile(tmp_path, "crm")
    file.write(SOME)
    (tmp_path / "crm.json.new").write_bytes(b'{"cursor":')
    assert file.read() == SOME
    file.write(Position(cursor=18))
    assert file.read() == Position(cursor=18)


def test_the_new_one_is_on_the_disk_before_it_has_the_name_and_the_name_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = PositionFile(tmp_path, "crm")
    file.write(Position(cursor=1))
    seen: list[tuple[str, int]] = []
    sync = os.fsync

    def watched(descriptor: int) -> None:
        found = file.read()
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        seen.append((kind, -1 if found is None else found.cursor))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    file.write(Position(cursor=2))
    assert seen == [("file", 1), ("folder", 2)]


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"cursor":"x"}', b"\xff" * 100])
def test_what_is_none_is_told_and_put_aside(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "crm.json").write_bytes(data)
    file = PositionFile(tmp_path, "crm")
    with pytest.raises(PositionDamaged, match=r"crm\.json"):
        file.read()
    assert file.move_aside().read_bytes() == data
    assert file.read() is None


def test_an_order_is_found_until_it_is_dropped(tmp_path: Path) -> None:
    file = PositionFile(tmp_path, "crm")
    assert file.order() is None
    order = Order("o1", "replay", "alice", 5)
    file.leave_order(order)
    assert file.order() == order
    file.drop_order()
    assert file.order() is None
    file.drop_order()
