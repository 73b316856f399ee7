"""What clients use, shared by processes: counts are one, places are freed by the kernel, nobody waits for ever."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from relay.budget.ring import Counted, Per
from relay.errors import SpoolError
from relay.spool import usage
from relay.spool.usage import PAGE_BYTES, RINGS, Busy, Enrolled, OwnUsage, SharedUsage

SITTER = """
import sys
from pathlib import Path
from relay.spool.usage import SharedUsage
shared = SharedUsage(Path(sys.argv[1]))
assert shared.sit("erp", 0)
with shared:
    shared.page("erp")[5] = 7
    print("sits", flush=True)
    sys.stdin.read()
"""


def test_every_quota_has_a_place_of_its_own_in_the_page() -> None:
    assert sorted(RINGS.values()) == list(range(len(Counted) * len(Per)))
    assert len(OwnUsage().page("erp")) == PAGE_BYTES


def test_two_who_open_the_folder_see_one_page(tmp_path: Path) -> None:
    one, two = SharedUsage(tmp_path), SharedUsage(tmp_path)
    with one:
        one.page("Erp")[3] = 9
    with two:
        assert two.page("erp")[3] == 9
        assert not any(two.page("other"))
    assert (tmp_path / "clients" / "erp").stat().st_mode & 0o777 == 0o600
    one.close()
    two.close()


def test_a_place_is_one_clients_and_one_holders(tmp_path: Path) -> None:
    one, two = SharedUsage(tmp_path), SharedUsage(tmp_path)
    assert one.sit("erp", 0) and one.sit("erp", 1) and two.sit("crm", 0)
    assert not two.sit("erp", 0)
    one.rise("erp", 0)
    assert two.sit("erp", 0)
    assert not two.sit("erp", 1)
    one.close()
    assert two.sit("erp", 1)
    two.close()


def test_who_is_killed_leaves_its_places_its_turn_and_what_it_counted(tmp_path: Path) -> None:
    sitter = subprocess.Popen(
        [sys.executable, "-c", SITTER, str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    try:
        assert sitter.stdout is not None and sitter.stdout.readline() == b"sits\n"
        shared = SharedUsage(tmp_path)
        assert not shared.sit("erp", 0)
        began = time.monotonic()
        with pytest.raises(Busy), shared:
            pass
        assert time.monotonic() - began < 100 * usage.TURN_WAIT_S
    finally:
        sitter.kill()
        sitter.wait(10)
        for pipe in (sitter.stdin, sitter.stdout):
            assert pipe is not None
            pipe.close()
    assert shared.sit("erp", 0)
    with shared:
        assert shared.page("erp")[5] == 7
    shared.close()


def test_a_page_that_cannot_be_made_is_a_spool_error(tmp_path: Path) -> None:
    shared = SharedUsage(tmp_path)
    target = tmp_path / "elsewhere"
    (tmp_path / "clients" / "erp").symlink_to(target)
    with pytest.raises(SpoolError):
        shared.page("erp")
    assert not target.exists()
    shared.close()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_the_folder_must_be_usable() -> None:
    with pytest.raises(SpoolError, match="clients"):
        SharedUsage(Path("/dev/full"))


def test_those_who_enrol_at_once_are_no_more_than_the_bound(tmp_path: Path) -> None:
    def work(number: int) -> int:
        shared, new = SharedUsage(tmp_path), 0
        for each in range(30):
            for _ in range(100):
                try:
                    new += shared.enrol(f"new:{number}-{each}", "new:", 20) is Enrolled.NEW
                    break
                except Busy:
                    continue
        shared.close()
        return new

    SharedUsage(tmp_path).page("old")
    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(work, range(4))) == 20
    names = [each.name for each in (tmp_path / "clients").glob("new:*")]
    assert len(names) == 20
    shared = SharedUsage(tmp_path)
    assert {shared.enrol(name, "new:", 0) for name in names} == {Enrolled.OLD}
    assert shared.enrol("new:late", "new:", 0) is Enrolled.FULL
    shared.give_up("new:", lambda name: name == names[0])
    assert sorted(each.name for each in (tmp_path / "clients").glob("[a-z]*")) == sorted(("old", names[0]))
    shared.close()
