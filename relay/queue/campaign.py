"""A campaign as it runs: how far it is, when it will be done, and how good that was foreseen.

Its mail names it (X-Relay-Campaign), so the names are the applications': as many are kept
as `CAMPAIGNS_MAX`, and of those that are done the one that ended longest ago makes room.
What waits and what is held is counted anew at each start, of the mails in the spool; what
has left the spool is kept in a row. Times are seconds since the epoch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import msgspec
from msgspec import Struct

from relay.budget.row import CAMPAIGN, MAX_KEY_BYTES, Row

CAMPAIGNS_MAX = 64
"""Campaigns at a time. More is a campaign for each mail, and none of them one."""
LEAST = 100
"""Recipients; what is smaller is over before somebody asks, and is neither foreseen nor kept on the disk."""
GROWN = 1.05
"""Mail that still comes is no error of the forecast: by so much more, the first one is made anew."""
LANES_MAX = 16
"""Lanes whose part is known; of a campaign by more routes and pools, the first ones stand for all."""


@dataclass(slots=True)
class Standing:
    """How many recipients stand so."""

    waiting: int = 0
    delivered: int = 0
    held: int = 0
    failed: int = 0
    cancelled: int = 0

    def add(self, other: "Standing", sign: int = 1) -> None:
        """Some more, or fewer."""
        self.waiting += sign * other.waiting
        self.delivered += sign * other.delivered
        self.held += sign * other.held
        self.failed += sign * other.failed
        self.cancelled += sign * other.cancelled

    @property
    def total(self) -> int:
        """All that came."""
        return self.waiting + self.held + self.done

    @property
    def done(self) -> int:
        """Of whom something became."""
        return self.delivered + self.failed + self.cancelled


class Kept(Struct, frozen=True, array_like=True):
    """What of a campaign survives a restart, as it lies in the spool."""

    name: str
    began_at: float
    last_at: float
    mails: int
    size: int
    delivered: int
    failed: int
    cancelled: int
    priority: int
    ended_at: float = 0.0
    first_done_at: float = 0.0
    first_made_at: float = 0.0
    first_total: int = 0
    first_part: float = 0.0


@dataclass(slots=True, eq=False)
class Campaign:
    """One."""

    name: str
    began_at: float
    """When its first mail came."""
    last_at: float = 0.0
    """When its last one came."""
    mails: int = 0
    size: int = 0
    """Bytes of all its mails."""
    priority: int = 1
    """Of the mail that came last."""
    standing: Standing = field(default_factory=Standing)
    client: str = ""
    """Whose mail came last: campaigns take turns within their client."""
    lanes: dict[object, int] = field(default_factory=dict)
    """By lane, how many recipients came for it."""
    ended_at: float = 0.0
    """0: it runs."""
    made_at: float = 0.0
    """When the forecast was made; 0: not yet."""
    done_at: float | None = None
    """When it will be done; None: nobody knows, `trouble` says why."""
    trouble: str = ""
    first_made_at: float = 0.0
    first_done_at: float = 0.0
    """As it was foreseen first, and by then."""
    first_total: int = 0
    first_part: float = 0.0
    """How much of it was done then."""
    known_until: float = 0.0
    """Mails that came until then are counted in its row."""
    is_written: bool = True

    @property
    def is_over(self) -> bool:
        """Nothing of it waits; what is held waits for somebody."""
        return not self.standing.waiting

    @property
    def is_worth_it(self) -> bool:
        """Large enough to be foreseen and kept."""
        return self.standing.total >= LEAST

    @property
    def error(self) -> float | None:
        """How much later (or earlier, below 0) it is done than was foreseen first, as part of its time; None: not known."""
        end = self.ended_at or self.done_at
        if not self.first_done_at or not end:
            return None
        return (end - self.first_done_at) / max(1.0, end - self.began_at)

    def foresee(self, done_at: float | None, trouble: str, now: float) -> None:
        """A forecast was made."""
        self.made_at, self.done_at, self.trouble = now, done_at, trouble
        total = self.standing.total
        if done_at is not None and (not self.first_made_at or total > GROWN * self.first_total):
            self.first_made_at, self.first_done_at, self.first_total = now, done_at, total
            self.first_part = self.standing.done / max(1, total)
            self.is_written = False

    def came(self, lane: object, recipients: int) -> None:
        """More of it for that lane."""
        if lane in self.lanes or len(self.lanes) < LANES_MAX:
            self.lanes[lane] = self.lanes.get(lane, 0) + recipients

    def row(self) -> Row:
        """As it lies in the spool."""
        standing = self.standing
        kept = Kept(
            self.name, self.began_at, self.last_at, self.mails, self.size, standing.delivered, standing.failed,
            standing.cancelled, self.priority, self.ended_at, self.first_done_at, self.first_made_at, self.first_total,
            self.first_part,
        )  # fmt: skip
        return row_key(self.name), _encode(kept)


class Campaigns:
    """Those that are known."""

    def __init__(self) -> None:
        self._all: dict[str, Campaign] = {}
        self.forgotten: list[Campaign] = []
        """Whose rows are to go."""
        self.passed_over = 0
        """Mails of campaigns there was no room for."""

    def __iter__(self) -> Iterator[Campaign]:
        return iter(self._all.values())

    def get(self, name: str) -> Campaign | None:
        """That of a name."""
        return self._all.get(name)

    def of(self, name: str, now: float) -> Campaign | None:
        """That of a name, a new one when there is none; None: there is no room."""
        found = self._all.get(name)
        if found is not None:
            return found
        if len(self._all) >= CAMPAIGNS_MAX and not self._make_room():
            self.passed_over += 1
            return None
        found = self._all[name] = Campaign(name, now)
        return found

    def _make_room(self) -> bool:
        over = [each for each in self._all.values() if each.is_over and not each.standing.held]
        if not over:
            return False
        # Small ones first: a campaign that somebody may ask for stays longest.
        oldest = min(over, key=lambda each: (each.is_worth_it, each.ended_at or each.last_at))
        del self._all[oldest.name]
        self.forgotten.append(oldest)
        return True

    def restore(self, rows: Sequence[tuple[bytes, bytes]]) -> None:
        """What an earlier process left; a row that cannot be read costs its campaign's past."""
        for key, value in rows:
            if not key.startswith(CAMPAIGN) or len(self._all) >= CAMPAIGNS_MAX:
                continue
            try:
                kept = _decode(value)
            except msgspec.MsgspecError:
                continue
            standing = Standing(delivered=kept.delivered, failed=kept.failed, cancelled=kept.cancelled)
            self._all[kept.name] = Campaign(
                kept.name, kept.began_at, kept.last_at, kept.mails, kept.size, kept.priority, standing,
                ended_at=kept.ended_at, first_made_at=kept.first_made_at, first_done_at=kept.first_done_at,
                first_total=kept.first_total, first_part=kept.first_part, known_until=kept.last_at,
            )  # fmt: skip


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Kept).decode


def row_key(name: str) -> bytes:
    """Of its row."""
    return CAMPAIGN + name.encode("utf-8", "replace")[:MAX_KEY_BYTES]
