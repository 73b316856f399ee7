"""Moments as people write them for a command: `2h` ago, or a date; and as they read them."""

from datetime import UTC, datetime

import typer

from relay.config.value import time_s


def ms_of(text: str, now: float) -> int:
    """Milliseconds since the epoch; typer.BadParameter says what may be written.

    A time without a zone is that of this machine, as in its log and on its clock.
    """
    try:
        seconds = time_s(text)
    except ValueError:
        seconds = None
    if isinstance(seconds, float):
        return int((now - seconds) * 1000)
    try:
        return int(datetime.fromisoformat(text).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f'{text!r}: write how long ago, such as "2h" or "3d", or a time, such as "2026-11-24" or "2026-11-24T10:30"'
        ) from None


def local(at: float) -> str:
    """For people: date and time of this machine's zone, to the second."""
    return datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M:%S")


def iso(at: float) -> str:
    """For programs: UTC, to the millisecond."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def length(seconds: float) -> str:
    """A time in few characters: 0.2 s, 45 s, 3 min, 5 h, 2 d."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
