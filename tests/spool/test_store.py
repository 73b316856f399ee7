"""The spool: the disk and its twin in memory do the same."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import lmdb
import pytest
from msgspec import structs

from relay.errors import ConfigurationError, RecordDamaged, SpoolFull
from relay.message.envelope import Recipient
from relay.message.priority import Priority
from relay.spool.change import (
    Abandon,
    Accept,
    Amend,
    RecipientState,
    Record,
    Remove,
    Several,
    Status,
    Stream,
)
from relay.spool.cipher import SpoolKey
from relay.spool.codec import PIECE_BYTES, content_key, content_rows, join_content, mail_key, seal
from relay.spool.entry import Damaged, Entry, Mail
from relay.spool.memory import MemoryStore
from relay.spool.options import MIB, SpoolOptions
from relay.spool.store import Store
from tests.spool.sample import accept, envelope, options


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(options(tmp_path / "spool"))
    yield store
    store.close()


@pytest.fixture(params=["disk", "memory"])
def spool(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store | MemoryStore]:
    if request.param == "memory":
        yield MemoryStore(options(tmp_path))
        return
    store = Store.open(options(tmp_path / "spool"))
    yield store
    store.close()


def ids(found: list[Entry | Damaged]) -> list[int]:
    return [entry.queued.id if isinstance(entry, Entry) else entry.id for entry in found]


def test_an_accepted_mail_is_read_back(spool: Store | MemoryStore) -> None:
    spool.apply([accept(7, b"Subject: x\r\n\r\nhello\r\n")])
    assert spool.read(7) == (envelope(7, 21), b"Subject: x\r\n\r\nhello\r\n")
    assert spool.state(7) is None
    assert spool.count() == 1


def test_a_mail_that_is_not_there_is_none(spool: Store | MemoryStore) -> None:
    assert spool.read(7) is None
    assert spool.state(7) is None


def test_a_buffer_that_changes_after_the_submit_changes_no_mail(spool: Store | MemoryStore) -> None:
    head = bytearray(b"hello")
    spool.apply([Accept(envelope(7), head)])
    head[:] = b"other"
    mail = spool.read(7)
    assert mail is not None and mail[1] == b"hello"


def test_a_streamed_mail_is_whole_once_accepted(spool: Store | MemoryStore) -> None:
    spool.apply([Stream(7, 1, b"one")])
    assert list(spool.partial()) == [7]
    assert spool.scan() == []
    spool.apply([Stream(7, 2, b"two"), accept(7, b"zero", chunks=3)])
    assert list(spool.partial()) == []
    assert [spool.content(7, index) for index in range(3)] == [b"zero", b"one", b"two"]


def test_a_missing_content_record_is_damage(spool: Store | MemoryStore) -> None:
    spool.apply([accept(7, chunks=2)])
    with pytest.raises(RecordDamaged, match="1 is missing"):
        spool.content(7, 1)


@pytest.mark.parametrize("chunks", [1, 3])
def test_a_removed_mail_leaves_nothing(spool: Store | MemoryStore, chunks: int) -> None:
    spool.apply([accept(6), accept(8)])
    spool.apply([*(Stream(7, index, b"x") for index in range(1, chunks)), accept(7, chunks=chunks)])
    spool.apply([Record(7, (RecipientState(attempts=1),))])
    spool.apply([Remove(7, chunks)])
    assert ids(spool.scan()) == [6, 8]
    assert spool.read(7) is None and spool.state(7) is None
    for index in range(chunks):
        with pytest.raises(RecordDamaged):
            spool.content(7, index)
    assert spool.content(8, 0) == b"hello"


@pytest.mark.parametrize(
    "size", [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES, 262_144]
)
def test_content_of_any_size_comes_back_from_its_pieces(spool: Store | MemoryStore, size: int) -> None:
    body = bytes(range(251)) * (size // 251 + 1)
    spool.apply([Stream(7, 1, body[:size]), accept(7, body[:size], chunks=2), accept(8, b"next")])
    assert spool.content(7, 1) == body[:size]
    mail = spool.read(7)
    assert mail is not None and mail[1] == body[:size]
    spool.apply([Remove(7, 2)])
    assert spool.scan()[0] == spool.scan()[-1]
    with pytest.raises(RecordDamaged):
        spool.content(7, 1)


def test_a_missing_piece_is_damage() -> None:
    rows = dict(content_rows(7, 0, b"x" * (2 * PIECE_BYTES + 5)))
    assert len(rows) == 3
    for key in rows:
        with pytest.raises(RecordDamaged):
            join_content(7, 0, {other: rows[other] for other in rows if other != key}.get)


def test_an_abandoned_mail_leaves_nothing(spool: Store | MemoryStore) -> None:
    spool.apply([Stream(7, 1, b"one"), Stream(7, 2, b"two")])
    spool.apply([Abandon(7, 2)])
    assert list(spool.partial()) == []
    with pytest.raises(RecordDamaged):
        spool.content(7, 1)


def test_accept_and_abandon_in_one_commit_leave_nothing(spool: Store | MemoryStore) -> None:
    spool.apply([accept(7), Abandon(7, 1)])
    assert spool.read(7) is None


def test_only_partial_mails_of_dead_slots_are_dropped(spool: Store | MemoryStore) -> None:
    of_slot = {slot: 1 << 22 | slot << 16 for slot in (0, 1, 2)}
    spool.apply([Stream(id, index, b"x") for id in of_slot.values() for index in (1, 2)])
    spool.apply([accept(of_slot[1] + 1)])
    assert spool.abandon_partial([1, 2]) == 2
    assert list(spool.partial()) == [of_slot[0]]
    assert spool.content(of_slot[0], 2) == b"x"
    assert spool.read(of_slot[1] + 1) is not None


def test_an_amended_envelope_stands_in_the_place_of_the_old_one(spool: Store | MemoryStore) -> None:
    spool.apply([accept(7), accept(8), Record(7, (RecipientState(attempts=1),))])
    found = spool.read(7)
    assert found is not None
    envelope = structs.replace(found[0], priority=Priority.BULK)
    spool.apply([Amend(envelope)])
    assert spool.read(7) == (envelope, found[1])
    assert spool.state(7) == (RecipientState(attempts=1),), "as it was"
    spool.apply([Amend(envelope, (RecipientState(Status.HELD),))])
    assert spool.state(7) == (RecipientState(Status.HELD),)
    first, second = spool.mails()
    assert isinstance(first, Mail) and isinstance(second, Mail)
    assert (first.envelope, first.states, first.has_state) == (envelope, (RecipientState(Status.HELD),), True)
    assert (second.id, second.states, second.has_state) == (8, (RecipientState(),), False)
    spool.apply([Remove(7, 1)])
    assert [mail.id for mail in spool.mails()] == [8]


def test_a_mail_with_more_states_than_recipients_is_damaged(spool: Store | MemoryStore) -> None:
    spool.apply([accept(7), Record(7, (RecipientState(),) * 2)])
    for [damaged] in (spool.mails(), spool.scan()):
        assert isinstance(damaged, Damaged) and "2 states for 1 recipients" in damaged.reason


def test_a_scan_finds_the_routes_on_which_somebody_waits(spool: Store | MemoryStore) -> None:
    there = [Recipient(b"a@c.test", "one"), Recipient(b"b@c.test", "two"), Recipient(b"c@c.test", "two")]
    mail = structs.replace(envelope(7), recipients=tuple(there))
    spool.apply([Accept(mail, b"x")])
    states = (RecipientState(Status.HELD), RecipientState(Status.DELIVERED), RecipientState())
    found = []
    for state in (None, states, (states[0],) * 3):
        if state is not None:
            spool.apply([Record(7, state)])
        [entry] = spool.scan()
        assert isinstance(entry, Entry)
        found.append(entry.queued.routes)
    assert found == [("one", "two"), ("two",), ()]


def test_what_becomes_of_several_mails_is_one_change(spool: Store | MemoryStore) -> None:
    spool.apply([accept(id) for id in (1, 2, 3, 4)])
    low = structs.replace(envelope(2), priority=Priority.BULK)
    held = (RecipientState(Status.HELD),)
    other = structs.replace(envelope(4), priority=Priority.HIGH)
    spool.apply([Several([Record(1, held), Amend(low), Remove(3, 1), Amend(other, held)])])
    found = [mail for mail in spool.mails() if isinstance(mail, Mail)]
    assert [(mail.id, mail.envelope.priority, mail.states, mail.has_state) for mail in found] == [
        (1, Priority.NORMAL, held, True),
        (2, Priority.BULK, (RecipientState(),), False),
        (4, Priority.HIGH, held, True),
    ]
    with pytest.raises(RecordDamaged):
        spool.content(3, 0)
    assert spool.read(4) == (other, b"hello")


def test_of_several_changes_that_do_not_fit_nothing_is_kept(tmp_path: Path) -> None:
    store = Store.open(replace(options(tmp_path / "spool"), map_size_bytes=2 * MIB, ballast_bytes=0))
    store.apply([accept(1), accept(2)])
    long = (RecipientState(Status.HELD, reply="x" * 3 * MIB),)
    with pytest.raises(SpoolFull):
        store.apply([Several([Remove(1, 1), Record(2, long)])])
    assert [mail.id for mail in store.mails()] == [1, 2] and store.state(2) is None
    store.close()


def campaigned(id: int, campaign: str) -> Accept:
    return Accept(structs.replace(envelope(id), campaign=campaign), b"head")


@pytest.mark.parametrize("is_encrypted", [False, True])
@pytest.mark.parametrize("kind", [Store.open, MemoryStore])
def test_a_page_has_the_mails_that_may_be_meant(
    kind: Callable[[SpoolOptions], Store | MemoryStore], is_encrypted: bool, tmp_path: Path
) -> None:
    chosen = options(tmp_path / "spool")
    if is_encrypted:
        chosen = replace(chosen, keys=(SpoolKey(b"k" * 32),))
    spool = kind(chosen)
    spool.apply([campaigned(id, "May" if id % 2 else "June") for id in range(1, 8)])
    page = spool.page(0, 4, b"May")
    assert ([mail.id for mail in page.mails], page.looked_at, page.last) == ([1, 3], 4, 4)
    page = spool.page(page.last, 4, b"May")
    assert ([mail.id for mail in page.mails], page.looked_at, page.last) == ([5, 7], 3, 7)
    assert spool.page(7, 4, b"May").looked_at == 0
    assert [mail.id for mail in spool.page(0, 10, b"").mails] == list(range(1, 8))
    spool.close()


def test_a_page_of_mails_to_very_many_is_short(spool: Store | MemoryStore) -> None:
    many = tuple(Recipient(b"%d@customer.example" % n, "smarthost") for n in range(4_000))
    spool.apply([Accept(structs.replace(envelope(id), recipients=many), b"x") for id in range(1, 8)])
    page = spool.page(0, 500, b"")
    assert 0 < len(page.mails) == page.looked_at == page.last < 7
    found, last = len(page.mails), page.last
    while (page := spool.page(last, 500, b"")).looked_at:
        found, last = found + len(page.mails), page.last
    assert found == 7


def test_a_damaged_mail_is_in_the_page_whatever_is_looked_for(store: Store) -> None:
    store.apply([accept(1), accept(2)])
    damage(store, b"envelope", mail_key(1))
    page = store.page(0, 10, b"no mail has this")
    assert [type(mail) for mail in page.mails] == [Damaged] and page.looked_at == 2


def test_a_scan_merges_envelopes_and_states_in_order(spool: Store | MemoryStore) -> None:
    state = (RecipientState(Status.HELD, 2, 5.0, "550 no"),)
    spool.apply([accept(id) for id in (9, 3, 200, 2**63)])
    spool.apply([Record(9, state), Record(2**63, state)])
    found = spool.scan()
    assert ids(found) == [3, 9, 200, 2**63]
    assert [entry.state for entry in found if isinstance(entry, Entry)] == [None, state, None, state]
    assert ids(spool.scan(3, 2)) == [9, 200]
    assert ids(spool.scan(2**63)) == []
    assert [mail.id for mail in spool.envelopes(9, 1)] == [200]


def test_a_scan_reports_a_damaged_mail_and_goes_on(store: Store) -> None:
    store.apply([accept(id) for id in (1, 2, 3)])
    damage(store, b"envelope", mail_key(2))
    found = store.scan()
    assert ids(found) == [1, 2, 3]
    assert isinstance(found[1], Damaged) and "check sum" in found[1].reason
    assert isinstance(store.envelopes()[1], Damaged)
    with pytest.raises(RecordDamaged):
        store.read(2)


def test_quarantine_moves_a_mail_aside_whole(store: Store) -> None:
    store.apply([Stream(2, index, b"chunk %d" % index) for index in range(1, 200)])
    store.apply([accept(1), accept(2, chunks=200), accept(3), Record(2, (RecipientState(),))])
    damage(store, b"content", content_key(2, 0))
    with pytest.raises(RecordDamaged):
        store.read(2)
    store.quarantine(2, "the check sum does not fit")
    assert ids(store.scan()) == [1, 3]
    assert store.read(2) is None and store.state(2) is None
    assert list(store.aside()) == [(2, "the check sum does not fit")]
    assert store.counts() == {
        "envelope": 2,
        "content": 2,
        "state": 0,
        "partial": 0,
        "damaged": 203,
        "meta": 2,
        "budget": 0,
        "suppressed": 0,
        "idempotency": 0,
    }


def test_what_was_committed_is_there_after_a_restart(tmp_path: Path) -> None:
    where = options(tmp_path / "spool")
    store = Store.open(where)
    store.apply([accept(5)])
    store.close()
    store = Store.open(where)
    assert store.read(5) == (envelope(5), b"hello")
    store.close()


def test_a_second_process_view_sees_commits(tmp_path: Path) -> None:
    where = options(tmp_path / "spool")
    store = Store.open(where)
    store.apply([accept(5)])
    reader = [sys.executable, "-m", "tests.spool.reader", str(where.path)]
    assert subprocess.run(reader, capture_output=True, timeout=30, check=True).stdout == b"[5]\n"
    store.close()


def test_nobody_else_may_read_the_spool(store: Store) -> None:
    folder = store.options.path
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {name: (folder / name).stat().st_mode & 0o777 for name in os.listdir(folder)} == dict.fromkeys(
        ["data.mdb", "lock.mdb", "turn.lock", "in-use.lock", "ballast"], 0o600
    )


def test_a_spool_of_another_format_is_refused(tmp_path: Path) -> None:
    where = options(tmp_path / "spool")
    Store.open(where).close()
    with lmdb.open(str(where.path), max_dbs=8) as env, env.begin(write=True) as txn:
        txn.put(b"format", seal(b"format", b"99"), db=env.open_db(b"meta", txn=txn))
    with pytest.raises(ConfigurationError, match="99"):
        Store.open(where)


def test_a_spool_that_is_no_spool_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data.mdb").write_bytes(b"not a spool" * 4000)
    with pytest.raises(ConfigurationError, match="cannot be opened"):
        Store.open(options(tmp_path))


def test_a_spool_that_is_not_there_is_not_made_for_a_reader(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        Store.open(options(tmp_path / "absent"), read_only=True)
    assert not (tmp_path / "absent").exists()


def test_a_full_map_fails_the_whole_batch_and_nothing_is_kept(tmp_path: Path) -> None:
    store = Store.open(replace(options(tmp_path / "spool"), map_size_bytes=2 * MIB))
    store.apply([accept(1)])
    with pytest.raises(SpoolFull):
        store.apply([accept(id, b"x" * 100_000) for id in range(2, 40)])
    assert ids(store.scan()) == [1]
    store.apply([accept(2, b"y" * 100_000)])
    assert ids(store.scan()) == [1, 2]
    store.close()


def damage(store: Store, table: bytes, key: bytes) -> None:
    """Flip a bit of a record behind the store's back."""
    store.close()
    with (
        lmdb.open(str(store.options.path), map_size=256 * MIB, max_dbs=8) as env,
        env.begin(write=True) as txn,
    ):
        db = env.open_db(table, txn=txn)
        record = bytearray(txn.get(key, db=db) or b"")
        record[-1] ^= 1
        txn.put(key, record, db=db)
    # The same object, open again.
    store.__dict__.update(Store.open(store.options).__dict__)


def test_the_highest_id_of_a_slot_outlives_its_mail(store: Store) -> None:
    high, low, other = (ms << 22 | slot << 16 for ms, slot in ((9, 5), (7, 5), (8, 6)))
    assert store.last_id(5) == 0
    store.apply([accept(high)])
    store.apply([accept(low), Remove(high, 1)])
    store.apply([Stream(other, 1, b"coming in")])
    store.apply([Abandon(other, 2)])
    assert (store.last_id(5), store.last_id(6), store.last_id(7)) == (high, other, 0)
    damage(store, b"meta", b"last id of slot 5")
    assert store.last_id(5) == 0
