"""What the message trace's answer means: arrived, absent, or for people; never a guess."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.deliver.doubt import LEAST_S, Absent, Finding, NotYet, There, Unclear, judge, next_question
from relay.identity.message_trace import Found, Traced

OURS = [b"A@c.test", b"b@c.test"]
OTHERS = [b"other@c.test"]


def shown(*names: str, is_whole: bool = True, status: str = "delivered") -> Found:
    return Found(tuple(Traced(name, status) for name in names), is_whole)


@pytest.mark.parametrize(
    ("found", "early", "late"),
    [
        (shown(), NotYet, Absent),
        (shown("a@c.test"), There, There),
        (shown("a@c.test", "stranger@c.test"), There, There),
        (shown("other@c.test"), NotYet, Absent),
        (shown("alias-of-a@c.test"), NotYet, Unclear),
        (shown("other@c.test", "alias@c.test"), NotYet, Unclear),
        (shown(is_whole=False), NotYet, Unclear),
        (shown("other@c.test", is_whole=False), NotYet, Unclear),
        (shown("b@c.test", is_whole=False), There, There),
    ],
)
def test_what_is_shown_settles_and_absence_only_late(
    found: Found, early: type[Finding], late: type[Finding]
) -> None:
    assert isinstance(judge(found, OURS, OTHERS, is_late=False, has_namesake=False), early)
    assert isinstance(judge(found, OURS, OTHERS, is_late=True, has_namesake=False), late)


def test_each_recipient_has_its_own_status_whatever_its_case() -> None:
    found = Found((Traced("a@c.test", "quarantined"), Traced("b@c.test", "delivered")))
    finding = judge(found, OURS, OTHERS, is_late=False, has_namesake=False)
    assert finding == There({b"A@c.test": "quarantined", b"b@c.test": "delivered"})


@pytest.mark.parametrize("found", [shown("a@c.test"), shown("stranger@c.test")])
@pytest.mark.parametrize("is_late", [False, True])
def test_rows_that_may_be_of_another_mail_settle_nothing(found: Found, is_late: bool) -> None:
    assert isinstance(judge(found, OURS, OTHERS, is_late=is_late, has_namesake=True), Unclear)


def test_no_row_at_all_is_no_row_of_a_namesake_either() -> None:
    assert judge(shown(), OURS, OTHERS, is_late=True, has_namesake=True) == Absent()


def test_questions_come_at_twice_the_age_and_once_when_absence_counts() -> None:
    at = 0.0
    times: list[float] = []
    while not times or at < 1000 + 3600:
        at = next_question(1000.0, at, 300.0, 3600.0)
        times.append(at - 1000)
    assert times == [300, 600, 1200, 2400, 3600]


@given(
    sent_at=st.floats(1e9, 2e9),
    asked_after=st.floats(0, 1e6),
    first_s=st.floats(1, 3600),
    late_after=st.floats(3600, 86_400),
)
def test_the_next_question_is_never_sooner_than_a_minute_nor_passes_over_the_one_that_counts(
    sent_at: float, asked_after: float, first_s: float, late_after: float
) -> None:
    asked_at = sent_at + asked_after
    at = next_question(sent_at, asked_at, first_s, late_after)
    assert at >= asked_at + LEAST_S - 1e-3
    if asked_at < sent_at + late_after:
        assert at <= max(sent_at + late_after, asked_at + LEAST_S) + 1e-3
