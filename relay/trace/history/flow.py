"""Mail flow of a time: how many were accepted and what became of them, by hour, sender, route, campaign, outcome.

Counted from the rows at the moment of the question, some 3 seconds a million mails; there is
no second book that could say something else.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from heapq import nlargest
from typing import TypeVar

from msgspec import Struct

from relay.errors import ProtocolError
from relay.m365.classify import classify
from relay.m365.row import Row
from relay.smtp.reply import ReplyReader
from relay.trace.history.database import Connection
from relay.trace.history.reply_text import GAP, joined, shown
from relay.trace.history.rows import id_at
from relay.trace.history.state import State

TOP = 10
"""Of senders, routes and campaigns; and of refusals."""
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
UNKNOWN = 0
"""As a sender: of a mail of which only steps are known."""


class Count(Struct):
    """One line of a part of the report."""

    name: str
    mails: int
    size: int = 0


class Hour(Struct):
    """One hour."""

    at: float
    """Its beginning, seconds since the epoch."""
    accepted: int = 0
    delivered: int = 0
    deferred: int = 0
    held: int = 0
    failed: int = 0


class Refusal(Struct):
    """A reply that mail was put off, held or given up for."""

    reply: str
    times: int
    recipients: int
    meaning: str = ""
    advice: str = ""
    last_at: float = 0.0


class Flow(Struct):
    """The report."""

    since: float
    until: float
    mails: int
    size: int
    hours: list[Hour]
    outcomes: list[Count]
    """Of the recipients of the mails that were accepted in that time, as they stand now."""
    senders: list[Count]
    routes: list[Count]
    """Recipients delivered."""
    campaigns: list[Count]
    refusals: list[Refusal]


@dataclass(frozen=True, slots=True)
class Span:
    """A time, milliseconds since the epoch."""

    since_ms: int
    until_ms: int

    def days(self) -> Iterator["Span"]:
        """In pieces of a day at most, in order."""
        for since_ms in range(self.since_ms, self.until_ms + 1, DAY_MS):
            yield Span(since_ms, min(since_ms + DAY_MS - 1, self.until_ms))

    @property
    def ids(self) -> tuple[int, int]:
        """Of the mails accepted in it."""
        return id_at(self.since_ms), id_at(self.until_ms + 1) - 1


def flow(connection: Connection, span: Span, done: Callable[[float], object] = lambda _: None) -> Flow:
    """What the history says of that time; `done` is told the part that is counted, 0 to 1, after each day."""
    mails, steps, states = _Mails(), Steps(), Counter[int]()
    days = list(span.days())
    for number, day in enumerate(days, 1):
        mails.count(connection, day)
        # From the index alone. Counted here: grouping sorts all rows first, which takes several times as long.
        steps.update(
            connection.execute(
                f"SELECT time / {HOUR_MS}, event, route FROM steps WHERE time BETWEEN ? AND ?",
                (day.since_ms, day.until_ms),
            )
        )
        states.update(
            state
            for (state,) in connection.execute(
                "SELECT state FROM recipients WHERE mail BETWEEN ? AND ?", day.ids
            )
        )
        done(number / len(days))
    return Flow(
        since=span.since_ms / 1000,
        until=span.until_ms / 1000,
        mails=sum(mails.hours.values()),
        size=mails.size,
        hours=_hours(span, mails.hours, steps),
        outcomes=[Count(State(state).word, number) for state, number in states.most_common()],
        senders=[
            Count(_name(connection, "SELECT address FROM people WHERE id = ?", sender) or "<>", *numbers)
            for sender, numbers in _top(mails.senders)
        ],
        routes=[
            Count(_name(connection, "SELECT name FROM names WHERE id = ?", route), number)
            for route, number in _delivered(steps).most_common(TOP)
        ],
        campaigns=[Count(str(campaign), *numbers) for campaign, numbers in _top(mails.campaigns)],
        refusals=_refusals(connection, (span.since_ms, span.until_ms)),
    )


class _Mails:
    """Sums over mails; numbers of senders and names of campaigns, each with how many and how large."""

    def __init__(self) -> None:
        self.size = 0
        self.hours: Counter[int] = Counter()
        self.senders: dict[int | None, list[int]] = {}
        self.campaigns: dict[str, list[int]] = {}

    def count(self, connection: Connection, span: Span) -> None:
        """Those that were accepted in that time."""
        for row in connection.execute(
            f"SELECT accepted / {HOUR_MS}, CASE WHEN priority IS NULL THEN {UNKNOWN} ELSE sender END, campaign, size "
            "FROM mails NOT INDEXED WHERE id BETWEEN ? AND ?",
            span.ids,
        ):
            self._add(*row)

    def _add(self, hour: int, sender: int | None, campaign: str | None, size: int) -> None:
        self.size += size
        self.hours[hour] += 1
        if sender != UNKNOWN:
            sums = self.senders.setdefault(sender, [0, 0])
            sums[0] += 1
            sums[1] += size
        if campaign is not None:
            sums = self.campaigns.setdefault(campaign, [0, 0])
            sums[0] += 1
            sums[1] += size


Key = TypeVar("Key")
Steps = Counter[tuple[int, int, int | None]]
"""By hour, event and route."""


def _top(sums: dict[Key, list[int]]) -> list[tuple[Key, list[int]]]:
    return nlargest(TOP, sums.items(), key=lambda item: item[1][0])


def _delivered(steps: Steps) -> Counter[int | None]:
    routes: Counter[int | None] = Counter()
    for (_, event, route), number in steps.items():
        if event == State.DELIVERED:
            routes[route] += number
    return routes


def _name(connection: Connection, select: str, number: int | None) -> str:
    row = connection.execute(select, (number,)).fetchone()
    return "" if row is None else str(row[0])


def _hours(span: Span, accepted: Counter[int], steps: Steps) -> list[Hour]:
    """Every hour of the span, empty ones too."""
    first = span.since_ms // HOUR_MS
    hours = [Hour(at * HOUR_MS / 1000) for at in range(first, span.until_ms // HOUR_MS + 1)]
    for hour, number in accepted.items():
        if 0 <= hour - first < len(hours):
            hours[hour - first].accepted = number
    for (hour, event, _), number in steps.items():
        word = State.FAILED.word if event == State.EXPIRED else State(event).word
        if word in ("delivered", "deferred", "held", "failed"):
            setattr(hours[hour - first], word, getattr(hours[hour - first], word) + number)
    return hours


def _refusals(connection: Connection, times: tuple[int, int]) -> list[Refusal]:
    """The most frequent, with their meaning where the catalogue knows it."""
    rows = connection.execute(
        "SELECT t.text, parts, n, people, last FROM (SELECT text AS number, max(parts) AS parts, count(*) AS n, "
        "count(DISTINCT person) AS people, max(time) AS last FROM steps WHERE time BETWEEN ? AND ? "
        f"AND event IN ({State.DEFERRED:d}, {State.HELD:d}, {State.FAILED:d}, {State.EXPIRED:d}) "
        "GROUP BY text ORDER BY n DESC LIMIT ?) JOIN texts t ON t.id = number ORDER BY n DESC",
        (*times, TOP),
    )
    found = []
    for text, parts, number, people, last in rows:
        whole = joined(text, parts or "")
        row = meaning(whole)
        found.append(
            Refusal(
                reply=shown(text) if text != GAP else whole,
                times=number,
                recipients=people,
                meaning="" if row is None else row.meaning,
                advice="" if row is None else row.advice,
                last_at=last / 1000,
            )
        )
    return found


def meaning(reply: str) -> Row | None:
    """What the catalogue knows of a reply that stands in the history; None: nothing, or it was none."""
    if not reply[:3].isdigit():
        return None
    reader = ReplyReader()
    try:
        replies = reader.feed(reply.replace("\n", " ").encode("utf-8", "surrogateescape") + b"\r\n")
    except ProtocolError:
        return None
    return classify(replies[0]) if replies else None
