"""Idempotency keys in the spool: who has one, for how long, and how many there are."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import lmdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.errors import AlreadyTaken, SpoolFull
from relay.message.envelope import Envelope
from relay.spool.change import Forget, Remove, Stream
from relay.spool.check import check
from relay.spool.claim import MARKS_MAX, Claim, covers, marks_of, name_of
from relay.spool.codec import mail_key
from relay.spool.memory import MemoryStore
from relay.spool.prepared import prepare
from relay.spool.store import Store
from tests.spool.sample import accept, options

AnyStore = Store | MemoryStore
BOB, ROB = b"bob@example.net", b"rob@example.net"


@pytest.fixture(params=["disk", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> AnyStore:
    chosen = options(tmp_path / "spool")
    return Store.open(chosen) if request.param == "disk" else MemoryStore(chosen)


def claim(
    key: str = "k",
    content: bytes = b"c" * 16,
    to: tuple[bytes, ...] = (BOB,),
    oldest: int = 0,
    most: int = 100,
) -> Claim:
    return Claim(name_of("erp", "127.0.0.1", key), content, marks_of(to), oldest, most)


def put(store: AnyStore, *claimed: tuple[int, Claim | None]) -> list[tuple[int, bool] | None]:
    """One commit of mails with these ids; for each None, or whose key it is and whether it is the same mail."""
    batch = [prepare(replace(accept(id), claim=each)) for id, each in claimed]
    store.commit(batch)
    return [(p.refused.first, p.refused.is_same) if p.refused else None for p in batch]


def mails(store: AnyStore) -> list[int]:
    return [each.id for each in store.envelopes() if isinstance(each, Envelope)]


def test_the_first_has_the_key_and_the_same_mail_is_not_taken_again(store: AnyStore) -> None:
    assert put(store, (1, claim())) == [None]
    assert put(store, (2, claim())) == [(1, True)]
    assert mails(store) == [1] and store.read(2) is None and store.count_keys() == 1


def test_of_two_in_one_commit_one_is_kept_and_others_beside_them_too(store: AnyStore) -> None:
    assert put(store, (1, claim()), (2, None), (3, claim()), (4, claim("other"))) == [
        None,
        None,
        (1, True),
        None,
    ]
    assert mails(store) == [1, 2, 4]


def test_the_key_outlives_its_mail(store: AnyStore) -> None:
    put(store, (1, claim()))
    store.apply([Remove(1, 1)])
    assert put(store, (2, claim())) == [(1, True)]
    assert mails(store) == []


def test_another_mail_with_the_key_is_not_the_same(store: AnyStore) -> None:
    put(store, (1, claim()))
    assert put(store, (2, claim(content=b"d" * 16)), (3, claim(to=(ROB,)))) == [(1, False), (1, False)]


def test_a_recipient_that_is_refused_the_second_time_makes_no_other_mail(store: AnyStore) -> None:
    put(store, (1, claim(to=(BOB, ROB))))
    assert put(store, (2, claim(to=(ROB,)))) == [(1, True)]
    # The other way round somebody would get nothing.
    put(store, (3, claim("k2", to=(ROB,))))
    assert put(store, (4, claim("k2", to=(BOB, ROB)))) == [(3, False)]


def test_what_streamed_before_is_left_for_whoever_drops_it(store: AnyStore) -> None:
    put(store, (1, claim()))
    store.apply([Stream(2, 1, b"more")])
    second = prepare(replace(accept(2, chunks=2), claim=claim()))
    store.commit([second])
    assert isinstance(second.refused, AlreadyTaken)
    assert list(store.partial()) == [2] and mails(store) == [1]


def test_when_the_window_is_over_the_key_is_free(store: AnyStore) -> None:
    put(store, (1, claim()))
    assert put(store, (2, claim(oldest=1))) == [(1, True)]
    assert put(store, (3, claim(oldest=2))) == [None]
    assert put(store, (4, claim())) == [(3, True)]
    assert store.count_keys() == 1 and store.oldest_key() == 3


def test_old_keys_go_with_new_ones(store: AnyStore) -> None:
    put(store, *((id, claim(str(id))) for id in range(1, 11)))
    put(store, (11, claim("11", oldest=8)))
    assert (store.count_keys(), store.oldest_key()) == (7, 5)
    put(store, (12, claim("12", oldest=8)))
    assert (store.count_keys(), store.oldest_key()) == (5, 8)


def test_above_the_bound_the_oldest_go_ahead_of_their_time(store: AnyStore) -> None:
    put(store, *((id, claim(str(id), most=5)) for id in range(1, 9)))
    assert (store.count_keys(), store.oldest_key()) == (5, 4)
    assert put(store, (9, claim("1", most=5)), (10, claim("8", most=5))) == [None, (8, True)]


def test_a_sweep_takes_a_slice(store: AnyStore) -> None:
    put(store, *((id, claim(str(id))) for id in range(1, 11)))
    store.apply([Forget(oldest=9, limit=3)])
    assert (store.count_keys(), store.oldest_key()) == (7, 4)
    store.apply([Forget(oldest=9, limit=100)])
    assert (store.count_keys(), store.oldest_key()) == (2, 9)
    store.apply([Forget(oldest=100, limit=100)])
    assert (store.count_keys(), store.oldest_key()) == (0, None)


def test_a_commit_that_fails_gives_no_key(tmp_path: Path) -> None:
    store = Store.open(options(tmp_path / "spool"))

    def fail() -> None:
        raise SpoolFull("a test")

    with pytest.raises(SpoolFull):
        store.commit([prepare(replace(accept(1), claim=claim()))], fail)
    assert store.count_keys() == 0
    assert put(store, (2, claim())) == [None]


def test_a_key_is_known_after_a_restart(tmp_path: Path) -> None:
    where = options(tmp_path / "spool")
    store = Store.open(where)
    put(store, (1, claim()))
    store.close()
    store = Store.open(where)
    assert put(store, (2, claim())) == [(1, True)]
    store.close()
    assert check(where).problems == [] and check(where).idempotency == 2


def rewrite(where: Path, change: bytes | None) -> None:
    """Damage the key's row, or with None delete its age."""
    with lmdb.open(str(where), max_dbs=9) as env, env.begin(write=True) as txn:
        table = env.open_db(b"idempotency", txn=txn)
        if change is None:
            assert txn.delete(b"t" + mail_key(1), db=table)
        else:
            assert txn.put(b"k" + claim().name, change, db=table)


