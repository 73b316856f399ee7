"""Which row of the catalogue a reply is: the most specific one that matches.

Text counts more than the enhanced code, that more than the code, that more than the
stage; exact more than a range. Among rows alike in that, the one with the longest
matching text wins, then the one whose text stands first. No two rows can be left,
unless they share a text: a test holds that they do not.
"""

from collections.abc import Iterable
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
    return most_specific(_BY_CODE.get(reply.code, _OF_ANY_CODE), reply, stage)


def explain(reply: Reply, stage: Stage | None = None) -> str:
    """The reply for people, with the next step where the catalogue knows one."""
    row = classify(reply, stage)
    return str(reply) if row is None else f"{reply} ({row.advice})"


def most_specific(patterns: Iterable[Pattern], reply: Reply, stage: Stage | None) -> Row | None:
    """The row of the best of these patterns, in whatever order they come."""
    text = " ".join(reply.lines).lower()
    prefix, _, detail = (reply.enhanced or _enhanced_of(text)).rpartition(".")
    number = int(detail) if detail.isascii() and detail.isdigit() else -1
    best: Row | None = None
    best_key: tuple[Rank, tuple[int, int]] | None = None
    for pattern in patterns:
        place = _match(pattern, reply.code, prefix, number, text, stage)
        if place is None:
            continue
        key = (pattern.rank, place)
        if best_key is None or key > best_key:
            best, best_key = pattern.row, key
    return best


def pattern_of(row: Row) -> Pattern:
    """A row, ready for matching."""
    ranges = tuple(_range_of(pattern) for pattern in row.enhanced)
    exactness = 0 if not ranges else 1 if any(first != last for _, first, last in ranges) else 2
    code_exactness = {0: 0, 1: 2}.get(len(row.codes), 1)
    rank = (bool(row.texts), exactness, code_exactness, bool(row.stages))
    return Pattern(row, ranges, tuple(text.lower() for text in row.texts), rank)


def _match(
    pattern: Pattern, code: int, prefix: str, number: int, text: str, stage: Stage | None
) -> tuple[int, int] | None:
    """Length and place of the text that matched, greater for the better; None: another reply."""
    row = pattern.row
    if row.codes and code not in row.codes:
        return None
    for start, first, last in pattern.ranges:
        if start == prefix and first <= number <= last:
            break
    else:
        if pattern.ranges:
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


def _enhanced_of(text: str) -> str:
    """Exchange mixes classes, as in `554 4.3.2 mailbox busy`: what the reply's reader leaves in the text."""
    word = text.partition(" ")[0].rstrip(";:,")
    numbers = word.split(".")
    is_code = len(numbers) == 3 and all(n.isascii() and n.isdigit() and len(n) <= 3 for n in numbers)
    return word if is_code else ""


PATTERNS = tuple(pattern_of(row) for row in ROWS)

# Indexed by code: 120 patterns take 30 to 70 µs, those of one code a few.
_OF_ANY_CODE = tuple(pattern for pattern in PATTERNS if not pattern.row.codes)
_BY_CODE = {
    code: tuple(pattern for pattern in PATTERNS if not pattern.row.codes or code in pattern.row.codes)
    for code in {code for row in ROWS for code in row.codes}
}
