"""A lane gives its oldest mail first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.queue.job import Job
from relay.queue.lane import Lane, LaneKey
from relay.route.route import Route


def lane() -> Lane:
    return Lane(LaneKey("r", ""), Route("r", ("h.test",)))


@given(st.lists(st.one_of(st.integers(0, 50), st.none()), max_size=60))
def test_the_oldest_is_always_next(steps: list[int | None]) -> None:
    """A number is a push of that id, None a pop; against a sorted list."""
    tested, truth = lane(), []
    for step in steps:
        if step is not None:
            tested.push(Job(step, tested))
            truth.append(step)
        elif truth:
            truth.sort()
            head = tested.peek()
            assert head is not None and head.id == truth[0]
            assert tested.pop().id == truth.pop(0)
        assert len(tested) == len(truth)


def test_an_empty_lane_has_no_head() -> None:
    assert lane().peek() is None
    with pytest.raises(IndexError):
        lane().pop()


def test_a_pause_has_a_reason_until_it_is_over() -> None:
    paused = lane()
    paused.pause(10.0, "down")
    assert (paused.paused_until, paused.pause_reason) == (10.0, "down")
    paused.resume()
    assert (paused.paused_until, paused.pause_reason) == (0.0, "")


def test_jobs_that_stand_aside_are_not_counted_and_come_back_oldest_first() -> None:
    tested = lane()
    for id in (1, 2, 3, 4):
        tested.push(Job(id, tested))
    for _ in range(3):
        tested.park(tested.pop())
    assert (len(tested), tested.parked) == (1, 3)
    tested.unpark()
    assert (tested.pop().id, tested.pop().id, tested.parked) == (1, 4, 2)
    for _ in range(3):
        tested.unpark()
    assert [tested.pop().id, tested.pop().id] == [2, 3]
    assert (len(tested), tested.parked) == (0, 0)


def test_a_trouble_is_told_before_a_limit() -> None:
    tested = lane()
    tested.throttle(9.0, "a limit")
    tested.pause(5.0, "a trouble")
    assert tested.pause_reason == "a trouble"
    tested.resume()
    assert (tested.pause_reason, tested.throttled_until) == ("a limit", 9.0)
    tested.release()
    assert (tested.pause_reason, tested.throttled_until) == ("", 0.0)
