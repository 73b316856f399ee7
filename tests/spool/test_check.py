"""`check` finds what is wrong, and `compact` gives room back without losing anything."""

from pathlib import Path

import lmdb
import pytest

from relay.errors import ConfigurationError
from relay.spool.change import Accept, RecipientState, Record, Remove, Stream
from relay.spool.check import Report, check, check_store
from relay.spool.codec import content_key, mail_key, seal, seal_state
from relay.spool.compact import compact
from relay.spool.options import MIB, SpoolOptions
from relay.spool.store import Store
from tests.spool.sample import accept, envelope, options


@pytest.fixture
def where(tmp_path: Path) -> SpoolOptions:
    """A spool with two mails, one of three records, a state, and one mail that is coming in."""
    where = options(tmp_path / "spool")
    store = Store.open(where)
    store.apply([Stream(2, 1, b"one"), Stream(2, 2, b"two"), Stream(9, 1, b"coming in")])
    store.apply([accept(1), Accept(envelope(2, size=10, chunks=3), b"zero")])
    store.apply([Record(2, (RecipientState(attempts=1),))])
    store.close()
    return where


def rewrite(where: SpoolOptions, table: bytes, key: bytes, record: bytes | None) -> None:
    """Change or delete a record behind the spool's back."""
    with lmdb.open(str(where.path), map_size=256 * MIB, max_dbs=8) as env, env.begin(write=True) as txn:
        db = env.open_db(table, txn=txn)
        assert txn.delete(key, db=db) if record is None else txn.put(key, record, db=db)


def problems(report: Report) -> list[tuple[str, str]]:
    assert report.problems_total == len(report.problems)
    return [(problem.table, problem.reason) for problem in report.problems]


def test_a_sound_spool_has_no_problems(where: SpoolOptions) -> None:
    seen: list[tuple[str, int, int]] = []
    report = check(where, lambda *step: seen.append(step))
    assert problems(report) == []
    assert (report.mails, report.partial, report.states, report.aside) == (2, 1, 1, 0)
    assert (report.content_records, report.content_bytes) == (4, 15)
    assert 0 < report.used_bytes <= report.file_bytes
    assert ("envelope", 2, 2) in seen and ("content", 5, 5) in seen


BROKEN = [
    (b"envelope", mail_key(1), b"nonsense", "check sum"),
    (b"envelope", mail_key(1), seal(mail_key(1), b"\x93"), "not an envelope"),
    (b"envelope", mail_key(1), None, "belongs to no mail"),
    (b"envelope", mail_key(2), None, "a state without an envelope"),
    (b"content", content_key(2, 1), None, "content record 1 of 3: content record 1 is missing"),
    (b"content", content_key(2, 2), b"xxxxxx", "content record 2 of 3: the check sum"),
    (b"content", content_key(1, 0), seal(content_key(1, 0), b"hell"), "4 bytes, and the envelope says 5"),
    (b"content", content_key(77, 3), b"xxxxxx", "content record 3 belongs to no mail"),
    (b"state", mail_key(2), b"xxxxx", "check sum"),
    (b"state", mail_key(2), seal_state(mail_key(2), ()), "0 states for 1 recipients"),
    (b"partial", mail_key(9), b"xxxxx", "check sum"),
    (b"partial", mail_key(1), seal(mail_key(1), b""), "still marked as coming in"),
]


@pytest.mark.parametrize(("table", "key", "record", "reason"), BROKEN)
def test_what_is_wrong_is_found(
    where: SpoolOptions, table: bytes, key: bytes, record: bytes | None, reason: str
) -> None:
    rewrite(where, table, key, record)
    assert any(reason in found for _, found in problems(check(where)))


def test_a_check_changes_nothing(where: SpoolOptions) -> None:
    before = (where.path / "data.mdb").read_bytes()
    store = Store.open(where)
    assert problems(check_store(store)) == []
    store.close()
    assert (where.path / "data.mdb").read_bytes() == before


def test_many_problems_are_counted_and_some_kept(tmp_path: Path) -> None:
    where = options(tmp_path / "spool")
    store = Store.open(where)
    store.apply([accept(id, chunks=2) for id in range(1, 1501)])
    store.close()
    report = check(where)
    assert (report.problems_total, len(report.problems)) == (1500, 1000)


def test_compact_keeps_every_mail_and_gives_room_back(where: SpoolOptions) -> None:
    store = Store.open(where)
    store.apply([accept(id, b"x" * 10_000) for id in range(10, 1010)])
    store.apply([Remove(id, 1) for id in range(10, 1010)])
    counts = store.counts()
    store.close()
    seen: list[str] = []
    done = compact(where, lambda what, *_: seen.append(what))
    assert done.before_bytes > 10_000_000 and done.after_bytes < 200_000
    assert done.report.problems == [] and "copy" in seen
    store = Store.open(where)
    assert store.counts() == counts
    assert store.content(2, 2) == b"two"
    store.apply([accept(5)])
    store.close()
    assert sorted(path.name for path in where.path.iterdir()) == [
        "ballast",
        "data.mdb",
        "in-use.lock",
        "lock.mdb",
        "turn.lock",
    ]
    assert (where.path / "data.mdb").stat().st_mode & 0o777 == 0o600


def test_compact_refuses_while_somebody_has_the_spool_open(where: SpoolOptions) -> None:
    store = Store.open(where)
    with pytest.raises(ConfigurationError, match="in-use"):
        compact(where)
    store.close()
    compact(where)


def test_compact_clears_away_what_a_killed_one_left(where: SpoolOptions) -> None:
    (where.path / "compact").mkdir()
    (where.path / "compact" / "data.mdb").write_bytes(b"half")
    compact(where)
    assert problems(check(where)) == []


def test_compact_of_nothing_makes_no_spool(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no spool"):
        compact(options(tmp_path))
    assert list(tmp_path.iterdir()) == []
