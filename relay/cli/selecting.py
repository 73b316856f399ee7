"""Selections, times and moments as people write them on a command line."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import typer

from relay.config.value import size_bytes, time_s
from relay.spool.selection import Selection


def selection_of(
    ids: Sequence[str] | None,
    sender: str,
    recipient: str,
    route: str,
    campaign: str,
    priority: str,
    older_than: str,
    reply: str,
    status: str,
    *,
    all: bool,
) -> Selection:
    """What the options select; wrong usage is said by whoever uses it."""
    age_s = seconds_of(older_than, "--older-than") if older_than else 0.0
    return Selection(
        tuple(each.lower() for each in ids or ()),
        sender,
        recipient,
        route,
        campaign,
        priority,
        age_s,
        reply,
        status,
        all,
    )


def seconds_of(text: str, option: str) -> float:
    """Of `30m` or `2d`; BadParameter."""
    try:
        seconds = time_s(text)
    except ValueError as error:
        raise typer.BadParameter(f'"{text}": {error}', param_hint=option) from None
    assert isinstance(seconds, float)
    return seconds


def bytes_of(text: str, option: str) -> int:
    """Of `20KiB` or `2MB`; BadParameter."""
    try:
        size = size_bytes(text)
    except ValueError as error:
        raise typer.BadParameter(f'"{text}": {error}', param_hint=option) from None
    assert isinstance(size, int)
    return size


def moment_of(text: str, now: datetime, option: str) -> datetime:
    """Of `2026-11-26 06:00`, `2026-11-26T06:00+01:00`, or `06:00`, the next one of the day; BadParameter.

    `now` has a time zone: what says none is of that one.
    """
    try:
        moment = _moment(text.strip(), now)
    except ValueError:
        raise typer.BadParameter(
            f'"{text}" is no moment; write "2026-11-26 06:00", or "06:00" for the next one', param_hint=option
        ) from None
    if moment <= now:
        raise typer.BadParameter(f"{moment:%Y-%m-%d %H:%M:%S} is over already", param_hint=option)
    return moment


def _moment(text: str, now: datetime) -> datetime:
    if len(text) <= len("06:00:00") and ":" in text:
        at = datetime.combine(now.date(), datetime.strptime(text, "%H:%M").time(), now.tzinfo)
        return at if at > now else at + timedelta(days=1)
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=now.tzinfo)
