"""A standing: how one limit stands at a moment, for whoever looks ahead.

What is held comes free in blocks, each evenly from its begin to its end, in seconds from
the moment. A small limit has one entry a send, a large one up to 2,049 grains; runs of
them are drawn together, so that a standing is small enough to travel and to be walked
through. Nothing is lost by that but where inside one send interval, or inside one grain,
a place comes free.
"""

from collections.abc import Sequence

from msgspec import Struct

from relay.budget.limit import DAY_S, DAY_US, SECOND_US, Limit, Scope, Unit
from relay.budget.window import Window

Block = tuple[float, float, float]
"""From when, until when, how much comes free in between, evenly; at once where the two are the same."""
BLOCKS_MAX = 64
"""What a day of a busy tenant needs, several times; a walk looks at each of them once."""
_ALIKE = 0.25
"""Rates that differ by less are drawn together."""


class Standing(Struct, frozen=True, omit_defaults=True):
    """One limit at one key."""

    scope: str
    key: str
    unit: str
    count: int
    """What is allowed at present; less than what is configured where it is learnt."""
    window_s: int
    since_midnight: bool = False
    open: int = 0
    """Of sends that are under way."""
    blocks: tuple[Block, ...] = ()
    """What is held, in the order in which it comes free."""
    paced_s: float = 0.0
    """Bulk does not go before; below 0, it is late by so much."""
    midnight_s: float = 0.0
    """When the day ends, of a limit since midnight."""
    ahead: tuple[int, ...] = ()
    """Of a ramp: what is allowed on each day after this one; the last number holds on."""
    grain_s: float = 0.0
    """What comes free does so at the ends of such parts of time."""

    @property
    def used(self) -> float:
        """Held and open together."""
        return self.open + sum(amount for _, _, amount in self.blocks)

    @property
    def limit(self) -> Limit:
        """The limit itself as it is today, for words about it."""
        scope, unit = Scope[self.scope.upper()], Unit[self.unit.upper()]
        return Limit(scope, unit, self.count, self.window_s, self.since_midnight, self.key)


def unused(limit: Limit, key: str, midnight_s: float = 0.0) -> Standing:
    """Of a limit of which nothing is used."""
    window = Window(limit)
    return _standing(window, key, (), 0, -window.interval_us / SECOND_US, midnight_s, ())


def standing_of(window: Window, key: str, now: int, ahead: tuple[int, ...] = ()) -> Standing:
    """As it is at `now` (ledger time), after `expire(now)`; `ahead` of its ramp."""
    entries = [
        ((release - now) / SECOND_US, float(amount))
        for release, amount in zip(window.releases, window.amounts, strict=True)
    ]
    midnight_s = 0.0
    if window.day_end_us >= 0:
        midnight_s = (DAY_US - (now - window.day_end_us) % DAY_US) / SECOND_US
    paced_s = max(window.paced_until - now, -window.interval_us) / SECOND_US
    return _standing(window, key, entries, window.open, paced_s, midnight_s, ahead)


def _standing(
    window: Window,
    key: str,
    entries: Sequence[tuple[float, float]],
    open: int,
    paced_s: float,
    midnight_s: float,
    ahead: tuple[int, ...],
) -> Standing:
    limit = window.limit
    grain_s = 0.0 if window.grain_us == 1 or limit.since_midnight else window.grain_us / SECOND_US
    if limit.since_midnight:
        blocks = [(at, at, amount) for at, amount in entries]
    elif grain_s:
        # What comes free at the end of a grain is used up by the next end.
        blocks = [(at, at + grain_s, amount) for at, amount in entries]
    else:
        blocks = _of_sends(entries, window.interval_us / SECOND_US)
    return Standing(
        limit.scope.name.lower(), key, limit.unit.name.lower(), window.count, limit.window_s, limit.since_midnight,
        open, tuple(drawn_together(blocks)), paced_s, midnight_s or (DAY_S if limit.since_midnight else 0.0), ahead,
        grain_s,
    )  # fmt: skip


def _of_sends(entries: Sequence[tuple[float, float]], interval_s: float) -> list[Block]:
    """A place that comes free an interval after the last one came free evenly since then; a burst at once."""
    blocks: list[Block] = []
    before = -interval_s
    for at, amount in entries:
        is_even = 0.5 * interval_s * amount <= at - before <= 1.5 * interval_s * amount
        blocks.append((max(0.0, before) if is_even else at, at, amount))
        before = at
    return blocks


def drawn_together(blocks: Sequence[Block]) -> list[Block]:
    """Neighbours that come free alike are one; at most BLOCKS_MAX."""
    found: list[Block] = []
    for block in blocks:
        if found and _are_alike(found[-1], block):
            begin, _, amount = found[-1]
            found[-1] = (begin, block[1], amount + block[2])
        else:
            found.append(block)
    each = -(-len(found) // BLOCKS_MAX)
    if each <= 1:
        return found
    groups = [found[start : start + each] for start in range(0, len(found), each)]
    return [(group[0][0], group[-1][1], sum(amount for _, _, amount in group)) for group in groups]


def _are_alike(one: Block, other: Block) -> bool:
    if other[0] - one[1] > 0.01:
        return False
    length, further = one[1] - one[0], other[1] - other[0]
    if not length or not further:
        return length == further
    rate, next_rate = one[2] / length, other[2] / further
    return abs(rate - next_rate) <= _ALIKE * max(rate, next_rate)
