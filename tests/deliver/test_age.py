"""A mail grows older only while somebody tries; what it waited for is derived, not written."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from relay.deliver.age import base_of, counted_s
from relay.message.envelope import Envelope, Recipient
from relay.spool.change import RecipientState, Status

CAME = 1_000_000.0
HOUR = 3_600.0


def nothing_lost(since: float, until: float) -> float:
    return 0.0


def all_lost(since: float, until: float) -> float:
    return until - since


def put_off(aged_s: float, as_of: float, next_attempt: float) -> RecipientState:
    return RecipientState(Status.QUEUED, 3, next_attempt, "450 later", aged_s, as_of)


def envelope(not_before: float = 0.0) -> Envelope:
    return Envelope(1, b"", (Recipient(b"b@c.test", "r"),), CAME, 1, 1, "", not_before=not_before)


def test_a_mail_that_only_waits_grows_no_older() -> None:
    assert counted_s(RecipientState(), CAME, CAME + 99 * HOUR, nothing_lost) == 0


def test_an_outage_makes_it_older() -> None:
    assert counted_s(RecipientState(), CAME, CAME + 99 * HOUR, all_lost) == 99 * HOUR


def test_the_pause_after_a_try_counts_and_the_wait_behind_it_does_not() -> None:
    state = put_off(2 * HOUR, CAME + 10 * HOUR, CAME + 11 * HOUR)
    for hours, expected in ((10, 2), (10.5, 2.5), (11, 3), (40, 3)):
        assert counted_s(state, CAME, CAME + hours * HOUR, nothing_lost) == expected * HOUR
    assert counted_s(state, CAME, CAME + 40 * HOUR, all_lost) == 32 * HOUR


def test_what_is_not_to_go_yet_begins_to_grow_older_when_it_may() -> None:
    assert base_of(envelope()) == CAME
    assert base_of(envelope(CAME + HOUR)) == CAME + HOUR
    assert counted_s(RecipientState(), CAME + HOUR, CAME + 3 * HOUR, all_lost) == 2 * HOUR


def test_what_an_earlier_version_recorded_counts_from_when_it_came() -> None:
    old = RecipientState(Status.QUEUED, 3, CAME + 5 * HOUR, "450 later")
    assert counted_s(old, CAME, CAME + 4 * HOUR, nothing_lost) == 4 * HOUR
    assert counted_s(old, CAME, CAME + 9 * HOUR, nothing_lost) == 5 * HOUR


def test_a_clock_that_was_set_back_makes_nothing_younger_than_it_was() -> None:
    assert counted_s(put_off(HOUR, CAME + 5 * HOUR, CAME + 6 * HOUR), CAME, CAME, nothing_lost) == HOUR


@dataclass
class Life:
    """A mail told step by step, beside what is on the disk of it."""

    now: float = CAME
    true_s: float = 0.0
    state: RecipientState = field(default_factory=RecipientState)
    outages: list[tuple[float, float]] = field(default_factory=list)

    def lost(self, since: float, until: float) -> float:
        return sum(max(0.0, min(until, end) - max(since, begin)) for begin, end in self.outages)

    def wait(self, seconds: float, *, is_out: bool) -> None:
        """Ready, and not tried."""
        if is_out:
            self.outages.append((self.now, self.now + seconds))
            self.true_s += seconds
        self.now += seconds

    def fail(self, under_way_s: float, pause_s: float) -> None:
        """Tried, put off, and ready again."""
        aged_s = counted_s(self.state, CAME, self.now, self.lost) + under_way_s
        self.now += under_way_s
        self.state = put_off(aged_s, self.now, self.now + pause_s)
        self.now += pause_s
        self.true_s += under_way_s + pause_s


STEPS = st.one_of(
    st.tuples(st.just("wait"), st.integers(0, 10**6), st.booleans()),
    st.tuples(st.just("fail"), st.integers(0, 600), st.integers(1, 10**5)),
)


@given(st.lists(STEPS, max_size=20))
def test_the_age_from_the_disk_is_that_of_a_clock_that_ran_with_it(
    steps: list[tuple[str, int, int | bool]],
) -> None:
    life = Life()
    for what, first, second in steps:
        if what == "wait":
            life.wait(float(first), is_out=bool(second))
        else:
            life.fail(float(first), float(second))
        # Nothing but the record and the outages is left after a restart.
        assert abs(counted_s(life.state, CAME, life.now, life.lost) - life.true_s) < 1e-3
