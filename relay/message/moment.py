"""A moment as an application writes it into a field: in so much time, or a date.

    2h    1h30m    90s    3d
    2026-11-26T18:00:00+01:00            RFC 3339
    Thu, 26 Nov 2026 18:00:00 +0100      RFC 5322, as in Date

A date without its offset is none: the application's time zone is not ours. Read strictly,
since a guess would send a mail at another hour than its writer meant, and nobody would
learn why.
"""

import re
from datetime import UTC, datetime, timedelta, timezone

from msgspec import Struct

UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
MAX_CHARACTERS = 64
"""The longest date has some 40, with a comment."""


class Moment(Struct, frozen=True):
    """As it was written."""

    seconds: float
    """Since the epoch; from when the mail came, where it is relative."""
    is_relative: bool = False

    def at(self, now: float) -> float:
        """Seconds since the epoch, of a mail that comes now."""
        return now + self.seconds if self.is_relative else self.seconds


def parse_moment(text: str) -> Moment | None:
    """What it says; None: it is no moment."""
    text = text.strip()
    if not text or len(text) > MAX_CHARACTERS:
        return None
    if _RELATIVE.fullmatch(text):
        parts = _PART.findall(text)
        return Moment(float(sum(int(number) * UNITS_S[unit] for number, unit in parts)), is_relative=True)
    found = _rfc3339(text) or _rfc5322(text)
    return None if found is None else Moment(found.timestamp())


def _rfc3339(text: str) -> datetime | None:
    # Section 5.6 allows a space or a small letter for the T.
    if not _RFC3339.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text.upper())
    except ValueError:
        return None


def _rfc5322(text: str) -> datetime | None:
    found = _RFC5322.fullmatch(text)
    if found is None:
        return None
    day, month, year, hour, minute, second, zone = found.groups()
    try:
        return datetime(
            int(year),
            _MONTHS[month.lower()],
            int(day),
            int(hour),
            int(minute),
            int(second or 0),
            0,
            _zone(zone),
        )
    except ValueError:
        return None


def _zone(text: str) -> timezone:
    if not text.startswith(("+", "-")):
        return UTC
    if int(text[3:]) > 59:
        raise ValueError(f"no offset: {text}")
    offset = timedelta(hours=int(text[1:3]), minutes=int(text[3:]))
    return timezone(-offset if text.startswith("-") else offset)


# Each unit once at most, the larger first: "1h 30m" and no "30m1h", which may be a slip.
_RELATIVE = re.compile(r"(?=\d)(?:\d{1,6}d\s*)?(?:\d{1,6}h\s*)?(?:\d{1,6}m\s*)?(?:\d{1,9}s)?", re.ASCII)
_PART = re.compile(r"(\d+)([dhms])", re.ASCII)
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)
_MONTHS = {
    name: number
    for number, name in enumerate(
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], start=1
    )
}
_RFC5322 = re.compile(
    r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)\s*,\s*)?(\d{1,2})\s+"
    r"(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\s+(\d{4})\s+"
    r"(\d\d):(\d\d)(?::(\d\d))?\s+([+-]\d{4}|GMT|UTC|UT)(?:\s*\([^()]*\))?",
    re.ASCII | re.IGNORECASE,
)
