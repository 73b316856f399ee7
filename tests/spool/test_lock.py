"""Locks hold between processes; two descriptors of one process stand for two processes."""

from pathlib import Path

import pytest

from relay.errors import ConfigurationError
from relay.spool.lock import DELIVERER, Lock, receiver


def test_only_one_holds_a_lock(tmp_path: Path) -> None:
    lock = Lock.hold(tmp_path, DELIVERER)
    with pytest.raises(ConfigurationError, match=r"deliverer\.lock"):
        Lock.hold(tmp_path, DELIVERER)
    lock.release()
    Lock.hold(tmp_path, DELIVERER).release()


def test_slots_do_not_stand_in_each_others_way(tmp_path: Path) -> None:
    first, second = Lock.hold(tmp_path, receiver(0)), Lock.hold(tmp_path, receiver(1))
    first.release()
    second.release()


def test_a_shared_lock_keeps_out_who_wants_it_alone(tmp_path: Path) -> None:
    locks = [Lock.share(tmp_path, "in-use"), Lock.share(tmp_path, "in-use")]
    locks.pop().release()
    with pytest.raises(ConfigurationError):
        Lock.hold(tmp_path, "in-use")
    locks.pop().release()
    lock = Lock.hold(tmp_path, "in-use")
    with pytest.raises(ConfigurationError):
        Lock.share(tmp_path, "in-use")
    lock.release()


def test_to_release_twice_closes_no_strangers_file(tmp_path: Path) -> None:
    lock = Lock.hold(tmp_path, DELIVERER)
    lock.release()
    with (tmp_path / "other").open("w") as other:
        lock.release()
        other.write("still open")


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be opened"):
        Lock.hold(tmp_path / "absent", DELIVERER)
