"""Records: what is sealed comes back, and anything else is damaged."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.errors import RecordDamaged
from relay.message.priority import Priority
from relay.message.queue_id import MAX_SLOTS
from relay.message.uncertain import Uncertain
from relay.spool.change import RecipientState, Status
from relay.spool.codec import (
    EntryReader,
    content_key,
    mail_key,
    seal,
    seal_envelope,
    seal_state,
    unseal,
    unseal_envelope,
    unseal_state,
)
from relay.spool.handover import Queued
from tests.spool.sample import envelope

ids = st.integers(1, 2**64 - 1)


@given(ids, st.binary(max_size=200))
def test_a_sealed_payload_comes_back(id: int, payload: bytes) -> None:
    assert bytes(unseal(mail_key(id), seal(mail_key(id), payload))) == payload


@given(ids, st.binary(max_size=50), st.data())
def test_any_flipped_bit_is_found(id: int, payload: bytes, data: st.DataObject) -> None:
    record = bytearray(seal(mail_key(id), payload))
    record[data.draw(st.integers(0, len(record) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(RecordDamaged):
        unseal(mail_key(id), bytes(record))


def test_every_cut_of_a_record_is_damaged() -> None:
    record = seal_envelope(mail_key(7), envelope(7))
    for end in range(len(record)):
        with pytest.raises(RecordDamaged):
            unseal_envelope(mail_key(7), record[:end])


@pytest.mark.parametrize("uncertain", [None, *Uncertain])
@pytest.mark.parametrize("priority", Priority)
def test_what_a_mail_is_worth_and_whose_it_is_come_back(
    priority: Priority, uncertain: Uncertain | None
) -> None:
    mail = msgspec.structs.replace(
        envelope(7), priority=priority, campaign="May", original_sender=b"p@local", uncertain=uncertain
    )
    record = seal_envelope(mail_key(7), mail)
    assert unseal_envelope(mail_key(7), record) == mail
    queued = EntryReader().queued(mail_key(7), record)
    assert (queued.priority, queued.campaign, queued.sender) == (priority, "May", mail.sender)


def test_a_record_under_another_mails_key_is_damaged() -> None:
    record = seal(content_key(7, 0), b"for another")
    with pytest.raises(RecordDamaged):
        unseal(content_key(8, 0), record)
    with pytest.raises(RecordDamaged):
        unseal(content_key(7, 1), record)


@pytest.mark.parametrize("payload", [b"", b"\x90", b"\x91\x01", b"\xc1", b"\xff" * 40])
def test_a_record_that_is_no_envelope_or_state_is_damaged(payload: bytes) -> None:
    key = mail_key(3)
    record = seal(key, payload)
    with pytest.raises(RecordDamaged):
        unseal_envelope(key, record)
    with pytest.raises(RecordDamaged):
        EntryReader().queued(key, record)
    if payload != b"\x90":
        with pytest.raises(RecordDamaged):
            unseal_state(key, record)


@given(ids, st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=6))
def test_the_queue_sees_what_the_envelope_says(id: int, routes: list[str]) -> None:
    mail = envelope(id, 77, 3, tuple(routes))
    key = mail_key(id)
    queued = EntryReader().queued(key, seal_envelope(key, mail))
    assert (queued.id, queued.received_at, queued.size, queued.chunks) == (id, mail.received_at, 77, 3)
    assert queued.routes == mail.routes()
    assert unseal_envelope(key, seal_envelope(key, mail)) == mail


def test_states_come_back() -> None:
    state = (RecipientState(Status.HELD, 3, 1.5, "550 5.1.1 no ☎"), RecipientState())
    assert unseal_state(mail_key(1), seal_state(mail_key(1), state)) == state


def test_keys_sort_as_ids_and_indices_do() -> None:
    pairs = [(id, index) for id in (0, 1, 255, 256, 2**63, MAX_SLOTS << 40) for index in (0, 1, 256, 2**20)]
    assert sorted(pairs, key=lambda pair: content_key(*pair)) == sorted(pairs)


def test_what_an_earlier_version_kept_is_read_as_it_was() -> None:
    key = mail_key(7)
    state = seal(key, msgspec.msgpack.encode([[0, 3, 99.0, "450 later"], [1, 1, 0.0, "250 ok"]]))
    assert unseal_state(key, state) == (
        RecipientState(Status.QUEUED, 3, 99.0, "450 later"),
        RecipientState(Status.DELIVERED, 1, 0.0, "250 ok"),
    )
    before_deadlines = [7, b"a@b", [[b"c@d", "r"]], 1_800_000_000.0, 10, 1, "127.0.0.1"]
    record = seal(key, msgspec.msgpack.encode(before_deadlines))
    assert unseal_envelope(key, record).deadline == 0.0
    assert EntryReader().queued(key, record).deadline == 0.0


def test_a_scan_tells_the_queue_what_a_hint_tells_it() -> None:
    """Each field with a value of its own: one that only the hint has would be missing after a crash."""
    whole = msgspec.structs.replace(
        envelope(7), account="erp", campaign="May", not_before=3.0, deadline=4.0, subject="Hello",
        message_id=b"<1@a>", original_sender=b"x@y", uncertain=Uncertain.ASK, priority=Priority.BULK,
    )  # fmt: skip
    record = seal_envelope(mail_key(7), whole)
    assert EntryReader().queued(mail_key(7), record) == Queued.of(whole)


def test_a_deadline_comes_to_the_queue_by_a_scan_too() -> None:
    mail = msgspec.structs.replace(envelope(7), not_before=1.5, deadline=2.5)
    queued = EntryReader().queued(mail_key(7), seal_envelope(mail_key(7), mail))
    assert (queued.not_before, queued.deadline) == (1.5, 2.5)
