"""When a mail may go by its own word: not before one moment, not after another. Pure.

What cannot be kept is refused at the end of the data, where the application still learns it.
What is only late (a moment that has passed before which the mail was not to go) is no reason
to refuse.
"""

from msgspec import Struct

from relay.message.own_field import DEADLINE, NOT_BEFORE, Wishes
from relay.receive.options import Limits
from relay.smtp.reply import Reply

DEADLINE_AHEAD_S = 366 * 86_400.0
"""A year: what is further ahead is a slip (milliseconds for seconds), and would never be kept."""


class Span(Struct, frozen=True):
    """Seconds since the epoch; 0: no bound, as in the envelope."""

    not_before: float = 0.0
    deadline: float = 0.0


ALWAYS = Span()


def judge_span(wishes: Wishes, now: float, limits: Limits) -> Span | Reply:
    """The bounds of a mail that comes now, or the reply that refuses it."""
    if wishes.not_before is None and wishes.deadline is None:
        return ALWAYS
    not_before = 0.0 if wishes.not_before is None else wishes.not_before.at(now)
    if not_before <= now:
        not_before = 0.0
    elif not_before > now + limits.not_before_max_s:
        return Reply(550, "5.6.0", f"{NOT_BEFORE} may be {_time(limits.not_before_max_s)} ahead at most")
    if wishes.deadline is None:
        return Span(not_before)
    deadline = wishes.deadline.at(now)
    if deadline <= now:
        return Reply(550, "5.4.7", f"{DEADLINE} has passed already")
    if deadline > now + DEADLINE_AHEAD_S:
        return Reply(550, "5.6.0", f"{DEADLINE} may be {_time(DEADLINE_AHEAD_S)} ahead at most")
    if deadline <= not_before:
        return Reply(550, "5.6.0", f"{DEADLINE} must be later than {NOT_BEFORE}: the mail could never go")
    return Span(not_before, deadline)


def _time(seconds: float) -> str:
    days = seconds / 86_400
    return f"{days:g} days" if days >= 1 else f"{seconds:g} seconds"
