"""A mailbox takes mail of its lanes in turn, and keeps a connection for mail that is not large."""

from hypothesis import given
from hypothesis import strategies as st

from relay.message.priority import Priority
from relay.queue.flow import LARGE_BYTES, Flow
from relay.queue.job import Job
from relay.queue.lane import Lane, LaneKey
from relay.queue.supply import Supply
from relay.route.route import Route

NORMAL = Priority.NORMAL
LARGE = 100 * 1_048_576


def supply(*fills: int, connections: int = 3) -> tuple[Supply, list[Lane]]:
    """Lanes with so much mail each, the first one's the oldest."""
    tested, ids = Supply(), iter(range(1, 100_000))
    tested.reachable = lambda: connections
    for number, fill in enumerate(fills):
        lane = Lane(LaneKey(f"lane {number}"), Route("r", ("h.test",)))
        for _ in range(fill):
            lane.push(Job(next(ids), lane))
        tested.lanes.append(lane)
    return tested, tested.lanes


def serve(tested: Supply, size: int = 0) -> Job:
    job = tested.head(NORMAL)
    assert job is not None
    tested.charge(job, size)
    job.lane.take(job)
    tested.large += job.flow.is_large
    return job


def order(tested: Supply, number: int, size: int = 0) -> str:
    return "".join(serve(tested, size).lane.key.route[-1] for _ in range(number))


def test_lanes_take_turns_whatever_has_gathered_in_one_of_them() -> None:
    tested, _ = supply(1_000, 3)
    assert order(tested, 8) == "01010100"


def test_three_lanes_take_turns() -> None:
    tested, _ = supply(5, 2, 5)
    assert order(tested, 12) == "012012020202"


def test_one_lane_alone_gathers_neither_debt_nor_claim() -> None:
    tested, (_, second) = supply(200, 0)
    assert order(tested, 100) == "0" * 100
    for id in range(5_000, 5_010):
        second.push(Job(id, second))
    assert order(tested, 10) in ("0101010101", "1010101010")


def test_a_lane_whose_mail_comes_one_by_one_goes_no_faster() -> None:
    tested, (_, second) = supply(100, 0)
    taken = ""
    for id in range(5_000, 5_010):
        second.push(Job(id, second))
        while len(second):
            taken += order(tested, 1)
    assert taken.count("0") in (9, 10, 11)


def test_a_lane_with_mail_of_twice_the_length_has_half_of_the_turns() -> None:
    tested, (first, _) = supply(100, 100)
    taken = []
    for _ in range(60):
        job = tested.head(NORMAL)
        assert job is not None
        taken.append(serve(tested, 1_048_576 if job.lane is first else 0).lane)
    assert taken.count(first) == 20


@given(st.lists(st.integers(0, 30), min_size=1, max_size=4))
def test_every_mail_of_every_lane_leaves_once(fills: list[int]) -> None:
    tested, _ = supply(*fills)
    taken = [serve(tested).id for _ in range(sum(fills))]
    assert sorted(taken) == list(range(1, sum(fills) + 1))
    assert len(tested) == 0 and tested.head(NORMAL) is None and tested.waiting() == []


def large(lane: Lane, *ids: int) -> None:
    for id in ids:
        lane.push(Job(id, lane, flow=Flow("r", is_large=LARGE > LARGE_BYTES)))


def test_the_last_connection_is_kept_for_mail_that_is_not_large() -> None:
    tested, (lane,) = supply(0)
    large(lane, 1, 2, 3)
    assert [serve(tested, LARGE).id, serve(tested, LARGE).id] == [1, 2]
    assert tested.head(NORMAL) is None and len(tested) == 0 and tested.waiting() == []
    lane.push(Job(9, lane))
    assert (len(tested), tested.waiting()) == (1, [NORMAL]) and serve(tested).id == 9
    tested.large -= 1
    assert len(tested) == 1 and serve(tested, LARGE).id == 3


def test_the_only_connection_takes_what_there_is() -> None:
    tested, (lane,) = supply(0, connections=1)
    large(lane, 1, 2)
    assert serve(tested, LARGE).id == 1
    assert tested.head(NORMAL) is None, "the only connection has one"
    tested.large -= 1
    assert serve(tested, LARGE).id == 2


def test_over_several_lanes_the_last_connection_is_kept_too() -> None:
    tested, (first, second) = supply(0, 0)
    large(first, 1, 2)
    large(second, 3, 4)
    assert {serve(tested, LARGE).id, serve(tested, LARGE).id} == {1, 3}
    second.push(Job(5, second))
    assert (len(tested), serve(tested).id) == (1, 5)
    assert tested.head(NORMAL) is None
