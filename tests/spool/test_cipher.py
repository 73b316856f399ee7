"""Mail that is encrypted at rest: nothing of it lies plain, keys are replaced, a missing key is no damage."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.errors import ConfigurationError, RecordDamaged
from relay.message.envelope import Envelope
from relay.spool.change import Accept, Amend, RecipientState, Record, Status, Stream
from relay.spool.check import check
from relay.spool.cipher import NONCE_BYTES, OVERHEAD_BYTES, Cipher, SpoolKey
from relay.spool.codec import FULL_BYTES, PIECE_BYTES, content_rows, join_content, mail_key, seal, unseal
from relay.spool.compact import compact
from relay.spool.entry import Mail
from relay.spool.memory import MemoryStore
from relay.spool.options import SpoolOptions
from relay.spool.store import DATA_FILE, Store
from tests.spool.sample import envelope

OLD, NEW = SpoolKey(b"o" * 32), SpoolKey(b"n" * 32)
SECRET = b"the patient has a cold"
REPLY = "550 so said the next hop"


def cipher(*keys: SpoolKey) -> Cipher:
    return Cipher(keys or (OLD,))


@given(st.binary(max_size=200))
def test_what_was_encrypted_comes_back(payload: bytes) -> None:
    found = cipher()
    record = seal(mail_key(7), payload, found)
    assert unseal(mail_key(7), record, found) == payload
    assert len(payload) < 8 or payload not in record


@given(st.binary(max_size=50), st.data())
def test_any_bit_that_is_flipped_is_found(payload: bytes, data: st.DataObject) -> None:
    found = cipher()
    record = bytearray(seal(mail_key(7), payload, found))
    record[data.draw(st.integers(0, len(record) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(RecordDamaged):
        unseal(mail_key(7), bytes(record), found)


@given(st.binary(max_size=50), st.data())
def test_a_box_that_was_changed_with_its_sum_is_found(payload: bytes, data: st.DataObject) -> None:
    found = cipher()
    box = bytearray(found.encrypt(mail_key(7), payload))
    # Not in the mark: that names another key.
    box[data.draw(st.integers(4, len(box) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(RecordDamaged, match="on purpose"):
        found.decrypt(mail_key(7), bytes(box))


def test_a_box_opens_under_its_own_mail_only() -> None:
    found = cipher()
    box = found.encrypt(mail_key(7), SECRET)
    with pytest.raises(RecordDamaged):
        found.decrypt(mail_key(8), box)


def test_each_box_has_a_nonce_of_its_own() -> None:
    found = cipher()
    boxes = {found.encrypt(mail_key(7), SECRET)[4 : 4 + NONCE_BYTES] for _ in range(100)}
    assert len(boxes) == 100


@pytest.mark.parametrize("pieces", [0, 1, 2])
@pytest.mark.parametrize("more", [-1, 0, 1])
def test_content_comes_back_at_the_edges_of_pieces(pieces: int, more: int) -> None:
    found = cipher()
    size = pieces * (PIECE_BYTES - OVERHEAD_BYTES) + more
    data = b"x" * max(size, 0)
    rows = dict(content_rows(7, 1, data, found))
    # A page more for each piece would cost a quarter of the disk.
    assert max(map(len, rows.values())) <= FULL_BYTES
    assert join_content(7, 1, rows.get, found) == data
    *_, last = rows
    if len(rows) > 1:
        del rows[last]
        with pytest.raises(RecordDamaged, match="missing"):
            join_content(7, 1, rows.get, found)


def test_no_key_shows() -> None:
    assert repr(OLD) == f"SpoolKey({OLD.mark.hex()})"
    assert "oooo" not in repr(SpoolOptions(Path("x"), keys=(OLD,)))


def options(folder: Path, *keys: SpoolKey) -> SpoolOptions:
    return SpoolOptions(folder, keys=keys, map_size_bytes=1 << 26, free_space_floor_bytes=0, ballast_bytes=0)


def fill(store: Store | MemoryStore, id: int) -> None:
    mail = mail_of(id)
    store.apply([Stream(id, 1, SECRET), Accept(mail, SECRET)])
    # An order changes envelope and state (`m365-relay queue`).
    store.apply([Amend(mail, None)])
    store.apply([Record(id, (RecipientState(Status.QUEUED, 1, 0.0, REPLY),) * len(mail.recipients))])


def mail_of(id: int) -> Envelope:
    return envelope(id, size=2 * len(SECRET), chunks=2)


def assert_whole(store: Store | MemoryStore, id: int) -> None:
    found = store.read(id)
    assert found is not None
    assert found[0] == mail_of(id) and found[1] == store.content(id, 1) == SECRET
    assert [each for each in store.mails() if isinstance(each, Mail) and each.envelope == mail_of(id)]
    state = store.state(id)
    assert state is not None and state[0].reply == REPLY


def test_nothing_of_a_mail_lies_plain_on_the_disk(tmp_path: Path) -> None:
    words = (SECRET, REPLY.encode(), envelope(7).sender, envelope(7).recipients[0].address)
    for keys, lies_plain in (((), True), ((OLD,), False)):
        folder = tmp_path / str(lies_plain)
        store = Store.open(options(folder, *keys))
        fill(store, 7)
        assert_whole(store, 7)
        assert [entry.queued.id for entry in store.scan() if hasattr(entry, "queued")] == [7]
        store.close()
        data = (folder / DATA_FILE).read_bytes()
        assert [word in data for word in words] == [lies_plain] * len(words)


def test_a_store_in_memory_does_the_same(tmp_path: Path) -> None:
    store = MemoryStore(options(tmp_path, OLD))
    fill(store, 7)
    assert_whole(store, 7)
    assert not any(SECRET in record for record in store.content_rows.values())


def test_keys_are_replaced_and_plain_mail_stays_readable(tmp_path: Path) -> None:
    for id, keys in ((7, ()), (8, (OLD,)), (9, (NEW, OLD))):
        store = Store.open(options(tmp_path, *keys))
        fill(store, id)
        for each in range(7, id + 1):
            assert_whole(store, each)
        store.close()
    report = check(options(tmp_path, NEW, OLD))
    assert report.problems_total == 0 and report.mails == 3
    assert report.keys.keys() == {"plain", OLD.mark.hex(), NEW.mark.hex()}
    compacted = compact(options(tmp_path, NEW, OLD))
    assert compacted.report.problems_total == 0


@pytest.mark.parametrize("keys", [(), (NEW,)])
def test_a_key_that_is_missing_is_no_damage(tmp_path: Path, keys: tuple[SpoolKey, ...]) -> None:
    store = Store.open(options(tmp_path, OLD))
    fill(store, 7)
    store.close()
    store = Store.open(options(tmp_path, *keys))
    for look in (
        lambda: store.scan(),
        lambda: store.read(7),
        lambda: store.mails(),
        lambda: store.state(7),
    ):
        with pytest.raises(ConfigurationError, match=OLD.mark.hex()):
            look()
    store.close()
    with pytest.raises(ConfigurationError, match=OLD.mark.hex()):
        check(options(tmp_path, *keys))
    store = Store.open(options(tmp_path, OLD))
    assert_whole(store, 7)
    store.close()
