"""The free-space floor, on a clock of its own."""

from hypothesis import given
from hypothesis import strategies as st

from relay.spool.options import MIB
from relay.spool.room import RETRY_S, Room


def test_it_is_looked_at_when_the_interval_is_over() -> None:
    room = Room(100, 1.0)
    assert room.is_stale(5.0)
    room.look(1000, 5.0)
    assert not room.is_stale(5.9)
    assert room.is_stale(6.0)


def test_it_is_looked_at_when_much_was_written() -> None:
    room = Room(100, 1.0)
    room.look(1000 * MIB, 5.0)
    room.spend(63 * MIB)
    assert not room.is_stale(5.0)
    room.spend(MIB)
    assert room.is_stale(5.0)


def test_what_was_written_since_the_look_counts_as_used() -> None:
    room = Room(100, 1.0)
    room.look(150, 0.0)
    room.spend(50)
    assert room.refusing is None
    room.spend(1)
    assert room.refusing is not None


def test_it_opens_again_a_quarter_above_the_floor() -> None:
    room = Room(100, 1.0)
    room.look(99, 0.0)
    assert room.refusing is not None
    room.look(124, 1.0)
    assert room.refusing is not None
    room.look(125, 2.0)
    assert room.refusing is None


def test_after_a_full_commit_nothing_is_taken_for_a_while() -> None:
    room = Room(100, 1.0)
    room.look(1000, 0.0)
    room.fail("the map is full", 0.0)
    room.look(1000, RETRY_S - 0.1)
    assert room.refusing == "the map is full"
    room.look(1000, RETRY_S)
    assert room.refusing is None


@given(
    st.lists(
        st.one_of(
            st.integers(0, 300).map(lambda n: ("look", n)), st.integers(1, 50).map(lambda n: ("spend", n))
        )
    )
)
def test_mail_is_never_taken_below_the_floor(steps: list[tuple[str, int]]) -> None:
    room, free = Room(100, 1.0), 0
    for at, (what, size) in enumerate(steps):
        if what == "look":
            free = size
            room.look(free, float(at))
        else:
            free -= size
            room.spend(size)
        if any(step == "look" for step, _ in steps[: at + 1]):
            assert room.refusing is not None or free >= 100
