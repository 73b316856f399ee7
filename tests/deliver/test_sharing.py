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
        self.asked = 0
        sharing.add(self)

    @property
    def reach(self) -> Reach:
        return self._reach

    @property
    def size(self) -> int:
        return len(self.open) + len(self.leaving)

    def pump(self) -> None:
        while self._sharing.acquire(owner := object(), self):
            self.open.append(owner)

    def let_go(self, reason: str) -> bool:
        self.asked += 1
        if not self.open:
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
