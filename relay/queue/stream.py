"""A stream: mail that flows together in a walk, by whom it takes turns and when it may go."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from relay.budget.course import LITTLE
from relay.message.priority import Priority
from relay.queue.situation import Backlog, Errand, Kind
from relay.route.hours import Hours, ZoneOf, next_span


@dataclass(slots=True, eq=False)
class Stream:
    """Of one backlog, or of what is asked for."""

    senders: tuple[int, ...]
    """Of its lane: those that share them share them in turns."""
    priority: Priority
    left: float
    kind: Kind
    from_s: float
    client: str
    weight: int
    campaign: str
    campaign_weight: int
    hours: tuple[Hours, ...]
    is_asked_for: bool = False
    opens_s: float = 0.0
    """It goes from then to `closes_s`: the hours it is in, or the next ones."""
    closes_s: float = inf

    @staticmethod
    def of(each: Backlog | Errand) -> "Stream":
        """As it begins."""
        return Stream(
            each.senders, Priority(each.priority), each.mails, each.kind, each.from_s, each.client, each.weight,
            each.campaign, each.campaign_weight, each.hours, isinstance(each, Errand),
        )  # fmt: skip

    def flows(self, at: float) -> bool:
        """Whether some of it may go then."""
        return (
            self.left > LITTLE
            and self.from_s <= at + LITTLE
            and self.opens_s <= at + LITTLE
            and at + LITTLE < self.closes_s
        )

    def next_change(self, at: float) -> float:
        """When it begins or pauses."""
        if self.left <= LITTLE:
            return inf
        moments = (self.from_s, self.opens_s, self.closes_s)
        return min((moment for moment in moments if moment > at + LITTLE), default=inf)


class Calendar:
    """Of one walk: the hours of all its streams, looked up once for each of them."""

    def __init__(self, began_at: float, zone_of: ZoneOf) -> None:
        """`began_at`: seconds since the epoch."""
        self._began_at = began_at
        self._zone_of = zone_of
        self._spans: dict[tuple[Hours, ...], tuple[float, float]] = {}

    def turn_to(self, at: float, streams: Sequence[Stream]) -> bool:
        """Each of them knows the hours it is in, or the next ones; True: these are others than before."""
        is_changed = False
        for stream in streams:
            if stream.hours and stream.left > LITTLE and (stream.closes_s <= at + LITTLE or not at):
                stream.opens_s, stream.closes_s = self._span(at, stream.hours)
                is_changed = True
        return is_changed

    def _span(self, at: float, hours: tuple[Hours, ...]) -> tuple[float, float]:
        found = self._spans.get(hours)
        if found is None or found[1] <= at + LITTLE:
            # A microsecond on: what ends just now is over.
            span = next_span(hours, self._began_at + at + 2 * LITTLE, self._zone_of)
            found = (inf, inf) if span is None else (span[0] - self._began_at, span[1] - self._began_at)
            self._spans[hours] = found
        return found


def portions(streams: Sequence[Stream]) -> list[tuple[Stream, float]]:
    """What each has of the flow of its priority: lanes alike, clients and their campaigns by weight, the oldest first."""
    if len(streams) == 1:
        return [(streams[0], 1.0)]
    lanes: dict[tuple[int, ...], dict[str, dict[str, list[Stream]]]] = {}
    for each in streams:
        clients = lanes.setdefault(each.senders, {})
        clients.setdefault(each.client, {}).setdefault(each.campaign, []).append(each)
    found: list[tuple[Stream, float]] = []
    for clients in lanes.values():
        weights = {name: max(_first(campaigns).weight, 1) for name, campaigns in clients.items()}
        of_all = len(lanes) * sum(weights.values())
        for name, campaigns in clients.items():
            whole = sum([alike[0].campaign_weight for alike in campaigns.values()])
            for alike in campaigns.values():
                part = weights[name] / of_all * alike[0].campaign_weight / whole
                found += _in_order(alike, part)
    return found


def _first(campaigns: dict[str, list[Stream]]) -> Stream:
    return next(iter(campaigns.values()))[0]


def _in_order(alike: list[Stream], part: float) -> list[tuple[Stream, float]]:
    """What was there before goes first."""
    before = [each for each in alike if not each.is_asked_for]
    if not before:
        return [(each, part) for each in alike]
    total = sum([each.left for each in before])
    return [(each, part * each.left / total) for each in before]
