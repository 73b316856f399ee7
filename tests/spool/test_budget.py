"""Rows of the budgets in the spool: kept, deleted, checked, and added to spools of earlier versions."""

from pathlib import Path

import lmdb
import pytest

from relay.spool.change import Budget
from relay.spool.check import check
from relay.spool.compact import compact
from relay.spool.memory import MemoryStore
from relay.spool.options import SpoolOptions
from relay.spool.store import DATA_FILE, Store

ROWS = ((b"\x01b", b"22222222"), (b"\x00now", b"11111111"))


@pytest.fixture
def options(tmp_path: Path) -> SpoolOptions:
    return SpoolOptions(tmp_path / "spool", free_space_floor_bytes=0, ballast_bytes=0)


@pytest.fixture(params=["disk", "memory"])
def store(request: pytest.FixtureRequest, options: SpoolOptions) -> Store | MemoryStore:
    return Store.open(options) if request.param == "disk" else MemoryStore(options)


def test_rows_are_found_in_order_of_their_keys(store: Store | MemoryStore) -> None:
    store.apply([Budget(ROWS)])
    assert store.budget_rows().rows == tuple(sorted(ROWS))
    assert store.count() == 0


def test_rows_are_put_and_deleted_in_their_order(store: Store | MemoryStore) -> None:
    store.apply([Budget(((b"a", b"1"), (b"a", None), (b"b", None), (b"b", b"2"))), Budget(((b"b", b"3"),))])
    assert store.budget_rows().rows == ((b"b", b"3"),)


def test_deleting_what_is_not_there_is_no_error(store: Store | MemoryStore) -> None:
    store.apply([Budget(((b"absent", None),))])
    assert store.budget_rows().rows == ()


def test_a_value_under_another_key_is_damaged_and_the_rest_is_read(options: SpoolOptions) -> None:
    store = MemoryStore(options)
    store.apply([Budget(ROWS)])
    store.budget_records[b"\x01c"] = store.budget_records.pop(b"\x01b")
    found = store.budget_rows()
    assert found.rows == (ROWS[1],)
    assert [key for key, _ in found.damaged] == [b"\x01c"] and "check sum" in found.damaged[0][1]


def without_the_table(options: SpoolOptions) -> None:
    """Make the spool one of a version that knew no budgets."""
    Store.open(options).close()
    env = lmdb.open(str(options.path), max_dbs=8, lib_version=0, map_size=options.map_size_bytes)
    with env.begin(write=True) as txn:
        txn.drop(env.open_db(b"budget", txn=txn), delete=True)
    env.close()


def test_a_spool_of_an_earlier_version_is_read_and_gets_the_table(options: SpoolOptions) -> None:
    without_the_table(options)
    reading = Store.open(options, read_only=True)
    assert reading.budget_rows().rows == () and reading.rows_in("budget") == 0
    reading.close()
    assert check(options).problems == []
    compact(options)
    writing = Store.open(options)
    writing.apply([Budget(ROWS)])
    assert writing.budget_rows().rows == tuple(sorted(ROWS))
    writing.close()


def test_compacting_keeps_the_rows(options: SpoolOptions) -> None:
    store = Store.open(options)
    store.apply([Budget(ROWS)])
    store.close()
    assert compact(options).report.budget == len(ROWS)
    again = Store.open(options, read_only=True)
    assert again.budget_rows().rows == tuple(sorted(ROWS))
    again.close()


def test_a_check_names_the_damaged_row(options: SpoolOptions) -> None:
    store = Store.open(options)
    store.apply([Budget(((b"\x01a damaged key", b"the value"),))])
    store.close()
    file = options.path / DATA_FILE
    file.write_bytes(file.read_bytes().replace(b"the value", b"tha value"))
    (problem,) = check(options).problems
    assert problem.table == "budget" and b"\x01a damaged key".hex() in problem.reason
