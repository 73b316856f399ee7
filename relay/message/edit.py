"""Edits of a header: some bytes go, others take their place, all the rest stays as it came.

A header is never parsed and written anew: folds, comments, order, case and white space are
the sender's, and a signature may cover them.
"""

from collections.abc import Sequence
from typing import NamedTuple

from relay._fastpath import HeaderScan


class Edit(NamedTuple):
    """content[start:end] becomes `text`."""

    start: int
    end: int
    text: bytes = b""


def field_span(scan: HeaderScan, index: int) -> tuple[int, int]:
    """A whole field: from its name to the end of its last line, CRLF included."""
    following = index + 1
    end = scan.field(following)[0] if following < len(scan) else scan.fields_end
    return scan.field(index)[0], end


def apply(content: bytearray, edits: Sequence[Edit]) -> None:
    """Make the edits in place; they do not overlap, and stand in any order.

    The changed part is built once and put back once: a header of 1,000 fields that all go
    would else move the content behind them 1,000 times.
    """
    if not edits:
        return
    ordered = sorted(edits)
    pieces: list[bytes | bytearray] = []
    at = ordered[0].start
    for edit in ordered:
        pieces += (content[at : edit.start], edit.text)
        at = edit.end
    content[ordered[0].start : at] = b"".join(pieces)
