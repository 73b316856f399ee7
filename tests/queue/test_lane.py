"""A lane gives its oldest mail first, by priority; some of it stands aside."""

import math

from hypothesis import given
from hypothesis import strategies as st

from relay.budget.limit import Place, Scope, Unit
from relay.message.priority import Priority
from relay.queue.flow import Flow
from relay.queue.job import Job
from relay.queue.lane import Lane, LaneKey
from relay.route.hours import Hours
from relay.route.route import Route
from tests.queue.taking import serve, take

HIGH, NORMAL, BULK = Priority
OUTSIDE = Place(Scope.TENANT, "tenant", Unit.EXTERNAL_RECIPIENTS)
OF_A = Place(Scope.CLIENT, "a", Unit.MESSAGES)


def lane() -> Lane:
    return Lane(LaneKey("r"), Route("r", ("h.test",)))


def filled(*ids: int, priority: Priority = NORMAL) -> Lane:
    tested = lane()
    for id in ids:
        tested.push(Job(id, tested, priority=priority))
    return tested


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
            head = tested.head(NORMAL)
            assert head is not None and head.id == truth[0]
            assert take(tested, NORMAL).id == truth.pop(0)
        assert len(tested) == len(truth)


def test_an_empty_lane_has_no_head() -> None:
    assert lane().peek() is None and lane().head(HIGH) is None


def test_priorities_stand_apart_and_the_oldest_of_all_is_known() -> None:
    tested = filled(5, 6, priority=BULK)
    tested.push(Job(7, tested, priority=HIGH))
    head = tested.head(HIGH)
    assert head is not None and head.id == 7 and tested.head(NORMAL) is None
    oldest = tested.peek()
    assert oldest is not None and oldest.id == 5
    assert take(tested, HIGH).id == 7 and len(tested) == 2


def test_a_job_that_is_pushed_belongs_to_the_lane() -> None:
    tested, other = filled(1), lane()
    other.push(take(tested, NORMAL))
    head = other.peek()
    assert head is not None and head.lane is other


def test_jobs_that_stand_aside_are_not_counted_and_come_back_one_at_a_time_the_oldest_first() -> None:
    tested = filled(1, 2, 3, 4)
    tested.close_siding((OUTSIDE, NORMAL), 9.0, "a limit")
    for _ in range(3):
        tested.park(OUTSIDE, NORMAL, take(tested, NORMAL))
    assert (len(tested), tested.parked) == (1, 3)
    assert tested.is_closed(OUTSIDE, NORMAL) and not tested.unpark()
    tested.open_siding((OUTSIDE, NORMAL))
    assert (len(tested), tested.parked, tested.is_closed(OUTSIDE, NORMAL)) == (2, 2, False)
    assert take(tested, NORMAL).id == 1 and tested.unpark()
    assert [take(tested, NORMAL).id, take(tested, NORMAL).id] == [2, 4]
    assert tested.unpark() and not tested.unpark()
    assert take(tested, NORMAL).id == 3 and tested.sidings == {}


def test_a_siding_that_closes_again_keeps_the_rest() -> None:
    tested = filled(1, 2)
    for _ in range(2):
        tested.park(OUTSIDE, NORMAL, take(tested, NORMAL))
    tested.open_siding((OUTSIDE, NORMAL))
    tested.park(OUTSIDE, NORMAL, take(tested, NORMAL))
    tested.close_siding((OUTSIDE, NORMAL), math.inf, "again")
    assert not tested.unpark() and tested.parked == 2


def test_sidings_are_for_one_priority_and_one_limit() -> None:
    tested = filled(1)
    tested.close_siding((OUTSIDE, BULK), 9.0, "bulk may not")
    assert not tested.is_closed(OUTSIDE, HIGH) and not tested.is_closed(OF_A, BULK)
    tested.open_siding((OF_A, BULK))
    assert tested.is_closed(OUTSIDE, BULK)


def test_what_waited_for_its_hours_takes_turns_again_when_they_begin() -> None:
    hours, place = (Hours((0,), 0, 60, "UTC"),), Place(Scope.ROUTE, "r, hours", Unit.MESSAGES)
    tested = lane()
    for id in range(400):
        job = Job(id, tested, flow=Flow("r", "early" if id < 200 else "late"))
        tested.park(place, NORMAL, job, hours)
    siding = tested.sidings[place, NORMAL]
    assert siding.counts == {("early", ""): 200, ("late", ""): 200}
    assert siding.before(siding._jobs[-1][2]) == 199
    tested.open_siding((place, NORMAL))
    order = []
    while len(tested):
        order.append(serve(tested).flow.client)
        tested.unpark()
    assert len(order) == 400 and tested.parked == 0 and not tested.sidings
    # Four times 64 are back when three have gone: from then on every second mail is of the one who came later.
    assert 97 <= order[4:204].count("late") <= 100
