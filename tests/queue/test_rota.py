"""Members take turns by weight; tables derived by hand from the rule in the head of `relay.queue.rota`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.queue.flow import LARGE_BYTES, Flow, cost
from relay.queue.job import Job
from relay.queue.lane import Lane, LaneKey
from relay.queue.rota import SCALE, Rota
from relay.route.route import Route

MIB = 1_048_576
LANE = Lane(LaneKey("r"), Route("r", ("h.test",)))


class Endless:
    """A member that always has mail, or none."""

    def __init__(self, name: str) -> None:
        self.job = Job(1, LANE, flow=Flow("r", name))
        self.has_mail = True

    def peek(self) -> Job | None:
        return self.job if self.has_mail else None

    def __len__(self) -> int:
        return int(self.has_mail)


def rota(**weights: int) -> tuple[Rota[Endless], dict[str, Endless]]:
    tested: Rota[Endless] = Rota()
    members = {name: Endless(name) for name in weights}
    for name, weight in weights.items():
        tested.join(name, weight, members[name])
    return tested, members


def turns(tested: Rota[Endless], number: int, counts: int = 1) -> str:
    """Who has the next turns."""
    taken = []
    for _ in range(number):
        job = tested.peek()
        assert job is not None
        taken.append(job.flow.client)
        tested.charge(job.flow.client, counts)
    return "".join(taken)


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ({"a": 1}, "aaaa"),
        ({"a": 1, "b": 1}, "abababab"),
        # Tags: a 0 1 2, b 0 ½ 1 1½ 2; of equal ones who came to it first.
        ({"a": 1, "b": 2}, "abbabbabb"),
        ({"a": 1, "b": 2, "c": 3}, "abccbcabccbc"),
    ],
)
def test_turns_go_round_by_weight(weights: dict[str, int], expected: str) -> None:
    tested, _ = rota(**weights)
    assert turns(tested, len(expected)) == expected


def test_one_that_sends_three_times_as_much_has_a_third_of_the_turns() -> None:
    tested, _ = rota(a=1, b=1)
    taken = ""
    for _ in range(40):
        job = tested.peek()
        assert job is not None
        tested.charge(job.flow.client, 3 if job.flow.client == "a" else 1)
        taken += job.flow.client
    assert taken == "abbb" * 10


def test_who_has_no_mail_leaves_his_turns_and_gathers_no_claim() -> None:
    tested, members = rota(a=1, b=1)
    members["b"].has_mail = False
    assert turns(tested, 100) == "a" * 100
    assert tested.get("b") is None, "it is forgotten as soon as the other has passed it"
    tested.join("b", 1, Endless("b"))
    # Once before a, whose 100 turns are nobody's debt, and then by turns.
    assert turns(tested, 6) in ("bababa", "ababab")


def test_who_comes_one_by_one_goes_no_faster_than_who_waits() -> None:
    tested, members = rota(a=1, b=1)
    taken = ""
    for _ in range(20):
        taken += turns(tested, 1)
        # Mail of b comes the moment after its last one has gone.
        members["b"].has_mail = False
        tested.peek()
        if tested.get("b") is None:
            tested.join("b", 1, members["b"])
        members["b"].has_mail = True
    assert taken == "ab" * 10


def test_who_was_alone_owes_nothing() -> None:
    tested, _ = rota(a=1)
    assert turns(tested, 1_000, counts=97) == "a" * 1_000
    tested.join("b", 1, Endless("b"))
    assert turns(tested, 4) == "abab"


def test_the_last_one_stays_and_costs_no_memory_to_come_again() -> None:
    tested, members = rota(a=1)
    members["a"].has_mail = False
    assert tested.peek() is None and tested.get("a") is not None


@given(
    st.lists(st.tuples(st.integers(1, 100), st.integers(1, 150)), min_size=2, max_size=6), st.integers(1, 300)
)
def test_shares_differ_by_no_more_than_one_mail_of_each(members: list[tuple[int, int]], number: int) -> None:
    """Goyal, Vin, Cheng, theorem 1: |W_a/w_a - W_b/w_b| <= c_a/w_a + c_b/w_b; integers may lose one part in SCALE."""
    weights = {chr(97 + i): weight for i, (weight, _) in enumerate(members)}
    costs = {chr(97 + i): each for i, (_, each) in enumerate(members)}
    tested, _ = rota(**weights)
    served = dict.fromkeys(weights, 0.0)
    for _ in range(number):
        job = tested.peek()
        assert job is not None, "as long as anybody waits, somebody goes"
        name = job.flow.client
        tested.charge(name, costs[name])
        served[name] += costs[name] / weights[name]
    for a in weights:
        for b in weights:
            bound = costs[a] / weights[a] + costs[b] / weights[b] + number / SCALE
            assert abs(served[a] - served[b]) <= bound


@pytest.mark.parametrize(
    ("size", "expected"), [(0, 1), (MIB - 1, 1), (MIB, 2), (100 * MIB, 101), (LARGE_BYTES, 9)]
)
def test_a_mail_counts_by_the_time_it_takes(size: int, expected: int) -> None:
    assert cost(size) == expected
