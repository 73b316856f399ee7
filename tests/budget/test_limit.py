"""Rows that mean nothing are refused; a key's own limits take the place of the general ones."""

from dataclasses import asdict

import pytest

from relay.budget.limit import DAY_S, Limit, LimitTable, Place, Scope, Unit

MINUTE = Limit(Scope.MAILBOX, Unit.MESSAGES, 30, 60)


@pytest.mark.parametrize(
    "wrong",
    [
        {"count": 0},
        {"window_s": 0},
        {"window_s": -60},
        {"window_s": 400 * DAY_S},
        {"since_midnight": True},
        {"unit": Unit.CONNECTIONS},
        {"unit": Unit.CONNECTIONS, "window_s": 0, "since_midnight": True},
    ],
)
def test_a_row_that_means_nothing_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"limit|window"):
        Limit(**{**asdict(MINUTE), **wrong})


def test_a_keys_own_limit_takes_the_place_of_the_general_one() -> None:
    own = Limit(Scope.MAILBOX, Unit.MESSAGES, 100, 60, key="big@example.com")
    table = LimitTable([MINUTE, own])
    assert table.at(Place(Scope.MAILBOX, "big@example.com", Unit.MESSAGES)) == (own,)
    assert table.at(Place(Scope.MAILBOX, "a@example.com", Unit.MESSAGES)) == (MINUTE,)


def test_one_place_may_have_several_windows() -> None:
    hour = Limit(Scope.MAILBOX, Unit.MESSAGES, 100, 3600)
    assert LimitTable([MINUTE, hour]).at(Place(Scope.MAILBOX, "a", Unit.MESSAGES)) == (MINUTE, hour)


def test_two_counts_for_the_same_are_refused() -> None:
    with pytest.raises(ValueError, match="two limits"):
        LimitTable([MINUTE, Limit(Scope.MAILBOX, Unit.MESSAGES, 31, 60)])


def test_where_no_limit_is_there_is_none() -> None:
    assert LimitTable([MINUTE]).at(Place(Scope.MAILBOX, "a", Unit.BYTES)) == ()
