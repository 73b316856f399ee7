"""Learnt counts stay in their range, fall by a factor, rise by a step, and say why."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.budget.learn import Learning, LearnOptions, Learnt
from relay.budget.limit import Place, Scope, Unit

SECOND = 1_000_000
FOREST = Place(Scope.FOREST, "prod.example", Unit.CONNECTIONS)
OPTIONS = LearnOptions(least=2, most=40, start=20, step=1, factor=0.5, calm_s=60, echo_s=10)
TOO_MANY = "421 4.3.2 The maximum number of concurrent connections per resource forest has exceeded a limit"


def test_a_refusal_halves_the_count_and_is_named() -> None:
    learning = Learning()
    assert learning.refused(FOREST, OPTIONS, 0, TOO_MANY) == Learnt(FOREST, 20, 10, TOO_MANY)
    assert learning.count(FOREST, OPTIONS, 0) == 10


def test_echoes_of_one_refusal_do_not_halve_again() -> None:
    learning = Learning()
    learning.refused(FOREST, OPTIONS, 0, TOO_MANY)
    assert learning.refused(FOREST, OPTIONS, 10 * SECOND - 1, TOO_MANY) is None
    assert learning.refused(FOREST, OPTIONS, 10 * SECOND, TOO_MANY) == Learnt(FOREST, 10, 5, TOO_MANY)


def test_a_refusal_right_after_a_rise_is_no_echo() -> None:
    learning = Learning()
    learning.accepted(FOREST, OPTIONS, 0, 20, "250 OK")
    assert learning.accepted(FOREST, OPTIONS, 60 * SECOND, 20, "250 OK") == Learnt(FOREST, 20, 21, "250 OK")
    assert learning.refused(FOREST, OPTIONS, 60 * SECOND + 1, TOO_MANY) == Learnt(FOREST, 21, 10, TOO_MANY)


def test_a_small_count_falls_by_one_and_never_below_the_least() -> None:
    options = LearnOptions(least=1, most=3, start=3, factor=0.9)
    learning = Learning()
    found = [learning.refused(FOREST, options, step * 100 * SECOND, "432 4.3.2") for step in range(4)]
    assert [change and change.after for change in found] == [2, 1, None, None]


def test_calm_raises_only_what_was_used_to_the_full() -> None:
    learning = Learning()
    learning.count(FOREST, OPTIONS, 0)
    assert learning.accepted(FOREST, OPTIONS, 100 * SECOND, 19, "250 OK") is None
    assert learning.accepted(FOREST, OPTIONS, 100 * SECOND, 20, "250 OK") == Learnt(FOREST, 20, 21, "250 OK")
    assert learning.accepted(FOREST, OPTIONS, 159 * SECOND, 21, "250 OK") is None
    assert learning.accepted(FOREST, OPTIONS, 160 * SECOND, 21, "250 OK") == Learnt(FOREST, 21, 22, "250 OK")


def test_what_was_learnt_survives_a_restart_within_the_range() -> None:
    learning = Learning()
    learning.refused(FOREST, OPTIONS, 0, TOO_MANY)
    rows = learning.changes()
    assert learning.changes() == []
    again = Learning()
    again.restore(rows)
    assert again.count(FOREST, OPTIONS, 0) == 10
    narrower = Learning()
    narrower.restore(rows)
    assert narrower.count(FOREST, LearnOptions(least=12, most=40, start=20), 0) == 12


@pytest.mark.parametrize(
    "wrong",
    [
        {"least": 0, "most": 3, "start": 1},
        {"least": 2, "most": 3, "start": 1},
        {"least": 1, "most": 3, "start": 4},
        {"least": 1, "most": 3, "start": 1, "factor": 1.0},
        {"least": 1, "most": 3, "start": 1, "step": 0},
    ],
)
def test_a_range_that_means_nothing_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"least|step"):
        LearnOptions(**wrong)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 200), st.integers(0, 50))))
def test_the_count_never_leaves_its_range(steps: list[tuple[bool, int, int]]) -> None:
    learning, now = Learning(), 0
    for refused, seconds, used in steps:
        now += seconds * SECOND
        before = learning.count(FOREST, OPTIONS, now)
        if refused:
            change = learning.refused(FOREST, OPTIONS, now, TOO_MANY)
        else:
            change = learning.accepted(FOREST, OPTIONS, now, used, "250 OK")
        after = learning.count(FOREST, OPTIONS, now)
        assert (change is None) == (before == after)
        assert OPTIONS.least <= after <= OPTIONS.most
