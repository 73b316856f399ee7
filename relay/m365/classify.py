"""Which row of the catalogue a reply is: the most specific one that matches.

Text counts more than the enhanced code, that more than the code, that more than the
stage; exact more than a range. Among rows alike in that, the one with the longest
matching text wins, then the one whose text stands first. No two rows can be left,
unless they share a text: a test holds that they do not.
"""

from dataclasses import dataclass

from relay.m365.catalogue import ROWS
from relay.m365.row import Row, Stage
from relay.smtp.reply import Reply

Rank = tuple[bool, int, int, bool]
"""Has text; enhanced code exact, range, none; code exact, one of several, any; has a stage."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A row made ready for matching."""

    row: Row
    ranges: tuple[tuple[str, int, int], ...]
    """Class and subject with the first and last detail."""
    texts: tuple[str, ...]
    """Lower case."""
    rank: Rank


def classify(reply: Reply, stage: Stage | None = None) -> Row | None:
    """The row a negative reply is; None for what is not known, and for every 2yz and 3yz.

    `stage` is None where it is not known: then rows of one stage only do not match.
    """
    if reply.code < 400:
        return None
    text = " ".join(reply.lines).lower()
    enhanced = reply.enhanced or _enhanced_of(text)
    best: Row | None = None
    best_key: tuple[Rank, tuple[int, int]] | None = None
    for pattern in PATTERNS:
        place = _match(pattern, reply.code, enhanced, text, stage)
        if place is None:
            continue
        key = (pattern.rank, place)
        if best_key is None or key > best_key:
            best, best_key = pattern.row, key
    return best


def explain(reply: Reply, stage: Stage | None = None) -> str:
    """The reply for people, with the next step where the catalogue knows one."""
    row = classify(reply, stage)
    return str(reply) if row is None else f"{reply} ({row.advice})"


def pattern_of(row: Row) -> Pattern:
    """A row, ready for matching."""
    ranges = tuple(_range_of(pattern) for pattern in row.enhanced)
    exactness = 0 if not ranges else 1 if any(first != last for _, first, last in ranges) else 2
    code_exactness = {0: 0, 1: 2}.get(len(row.codes), 1)
    rank = (bool(row.texts), exactness, code_exactness, bool(row.stages))
    return Pattern(row, ranges, tuple(text.lower() for text in row.texts), rank)


def _match(
    pattern: Pattern, code: int, enhanced: str, text: str, stage: Stage | None
) -> tuple[int, int] | None:
    """Length and place of the text that matched, greater for the better; None: another reply."""
    row = pattern.row
    if row.codes and code not in row.codes:
        return None
    if pattern.ranges and not any(_is_in(enhanced, *range) for range in pattern.ranges):
        return None
    if row.stages and stage not in row.stages:
        return None
    if not pattern.texts:
        return 0, 0
    places = [(len(part), -at) for part in pattern.texts if (at := text.find(part)) != -1]
    return max(places, default=None)


def _range_of(pattern: str) -> tuple[str, int, int]:
    prefix, _, detail = pattern.rpartition(".")
    first, _, last = detail.partition("-")
    return prefix, int(first), int(last or first)


def _is_in(enhanced: str, prefix: str, first: int, last: int) -> bool:
    start, _, detail = enhanced.rpartition(".")
    return start == prefix and first <= int(detail) <= last


def _enhanced_of(text: str) -> str:
    """Exchange mixes classes, as in `554 4.3.2 mailbox busy`: what the reply's reader leaves in the text."""
    word = text.partition(" ")[0].rstrip(";:,")
    numbers = word.split(".")
    is_code = len(numbers) == 3 and all(n.isascii() and n.isdigit() and len(n) <= 3 for n in numbers)
    return word if is_code else ""


PATTERNS = tuple(pattern_of(row) for row in ROWS)
