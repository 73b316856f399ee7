"""The quota of reports: so many to a sender in an hour; of what fails beyond, he gets one digest.

A window begins with a sender's first report and lasts an hour. When something is listed at
its end, a digest goes out and is the first report of the next window; else the window goes.

All of it lies in the spool, in rows (`relay.budget.row`) that are committed with the mail
they count, so that a restart neither forgets a failure nor begins the hour anew:

    05 77 <sender>               | the window
    05 65 <number: 8> <sender>   | one listed failure
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice

import msgspec
from msgspec import Struct

from relay.budget.row import MAX_KEY_BYTES, REPORT, Row
from relay.message.digest import Failure

WINDOW_S = 3600.0
LISTED_MAX = 100
"""Failures in one digest, some 20 KiB of text: who reads more, reads the log. The rest is counted."""
WINDOWS_MAX = 100_000
"""Senders told of within an hour. A campaign with a sender for each recipient has so many; 50 MB."""
_WINDOW = REPORT + b"w"
_LISTED = REPORT + b"e"
_NAME_MAX = MAX_KEY_BYTES - len(_LISTED) - 8


class _Kept(Struct, frozen=True, array_like=True):
    """A window as it lies in the spool."""

    sender: bytes
    """As it was first written; the key has it in lower case."""
    began_at: float
    reports: int
    beyond: int


@dataclass(slots=True)
class _Window:
    sender: bytes
    began_at: float
    reports: int = 0
    beyond: int = 0
    """Failures that are not listed."""
    listed: dict[bytes, Failure] = field(default_factory=dict)
    """By the key of their row."""

    def is_over(self, now: float) -> bool:
        """Also when the clock was set back: nobody shall wait for longer than an hour."""
        return not self.began_at <= now < self.began_at + WINDOW_S

    @property
    def owes(self) -> bool:
        """There is something for a digest."""
        return bool(self.listed) or self.beyond > 0


_encode = msgspec.msgpack.Encoder().encode
_decode_window = msgspec.msgpack.Decoder(_Kept).decode
_decode_failure = msgspec.msgpack.Decoder(Failure).decode


class Quota:
    """Of all senders."""

    def __init__(self, per_hour: int, rows: Iterable[tuple[bytes, bytes]] = ()) -> None:
        """`rows` are those of the spool, of whatever kind; what is damaged among ours is forgotten."""
        self._per_hour = per_hour
        self._windows: dict[bytes, _Window] = {}
        """The oldest first."""
        self._number = 0
        self._restore(rows)

    def report(self, sender: bytes, now: float) -> list[Row] | None:
        """One report more, with the rows that count it; None: no room."""
        name = _name(sender)
        window = self._windows.get(name)
        if window is not None and window.is_over(now) and not window.owes:
            del self._windows[name]
            window = None
        if window is None:
            if len(self._windows) >= WINDOWS_MAX:
                return None
            window = self._windows[name] = _Window(sender, now)
        if window.reports >= self._per_hour or window.is_over(now):
            return None
        window.reports += 1
        return [_row(name, window)]

    def enlist(self, sender: bytes, failure: Failure) -> list[Row] | None:
        """A failure for the digest, with the rows that keep it; None: there are too many senders."""
        name = _name(sender)
        window = self._windows.get(name)
        if window is None:
            return None
        if len(window.listed) >= LISTED_MAX:
            window.beyond += 1
            return [_row(name, window)]
        self._number += 1
        key = _LISTED + self._number.to_bytes(8, "big") + name
        window.listed[key] = failure
        return [(key, _encode(failure))]

    def ended(self, now: float, limit: int) -> tuple[list[bytes], list[Row]]:
        """Senders who are owed a digest now, and the rows of windows that are over and owe nothing."""
        owed: list[bytes] = []
        rows: list[Row] = []
        for name, window in list(islice(self._windows.items(), limit)):
            if not window.is_over(now):
                break
            if window.owes:
                owed.append(window.sender)
            else:
                del self._windows[name]
                rows.append((_WINDOW + name, None))
        return owed, rows

    def digest(self, sender: bytes, now: float) -> tuple[list[Failure], int, list[Row]]:
        """What its digest lists and counts; with its rows committed, a new window has begun."""
        name = _name(sender)
        window = self._windows.pop(name)
        fresh = self._windows[name] = _Window(window.sender, now, 1)
        rows: list[Row] = [(key, None) for key in window.listed]
        return list(window.listed.values()), window.beyond, [*rows, _row(name, fresh)]

    def postpone(self, sender: bytes, now: float) -> None:
        """His digest has no way to him now: it is tried again when another hour is over."""
        name = _name(sender)
        window = self._windows.pop(name)
        window.began_at = now
        self._windows[name] = window

    def _restore(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        listed: list[tuple[bytes, Failure]] = []
        windows: list[tuple[bytes, _Window]] = []
        for key, value in rows:
            try:
                if key.startswith(_WINDOW):
                    kept = _decode_window(value)
                    window = _Window(kept.sender, kept.began_at, kept.reports, kept.beyond)
                    windows.append((key.removeprefix(_WINDOW), window))
                elif key.startswith(_LISTED):
                    listed.append((key, _decode_failure(value)))
            except msgspec.MsgspecError:
                continue
        self._windows = dict(sorted(windows, key=lambda each: each[1].began_at))
        for key, failure in listed:
            name = key[len(_LISTED) + 8 :]
            # Its window may have been damaged: its first failure then begins one.
            window = self._windows.setdefault(name, _Window(name, failure.at, self._per_hour))
            window.listed[key] = failure
            self._number = max(self._number, int.from_bytes(key[len(_LISTED) : len(_LISTED) + 8], "big"))


def _name(sender: bytes) -> bytes:
    return sender.lower()[:_NAME_MAX]


def _row(name: bytes, window: _Window) -> Row:
    kept = _Kept(window.sender, window.began_at, window.reports, window.beyond)
    return _WINDOW + name, _encode(kept)
