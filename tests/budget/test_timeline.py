"""Ledger time: never back, never ahead of the truth, whatever the wall clock does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.budget.row import NOW, Row, number
from relay.budget.timeline import Timeline

SECOND = 1_000_000
WALL = 1_800_000_000.0


def left(at_s: float, timeline: Timeline) -> list[Row]:
    """Rows as a process leaves them that wrote last at this reading of its monotonic clock."""
    return [*timeline.rows(), (NOW, number(timeline.now(at_s)))]


FIRST = Timeline([], WALL, 1000.0, "one")
LEFT = left(1060.0, FIRST)
LEFT_AT = FIRST.now(1060.0)


def test_a_first_start_takes_the_wall_clock() -> None:
    assert FIRST.now(1000.0) == 1_800_000_000 * SECOND
    assert FIRST.now(1000.5) == 1_800_000_000 * SECOND + SECOND // 2
    assert FIRST.utc_offset_us == 0


@pytest.mark.parametrize("step_s", [-1e6, -1.0, 0.0, 1.0, 1e6])
def test_in_the_same_boot_steps_of_the_wall_clock_change_nothing(step_s: float) -> None:
    again = Timeline(LEFT, WALL + 100 + step_s, 1100.0, "one")
    assert again.now(1100.0) == FIRST.now(1100.0)
    assert again.utc_offset_us == int(step_s * SECOND)


@pytest.mark.parametrize(
    ("wall_went_s", "up_s", "credited_s"),
    [
        (100, 30, 30),
        (20, 30, 20),
        (1_000_000, 30, 30),
        (-1_000_000, 30, 0),
        (0, 30, 0),
    ],
)
def test_after_a_reboot_the_smaller_of_two_witnesses_is_believed(
    wall_went_s: float, up_s: float, credited_s: int
) -> None:
    again = Timeline(LEFT, WALL + 60 + wall_went_s, up_s, "two")
    assert again.now(up_s) == LEFT_AT + credited_s * SECOND


def test_an_unknown_boot_is_another_one() -> None:
    nameless = left(1060.0, Timeline([], WALL, 1000.0, ""))
    again = Timeline(nameless, WALL + 70, 2000.0, "")
    assert again.now(2000.0) == LEFT_AT + 10 * SECOND


def test_a_process_that_wrote_nothing_is_no_gap() -> None:
    """Its start is known by the row of its boot."""
    second = Timeline(LEFT, WALL + 1000, 500.0, "two")
    third = Timeline([*second.rows(), LEFT[1]], WALL + 1000, 1.0, "three")
    assert third.now(1.0) >= second.now(500.0)


def test_a_monotonic_clock_that_went_back_does_not_take_the_ledger_back() -> None:
    assert Timeline(LEFT, WALL, 5.0, "one").now(5.0) == LEFT_AT


@given(st.floats(0, 1e8), st.integers(0, 10**14))
def test_the_reading_for_a_moment_has_just_reached_it(monotonic: float, ahead_us: int) -> None:
    timeline = Timeline([], WALL, monotonic, "")
    at = timeline.now(monotonic) + ahead_us
    assert at <= timeline.now(timeline.monotonic(at)) <= at + 1


@pytest.mark.parametrize("value", [b"", b"x" * 23, b"x" * 24 + b"\xff"])
def test_a_row_that_cannot_be_read_is_refused(value: bytes) -> None:
    ((key, _),) = FIRST.rows()
    with pytest.raises(ValueError, match="boot"):
        Timeline([(key, value)], WALL, 1.0, "one")
