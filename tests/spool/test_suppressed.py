"""Addresses no mail is taken for, in the spool: kept, replaced, deleted, checked."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lmdb
import pytest

from relay.errors import RecordDamaged
from relay.spool.change import Suppress
from relay.spool.check import check
from relay.spool.memory import MemoryStore
from relay.spool.options import SpoolOptions
from relay.spool.store import Store
from relay.spool.suppressed import Suppressed, key_of
from tests.spool.sample import options

GONE = Suppressed(1.0, 2.0, "550 5.1.1 no")


@pytest.fixture(params=["disk", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store | MemoryStore:
    chosen = options(tmp_path / "spool")
    return Store.open(chosen) if request.param == "disk" else MemoryStore(chosen)


def test_an_address_is_found_in_any_case(store: Store | MemoryStore) -> None:
    store.apply([Suppress(((b"Bob@Example.net", GONE),))])
    assert store.suppressed(b"bOB@example.NET") == GONE
    assert store.suppressed(b"rob@example.net") is None
    assert store.count_suppressed() == 1 and store.count() == 0


def test_the_last_word_counts(store: Store | MemoryStore) -> None:
    other = Suppressed(3.0, 4.0, "550 other")
    store.apply(
        [Suppress(((b"a@b.c", GONE), (b"a@b.c", other), (b"x@b.c", GONE))), Suppress(((b"X@b.c", None),))]
    )
    assert store.suppressed(b"a@b.c") == other and store.suppressed(b"x@b.c") is None


def test_all_are_walked_in_order_and_in_pages(store: Store | MemoryStore) -> None:
    names = [b"%03d@b.c" % number for number in range(7)]
    store.apply([Suppress(tuple((name, GONE) for name in reversed(names)))])
    first = store.suppressions(limit=3)
    assert [address for address, _ in first] == names[:3]
    rest = store.suppressions(first[-1][0], 100)
    assert [address for address, _ in rest] == names[3:]
    assert store.suppressions(rest[-1][0]) == []


def test_a_record_of_another_address_is_damaged(tmp_path: Path) -> None:
    store = MemoryStore(options(tmp_path))
    store.apply([Suppress(((b"a@b.c", GONE),))])
    store.suppressed_records[b"x@b.c"] = store.suppressed_records[b"a@b.c"]
    with pytest.raises(RecordDamaged):
        store.suppressed(b"x@b.c")
    assert store.suppressions() == [(b"a@b.c", GONE), (b"x@b.c", None)]


@contextmanager
def rewriting(where: SpoolOptions) -> Iterator[tuple[lmdb.Environment, "lmdb.Transaction[bytes]"]]:
    """Behind the spool's back."""
    with (
        lmdb.open(str(where.path), map_size=where.map_size_bytes, max_dbs=9) as env,
        env.begin(write=True) as txn,
    ):
        yield env, txn


def test_check_looks_at_them(tmp_path: Path) -> None:
    where = options(tmp_path / "spool")
    store = Store.open(where)
    store.apply([Suppress(((b"a@b.c", GONE), (b"x@b.c", GONE)))])
    store.close()
    assert (check(where).suppressed, check(where).problems_total) == (2, 0)
    with rewriting(where) as (env, txn):
        txn.put(b"x@b.c", b"nonsense", db=env.open_db(b"suppressed", txn=txn))
    [problem] = check(where).problems
    assert problem.table == "suppressed" and "x@b.c" in problem.reason


def test_a_spool_of_an_earlier_version_has_none(tmp_path: Path) -> None:
    where = options(tmp_path / "spool")
    Store.open(where).close()
    with rewriting(where) as (env, txn):
        txn.drop(env.open_db(b"suppressed", txn=txn), delete=True)
    reading = Store.open(where, read_only=True)
    assert reading.suppressed(b"a@b.c") is None and reading.suppressions() == []
    assert reading.count_suppressed() == 0
    reading.close()


def test_a_key_is_bounded() -> None:
    assert len(key_of(b"a" * 9_000)) == 320
