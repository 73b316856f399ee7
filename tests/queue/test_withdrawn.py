"""Jobs that are withdrawn: nothing of them waits, wherever they stood, and all others go in their order."""

from hypothesis import given
from hypothesis import strategies as st

from relay.budget.limit import Place, Scope, Unit
from relay.message.priority import Priority
from relay.queue.deferred import TIDY_FROM, Deferred
from relay.queue.job import Job
from relay.queue.queue import Queue
from relay.route.route import Route
from tests.queue.taking import take

PLACE = Place(Scope.CLIENT, "somebody", Unit.MESSAGES)


def queue() -> Queue:
    return Queue(lambda name: Route(name, ("h.test",)))


def stand(tested: Queue, id: int, where: str) -> Job:
    """A job of a mail in one of its places."""
    job = tested.add(id, "one")
    match where:
        case "lane":
            job.lane.push(job)
        case "siding":
            job.lane.park(PLACE, Priority.NORMAL, job)
        case "deferred":
            tested.defer(job, float(id))
    return job


PLACES = st.sampled_from(("lane", "siding", "deferred"))


@given(st.dictionaries(st.integers(1, 50), st.tuples(PLACES, st.booleans()), max_size=40))
def test_what_is_left_goes_in_its_order_and_is_counted_rightly(
    mails: dict[int, tuple[str, bool]],
) -> None:
    tested = queue()
    for id, (where, _) in mails.items():
        stand(tested, id, where)
    for id, (_, is_withdrawn) in mails.items():
        if is_withdrawn:
            tested.withdraw(id)
            tested.forget(id)
    left = {id: where for id, (where, is_withdrawn) in mails.items() if not is_withdrawn}
    depth = tested.depth()
    assert depth.deferred == sum(where == "deferred" for where in left.values())
    assert depth.ready == len(left) - depth.deferred
    lane = tested.lane("one")
    assert [take(lane, Priority.NORMAL).id for _ in range(len(lane))] == ids(left, "lane")
    lane.open_siding((PLACE, Priority.NORMAL))
    aside = []
    while len(lane) or lane.unpark():
        aside.append(take(lane, Priority.NORMAL).id)
    assert aside == ids(left, "siding")
    assert [job.id for job in tested.due(100.0, 100)] == ids(left, "deferred")
    assert {id for id in mails if id in tested} == set(left)


def ids(left: dict[int, str], where: str) -> list[int]:
    return sorted(id for id, place in left.items() if place == where)


def test_a_mail_in_somebodys_hands_is_known_and_has_no_job() -> None:
    tested = queue()
    stand(tested, 7, "lane")
    tested.withdraw(7)
    assert 7 in tested and tested.jobs(7) == () and not tested.is_under_way(7)
    tested.forget(7)
    assert 7 not in tested


def test_mail_is_taken_into_ones_hands_unless_something_of_it_is_tried() -> None:
    tested = queue()
    for id, where in ((1, "lane"), (2, "deferred"), (3, "siding"), (4, "lane")):
        stand(tested, id, where)
    tested.hold(5)
    # Of the fourth one part is tried, and one stands still.
    take(tested.lane("one"), Priority.NORMAL), take(tested.lane("one"), Priority.NORMAL)
    second = tested.add(4, "two")
    second.lane.push(second)
    assert [tested.withdraw_standing(id) for id in (1, 2, 3, 4, 5)] == [False, True, True, False, True]
    assert [len(tested.jobs(id)) for id in (1, 2, 3, 4, 5)] == [1, 0, 0, 2, 0]
    assert all(id in tested for id in (1, 2, 3, 4, 5)) and tested.depth().held == 0


def test_held_mail_is_counted_until_it_is_withdrawn_or_forgotten() -> None:
    tested = queue()
    for id in (1, 2, 2, 3):
        tested.hold(id)
    assert tested.depth().held == 3
    tested.withdraw(1)
    tested.forget(2)
    assert tested.depth().held == 1


def test_a_job_is_under_way_between_two_places() -> None:
    tested = queue()
    job = stand(tested, 1, "lane")
    assert not tested.is_under_way(1)
    take(job.lane, Priority.NORMAL)
    assert tested.is_under_way(1)
    tested.defer(job, 5.0)
    assert not tested.is_under_way(1)


def test_what_stands_of_a_mail_stands_down_and_what_is_under_way_goes_on() -> None:
    tested = queue()
    standing, trying = tested.add(1, "one"), tested.add(1, "two")
    standing.lane.push(standing)
    tested.stand_down(1)
    assert tested.jobs(1) == (trying,) and not len(standing.lane)
    tested.part(trying)
    assert tested.jobs(1) == () and 1 in tested


def test_deferred_jobs_that_are_gone_take_no_room_for_ever() -> None:
    tested = Deferred()
    lane = queue().lane("one")
    jobs = [Job(id, lane) for id in range(2 * TIDY_FROM + 10)]
    for job in jobs:
        tested.push(job, float(job.id))
    for job in reversed(jobs[10:]):
        tested.leave(job)
    assert len(tested) == 10 and len(tested._entries) < TIDY_FROM + 11
    assert [job.id for job in tested.due(1e9, 100_000)] == list(range(10))