@pytest.mark.parametrize(("change", "words"), [(b"nonsense", "check sum"), (None, "a key without its age")])
def test_a_damaged_row_is_found_and_counts_as_not_there_or_as_ever(
    tmp_path: Path, change: bytes | None, words: str
) -> None:
    where = options(tmp_path / "spool")
    store = Store.open(where)
    put(store, (1, claim()))
    store.close()
    rewrite(where.path, change)
    report = check(where)
    assert {problem.table for problem in report.problems} == {"idempotency"}
    assert words in report.problems[0].reason
    store = Store.open(where)
    assert put(store, (2, claim())) == ([None] if change else [(1, True)])
    store.close()


@given(st.integers(1, 3 * MARKS_MAX))
def test_whom_a_mail_goes_to_is_the_same_in_any_order_and_case(count: int) -> None:
    addresses = [b"r%d@Example.net" % number for number in range(count)]
    turned = [address.upper() for address in reversed(addresses)]
    assert marks_of(addresses) == marks_of(turned + turned[:1])
    assert covers(marks_of(addresses), marks_of(turned))
    assert not covers(marks_of(addresses), marks_of([*addresses, b"one@more.test"]))
    assert covers(marks_of(addresses), marks_of(addresses[:-1] or addresses)) == (
        count <= MARKS_MAX or count == 1
    )


def test_a_key_is_its_clients_own() -> None:
    names = [
        name_of("erp", "192.0.2.1", "k"),
        name_of("crm", "192.0.2.1", "k"),
        name_of("", "192.0.2.1", "k"),
        name_of("", "192.0.2.2", "k"),
        name_of("192.0.2.1", "192.0.2.1", "k"),
        name_of("erp", "192.0.2.1", "K"),
        name_of("er", "192.0.2.1", "pk"),
    ]
    assert len(set(names)) == len(names)
    assert name_of("erp", "192.0.2.1", "k") == name_of("erp", "198.51.100.7", "k")


RACER = """
import sys
from pathlib import Path
from dataclasses import replace
from relay.spool.store import Store
from tests.spool.sample import options
from tests.spool.test_claims import claim, put
store = Store.open(options(Path(sys.argv[1])))
first = int(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
kept = [number for number in range(200) if put(store, (first + number, claim(str(number), most=1_000))) == [None]]
print(*kept, flush=True)
"""


def test_of_two_processes_with_the_same_keys_at_the_same_moment_each_key_has_one_mail(tmp_path: Path) -> None:
    Store.open(options(tmp_path / "spool")).close()
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(tmp_path / "spool"), str(first)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2], env=os.environ,
        )
        for first in (1_000, 2_000)
    ]  # fmt: skip
    for racer in racers:
        assert racer.stdout is not None and racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    kept = [set(map(int, racer.communicate(timeout=60)[0].split())) for racer in racers]
    assert kept[0] | kept[1] == set(range(200)) and not kept[0] & kept[1]
    store = Store.open(options(tmp_path / "spool"))
    assert sorted(id % 1_000 for id in mails(store)) == list(range(200))
    store.close()
