"""Connections that several logins share: never too many, and nobody goes without for ever."""

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from relay.budget.connection import Connections
from relay.budget.limit import Limit, Scope, Unit
from relay.deliver.reach import Reach
from relay.deliver.sharing import Sharing
from tests.deliver.reaching import reach

THREE = Limit(Scope.MAILBOX, Unit.CONNECTIONS, 3)


class Sharer:
    """A pool that has always mail: it opens what it may, and lets go when it is asked and its mail is through."""

    def __init__(self, sharing: Sharing, name: str, mailbox: str = "a@contoso.test") -> None:
        self._sharing = sharing
        self._reach = reach(name, mailbox)
        self.open: deque[object] = deque()
        self.leaving: deque[object] = deque()
        self.opening = 0
        """Of `open`, those that cannot be sent away yet."""
        self.asked = 0
        sharing.add(self)

    @property
    def reach(self) -> Reach:
        return self._reach

    @property
    def size(self) -> int:
        return len(self.open) + len(self.leaving)

    @property
    def staying(self) -> int:
        return len(self.open)

    def pump(self) -> None:
        while self._sharing.acquire(owner := object(), self):
            self.open.append(owner)

    def let_go(self, reason: str) -> bool:
        self.asked += 1
        if len(self.open) <= self.opening:
            return False
        self.leaving.append(self.open.popleft())
        return True

    def finish(self) -> None:
        """A mail is through."""
        if self.leaving:
            self._sharing.release(self.leaving.popleft())


def shared(*names: str) -> tuple[Sharing, list[Sharer]]:
    sharing = Sharing(Connections([THREE]))
    return sharing, [Sharer(sharing, name) for name in names]


def test_who_comes_second_gets_one_when_a_mail_is_through() -> None:
    _, (one, two) = shared("one", "two")
    one.pump()
    two.pump()
    assert (one.size, two.size) == (3, 0)
    one.finish()
    assert (one.size, two.size) == (2, 1)


def test_asking_again_takes_no_second_one() -> None:
    _, (one, two) = shared("one", "two")
    one.pump()
    for _ in range(20):
        two.pump()
    assert len(one.leaving) == 1 and one.asked == 1


def test_the_third_connection_does_not_go_back_and_forth() -> None:
    _, (one, two) = shared("one", "two")
    one.pump()
    two.pump()
    one.finish()
    for _ in range(10):
        two.pump()
        one.pump()
    assert (one.size, two.size, one.asked, two.asked) == (2, 1, 1, 0)


def test_one_that_had_nothing_to_give_is_asked_again() -> None:
    _, (one, two) = shared("one", "two")
    one.pump()
    held = list(one.open)
    one.open.clear()
    one.leaving.extend(held)
    two.pump()
    one.leaving.clear()
    one.open.extend(held)
    two.pump()
    assert one.asked == 2 and len(one.leaving) == 1


def test_a_cap_that_was_lowered_is_kept_by_the_largest() -> None:
    sharing, (one, two) = shared("one", "two")
    one.pump()
    two.pump()
    one.finish()
    sharing.connections.set_cap(Scope.MAILBOX, "a@contoso.test", 2)
    sharing.trim(one.reach)
    assert (len(one.leaving), len(two.leaving)) == (1, 0)


def test_a_cap_that_is_told_of_again_takes_no_second_one() -> None:
    sharing, (one, two) = shared("one", "two")
    one.pump()
    two.pump()
    one.finish()
    sharing.connections.set_cap(Scope.MAILBOX, "a@contoso.test", 2)
    for _ in range(3):
        sharing.trim(one.reach)
    assert (len(one.leaving), len(two.leaving)) == (1, 0)
    one.finish()
    sharing.trim(one.reach)
    assert (one.staying, two.staying) == (1, 1)


def test_one_that_has_ended_and_holds_its_place_is_counted_as_gone() -> None:
    sharing, (one,) = shared("one")
    one.pump()
    ended = one.open.pop()
    sharing.connections.set_cap(Scope.MAILBOX, "a@contoso.test", 2)
    sharing.trim(one.reach)
    assert one.asked == 0
    sharing.release(ended)
    assert one.size == 2


def test_one_that_others_wait_for_is_one_of_those_beyond_the_cap() -> None:
    sharing, (one, two) = shared("one", "two")
    one.pump()
    two.pump()
    sharing.connections.set_cap(Scope.MAILBOX, "a@contoso.test", 2)
    sharing.trim(one.reach)
    assert (len(one.leaving), one.staying) == (1, 2)


def test_one_that_goes_for_a_mailbox_goes_for_its_host_too() -> None:
    sharing = Sharing(Connections([THREE]))
    one, other = Sharer(sharing, "one"), Sharer(sharing, "other", "b@contoso.test")
    one.pump()
    other.pump()
    sharing.connections.set_cap(Scope.MAILBOX, "a@contoso.test", 2)
    sharing.connections.set_cap(Scope.FOREST, "h.test", 5)
    sharing.trim(one.reach)
    assert (len(one.leaving), len(other.leaving)) == (1, 0)
    sharing.connections.set_cap(Scope.FOREST, "h.test", 4)
    sharing.trim(one.reach)
    assert (len(one.leaving), len(other.leaving)) == (1, 1)


def test_a_cap_is_kept_by_the_next_where_the_largest_has_none_to_give() -> None:
    sharing, (one, two) = shared("one", "two")
    one.pump()
    two.pump()
    one.finish()
    one.opening = 2
    sharing.connections.set_cap(Scope.MAILBOX, "a@contoso.test", 2)
    sharing.trim(one.reach)
    assert (len(one.leaving), len(two.leaving)) == (0, 1)
    sharing.connections.set_cap(Scope.MAILBOX, "a@contoso.test", 1)
    sharing.trim(one.reach)
    assert one.staying == 2, "nobody has one to give yet"
    one.opening = 0
    sharing.trim(one.reach)
    assert one.staying == 1


def test_a_lower_cap_is_shared_by_those_who_keep_the_most() -> None:
    sharing = Sharing(Connections([Limit(Scope.MAILBOX, Unit.CONNECTIONS, 3)]))
    one, two = Sharer(sharing, "one"), Sharer(sharing, "two")
    one.pump()
    sharing.connections.set_cap(Scope.MAILBOX, "a@contoso.test", 6)
    two.pump()
    sharing.connections.set_cap(Scope.MAILBOX, "a@contoso.test", 2)
    sharing.trim(one.reach)
    assert (one.staying, two.staying) == (1, 1)


def test_another_mailbox_is_asked_for_nothing() -> None:
    sharing, (one,) = shared("one")
    other = Sharer(sharing, "other", "b@contoso.test")
    other.pump()
    one.pump()
    assert (one.size, other.size, other.asked) == (3, 3, 0)


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=60))
def test_there_are_never_more_and_each_gets_its_turn(steps: list[tuple[int, bool]]) -> None:
    sharing, sharers = shared("one", "two", "three", "four")
    for who, is_pump in steps:
        if is_pump:
            sharers[who].pump()
        else:
            sharers[who].finish()
        assert sum(each.size for each in sharers) <= 3
    had: set[int] = set()
    for _ in range(12):
        for number, each in enumerate(sharers):
            each.pump()
            each.finish()
            if each.size:
                had.add(number)
            had |= {index for index, other in enumerate(sharers) if other.size}
        assert sharing.connections.standing(Scope.MAILBOX, "a@contoso.test") <= 3
    assert had == {0, 1, 2, 3}
