"""Doubt: what Exchange's message trace says of a transaction whose final reply was lost.

Pure. A final reply answers for all recipients of its transaction (RFC 5321 section 4.2.5
speaks of "the message"), so one that is shown answers for the others, whom the trace may
know by another address: it names mailboxes, not aliases. The mail has not arrived only when
the trace shows nothing at all that could be it, asked late enough. Whatever could be read
two ways is left for people.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from relay.identity.message_trace import Found, Traced

LEAST_S = 60.0
"""Between two questions about a mail."""
BEFORE_S = 4_200.0
"""The window of a question begins so long before the loss was noticed: 10 minutes of silence behind the final dot
(`route.data_timeout`), and an hour by which the clocks may differ."""
AFTER_S = 3_600.0
"""And ends so long behind it."""
OLDEST_S = 80 * 86_400.0
"""The trace keeps 90 days."""


@dataclass(frozen=True, slots=True)
class There:
    """It has arrived; `statuses` says what Exchange did with it, for those recipients that are shown."""

    statuses: dict[bytes, str]


@dataclass(frozen=True, slots=True)
class Absent:
    """It has not."""


@dataclass(frozen=True, slots=True)
class Unclear:
    """Nobody can tell from that."""

    why: str


@dataclass(frozen=True, slots=True)
class NotYet:
    """It may still come to be shown."""

    why: str


Finding = There | Absent | Unclear | NotYet


def judge(
    found: Found, ours: Sequence[bytes], others: Collection[bytes], *, is_late: bool, has_namesake: bool
) -> Finding:
    """What the trace's answer says of the recipients `ours` of one transaction.

    `others` are the mail's other recipients, `is_late`: it was asked when what had arrived would be shown,
    `has_namesake`: another mail with this Message-ID was taken by us in these days.
    """
    if not found.rows and found.is_whole:
        return Absent() if is_late else NotYet("the trace does not show it yet")
    if has_namesake:
        return Unclear(
            "another mail has the same Message-ID, and the trace does not say which of them it shows"
        )
    known = {_plain(address): address for address in ours}
    statuses = {known[row.recipient]: row.status for row in found.rows if row.recipient in known}
    if statuses:
        return There(statuses)
    strangers = _strangers(found.rows, others)
    if not found.is_whole or strangers:
        names = ", ".join(strangers[:3])
        why = f"the trace shows the mail for others ({names}), which may be these by another name"
        return Unclear(why) if is_late else NotYet(why)
    # Other transactions of the same mail have arrived; this one is not among them.
    return Absent() if is_late else NotYet("the trace does not show it for these recipients yet")


def next_question(sent_at: float, asked_at: float, first_s: float, absent_after_s: float) -> float:
    """When to ask (again): at first soon, then at twice the age each time, and surely when absence counts.

    `asked_at` 0: it was not asked about yet.
    """
    if not asked_at:
        return sent_at + first_s
    late_at = sent_at + absent_after_s
    doubled = sent_at + 2 * (asked_at - sent_at)
    at = max(doubled, asked_at + LEAST_S)
    return max(late_at, asked_at + LEAST_S) if asked_at < late_at < at else at


def _strangers(rows: Sequence[Traced], others: Collection[bytes]) -> list[str]:
    known = {_plain(address) for address in others}
    return list(dict.fromkeys(row.recipient for row in rows if row.recipient not in known))


def _plain(address: bytes) -> str:
    return address.decode("utf-8", "replace").lower()
