import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.message.queue_id import MAX_SLOTS, QueueIdSource, format_id, parse_id, slot_of
from tests.fakes.clock import FakeClock


@given(st.integers(0, 2**64 - 1))
def test_an_id_comes_back_from_its_text(queue_id: int) -> None:
    text = format_id(queue_id)
    assert len(text) == 13
    assert parse_id(text) == parse_id(text.upper()) == queue_id


@given(st.lists(st.integers(0, 2**64 - 1), min_size=2, max_size=20))
def test_texts_sort_as_ids_do(ids: list[int]) -> None:
    assert sorted(map(format_id, ids)) == [format_id(queue_id) for queue_id in sorted(ids)]


@pytest.mark.parametrize(
    "text", ["", "0", "0sasrbx80600", "0sasrbx80600i", "0sasrbx8060000", "zzzzzzzzzzzzz", "ä" * 13]
)
def test_what_is_no_id_is_refused_with_its_text(text: str) -> None:
    with pytest.raises(ValueError, match="is not a queue id"):
        parse_id(text)


def test_ids_rise_when_the_clock_stands_still_or_is_set_back() -> None:
    clock = FakeClock()
    source = QueueIdSource(5, clock)
    ids = [source.next() for _ in range(70_000)]
    clock.set_wall(clock.now() - 3600)
    ids += [source.next() for _ in range(10)]
    clock.advance(7200)
    ids.append(source.next())
    assert ids == sorted(set(ids))
    assert {slot_of(queue_id) for queue_id in ids} == {5}


def test_a_successor_goes_on_above_its_predecessor_wherever_the_clock_stands() -> None:
    clock = FakeClock()
    first = QueueIdSource(5, clock)
    ids = [first.next() for _ in range(3)]
    clock.set_wall(clock.now() - 3600)
    second = QueueIdSource(5, clock, ids[-1])
    ids += [second.next() for _ in range(70_000)]
    clock.advance(7200)
    ids.append(QueueIdSource(5, clock, ids[-1]).next())
    assert ids == sorted(set(ids))
    assert {slot_of(queue_id) for queue_id in ids} == {5}


@pytest.mark.parametrize("slot", [-1, MAX_SLOTS])
def test_a_slot_beyond_the_six_bits_is_refused(slot: int) -> None:
    with pytest.raises(ValueError, match="slot"):
        QueueIdSource(slot, FakeClock())
