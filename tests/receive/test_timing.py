"""What a mail says of when it may go is kept, or refused at once."""

import pytest

from relay.message.moment import Moment
from relay.message.own_field import Wishes
from relay.receive.options import Limits
from relay.receive.timing import ALWAYS, DEADLINE_AHEAD_S, Span, judge_span
from relay.smtp.reply import Reply

NOW = 1_800_000_000.0
HOUR, DAY = 3_600.0, 86_400.0


def after(seconds: float) -> Moment:
    return Moment(seconds, is_relative=True)


def test_a_mail_that_says_nothing_may_go_at_any_time() -> None:
    assert judge_span(Wishes(), NOW, Limits()) is ALWAYS


@pytest.mark.parametrize(
    ("wishes", "expected"),
    [
        (Wishes(not_before=after(HOUR)), Span(NOW + HOUR)),
        (Wishes(not_before=Moment(NOW + HOUR)), Span(NOW + HOUR)),
        (Wishes(not_before=after(30 * DAY)), Span(NOW + 30 * DAY)),
        (Wishes(not_before=Moment(NOW - DAY)), Span()),
        (Wishes(not_before=after(0.0)), Span()),
        (Wishes(deadline=after(HOUR)), Span(0.0, NOW + HOUR)),
        (Wishes(deadline=Moment(NOW + 1)), Span(0.0, NOW + 1)),
        (Wishes(deadline=after(DEADLINE_AHEAD_S)), Span(0.0, NOW + DEADLINE_AHEAD_S)),
        (Wishes(not_before=after(HOUR), deadline=after(HOUR + 1)), Span(NOW + HOUR, NOW + HOUR + 1)),
        (Wishes(not_before=Moment(NOW - DAY), deadline=after(1.0)), Span(0.0, NOW + 1)),
    ],
)
def test_a_moment_is_counted_from_when_the_mail_came(wishes: Wishes, expected: Span) -> None:
    assert judge_span(wishes, NOW, Limits()) == expected


@pytest.mark.parametrize(
    ("wishes", "enhanced", "words"),
    [
        (Wishes(deadline=Moment(NOW - 1)), "5.4.7", "X-Relay-Deadline has passed"),
        (Wishes(deadline=after(0.0)), "5.4.7", "X-Relay-Deadline has passed"),
        (Wishes(deadline=Moment(NOW * 1000)), "5.6.0", "366 days ahead at most"),
        (Wishes(not_before=after(30 * DAY + 1)), "5.6.0", "X-Relay-Not-Before may be 30 days ahead at most"),
        (Wishes(not_before=after(HOUR), deadline=after(HOUR)), "5.6.0", "later than X-Relay-Not-Before"),
    ],
)
def test_what_cannot_be_kept_is_refused_for_good(wishes: Wishes, enhanced: str, words: str) -> None:
    reply = judge_span(wishes, NOW, Limits())
    assert isinstance(reply, Reply)
    assert (reply.code, reply.enhanced) == (550, enhanced)
    assert words in reply.text


def test_an_administrator_may_let_no_mail_wait() -> None:
    limits = Limits(not_before_max_s=0.0)
    assert isinstance(judge_span(Wishes(not_before=after(1.0)), NOW, limits), Reply)
    assert judge_span(Wishes(not_before=Moment(NOW)), NOW, limits) == Span()
