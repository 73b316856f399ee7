"""A breaker: when one may probe, and what lies in the spool of it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.budget.row import BREAKER, MAX_KEY_BYTES
from relay.m365.row import Scope
from relay.queue.breaker import LONGEST_S, STILL_S, Breaker, StopKey, from_row, row_key, row_of

KEY = StopKey(Scope.SENDER, "orders@contoso.test")
WALL = 1_800_000_000.0


def breaker(until: float = 100.0, key: StopKey = KEY) -> Breaker:
    return Breaker(key, "it said no", until, WALL)


def test_nobody_passes_before_its_time_and_one_alone_after() -> None:
    tested = breaker()
    assert not tested.lets_pass("one", 99.9)
    assert tested.lets_pass("one", 100.0) and tested.lets_pass("other", 100.0)
    tested.probe = "one"
    assert tested.lets_pass("one", 100.0) and not tested.lets_pass("other", 1e9)


def test_an_echo_of_mail_that_was_under_way_changes_nothing() -> None:
    tested = breaker()
    assert not tested.trip("echo", 500.0, 50.0, WALL + 1)
    assert (tested.until, tested.reason, tested.trips, tested.told_at) == (100.0, "it said no", 1, WALL)


@pytest.mark.parametrize("is_probed", [True, False], ids=["the probe", "somebody, when it was due"])
def test_a_refusal_opens_it_again(is_probed: bool) -> None:
    tested = breaker()
    tested.probe = "one" if is_probed else None
    assert tested.trip("again", 200.0, 100.0, WALL + 100)
    assert tested.probe is None and not tested.lets_pass("one", 199.0) and tested.lets_pass("other", 200.0)
    assert (tested.trips, tested.opened_at, tested.told_at) == (2, WALL, WALL + 100)


def test_what_must_not_be_tried_again_is_no_echo() -> None:
    tested = breaker()
    assert tested.trip("the account is locked", math.inf, 50.0, WALL)
    assert not tested.lets_pass("one", 1e12)
    assert not tested.trip("an echo", 200.0, 60.0, WALL), "and nothing softens it"
    assert tested.until == math.inf


def test_a_probe_without_a_verdict_is_followed_by_another_after_a_moment() -> None:
    tested = breaker()
    tested.probe = "one"
    tested.give_up(100.0)
    assert not tested.lets_pass("one", 100.0) and tested.lets_pass("other", 100.0 + STILL_S)
    stopped = breaker(math.inf)
    stopped.give_up(100.0)
    assert stopped.until == math.inf


NAMES = st.binary(max_size=80).map(lambda name: name.decode("utf-8", "surrogateescape"))
KEYS = st.builds(StopKey, st.sampled_from(Scope), NAMES, NAMES)


@given(KEYS, st.floats(0, LONGEST_S) | st.just(math.inf), st.floats(0, 1e6), st.floats(0, 1e6))
def test_it_comes_back_from_the_spool_whatever_it_is_called(
    key: StopKey, wait_s: float, age_s: float, down_s: float
) -> None:
    tested = breaker(1000.0 + wait_s, key)
    tested.told_at = WALL + age_s
    name, value = row_of(tested, 1000.0, WALL)
    assert value is not None and name == row_key(key) and name.startswith(BREAKER)
    assert len(name) <= len(BREAKER) + MAX_KEY_BYTES
    back = from_row(value, 5.0, WALL + down_s)
    assert (back.key, back.reason, back.opened_at, back.told_at) == (key, "it said no", WALL, WALL + age_s)
    assert back.probe is None
    if wait_s == math.inf:
        assert back.until == math.inf
    else:
        assert back.until == pytest.approx(5.0 + max(0.0, wait_s - down_s), abs=1e-3)


def test_a_clock_that_was_ahead_makes_no_wait_longer_than_a_day() -> None:
    _, value = row_of(breaker(200.0), 100.0, WALL + 1e9)
    assert value is not None
    assert from_row(value, 0.0, WALL).until == LONGEST_S


@given(st.binary(max_size=200))
def test_a_row_that_is_none_is_a_value_error(value: bytes) -> None:
    try:
        read = from_row(value, 0.0, WALL)
    except ValueError:
        return
    assert isinstance(read.key.scope, Scope)


@given(KEYS)
def test_what_people_read_is_text(key: StopKey) -> None:
    str(key).encode()


@pytest.mark.parametrize(
    ("key", "named"),
    [
        (StopKey(Scope.SENDER_AS, "a@b.test", "c@d.test"), "c@d.test"),
        (StopKey(Scope.SENDER_AS, "a@b.test", ""), "<>"),
        (StopKey(Scope.SENDER_DOMAIN, "d.test"), "@d.test"),
        (StopKey(Scope.SENDER, "a@b.test"), ""),
    ],
)
def test_lanes_are_named_by_the_senders_that_wait(key: StopKey, named: str) -> None:
    assert key.stopped == named
