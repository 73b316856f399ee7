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
