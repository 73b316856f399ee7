"""Connections are counted as they stand, by owner."""

from hypothesis import given
from hypothesis import strategies as st

from relay.budget.connection import Busy, Connections
from relay.budget.limit import Limit, Place, Scope, Unit

MAILBOX = Limit(Scope.MAILBOX, Unit.CONNECTIONS, 3)
FOREST = Limit(Scope.FOREST, Unit.CONNECTIONS, 5)


def test_the_fourth_connection_of_a_mailbox_is_refused() -> None:
    connections = Connections([MAILBOX])
    for owner in range(3):
        assert connections.acquire(owner, [(Scope.MAILBOX, "a")]) is None
    assert connections.acquire(3, [(Scope.MAILBOX, "a")]) == Busy(
        Place(Scope.MAILBOX, "a", Unit.CONNECTIONS), 3
    )
    assert connections.acquire(4, [(Scope.MAILBOX, "b")]) is None


def test_a_refused_connection_takes_no_place_anywhere() -> None:
    connections = Connections([MAILBOX, Limit(Scope.FOREST, Unit.CONNECTIONS, 1)])
    assert connections.acquire(1, [(Scope.MAILBOX, "a"), (Scope.FOREST, "f")]) is None
    assert connections.acquire(2, [(Scope.MAILBOX, "a"), (Scope.FOREST, "f")]) is not None
    assert connections.standing(Scope.MAILBOX, "a") == 1


def test_an_owner_that_ends_twice_frees_one_place() -> None:
    connections = Connections([MAILBOX])
    for owner in range(3):
        connections.acquire(owner, [(Scope.MAILBOX, "a")])
    assert connections.release(0) == (Place(Scope.MAILBOX, "a", Unit.CONNECTIONS),)
    assert connections.release(0) == ()
    assert connections.standing(Scope.MAILBOX, "a") == 2


def test_a_lowered_cap_says_how_many_stand_too_many() -> None:
    connections = Connections([MAILBOX])
    for owner in range(3):
        connections.acquire(owner, [(Scope.MAILBOX, "a")])
    connections.set_cap(Scope.MAILBOX, "a", 1)
    assert connections.surplus(Scope.MAILBOX, "a") == 2
    connections.release(0)
    assert connections.acquire(9, [(Scope.MAILBOX, "a")]) is not None
    connections.release(1)
    assert connections.surplus(Scope.MAILBOX, "a") == 0


def test_the_room_is_that_of_the_fullest_scope() -> None:
    connections = Connections([MAILBOX, FOREST])
    of_a, of_b = [(Scope.MAILBOX, "a"), (Scope.FOREST, "f")], [(Scope.MAILBOX, "b"), (Scope.FOREST, "f")]
    assert connections.room(of_a) == 3
    for owner in range(3):
        connections.acquire(owner, of_b)
    assert (connections.room(of_a), connections.room(of_b)) == (2, 0)
    connections.set_cap(Scope.MAILBOX, "b", 1)
    assert connections.room(of_b) == 0, "it stands beyond its cap"
    assert connections.room([(Scope.ROUTE, "r")]) > 1_000_000, "nothing says"


def test_without_a_limit_any_number_may_stand() -> None:
    connections = Connections([])
    assert all(connections.acquire(owner, [(Scope.SOURCE, "192.0.2.1")]) is None for owner in range(1000))
    assert connections.surplus(Scope.SOURCE, "192.0.2.1") == 0


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 12), st.sampled_from("ab"), st.sampled_from("fg"))))
def test_the_count_is_that_of_the_owners(steps: list[tuple[bool, int, str, str]]) -> None:
    connections = Connections([MAILBOX, FOREST])
    standing: dict[int, tuple[str, str]] = {}
    for acquires, owner, mailbox, forest in steps:
        if not acquires:
            connections.release(owner)
            standing.pop(owner, None)
        elif owner not in standing:
            full = (
                sum(m == mailbox for m, _ in standing.values()) == 3
                or sum(f == forest for _, f in standing.values()) == 5
            )
            busy = connections.acquire(owner, [(Scope.MAILBOX, mailbox), (Scope.FOREST, forest)])
            assert (busy is not None) == full
            if busy is None:
                standing[owner] = (mailbox, forest)
    for name in "ab":
        assert connections.standing(Scope.MAILBOX, name) == sum(m == name for m, _ in standing.values())
