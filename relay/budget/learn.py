"""Learning a limit nobody publishes: additive increase, multiplicative decrease.

A reply that says "too much" lowers the count at once, by a factor; once for all the
replies that were on their way when it was lowered. Time without such a reply, while
the count was what held us back, raises it by a step. It never leaves its range.

Every change is a value with the reply that caused it: the caller logs it and sets
the count (`Ledger.set_count`, `Connections.set_cap`). What was learnt is kept in rows.
Times are ledger time.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from relay.budget.limit import SECOND_US, Place
from relay.budget.row import LEARNT, Row, learnt_key, number, read_number


@dataclass(frozen=True, slots=True)
class LearnOptions:
    """The range and the pace of one learnt limit. ValueError for one that means nothing."""

    least: int
    most: int
    start: int
    step: int = 1
    factor: float = 0.5
    """What is left of the count after a refusal."""
    calm_s: int = 60
    """So long without a refusal, and used to the full, raises the count by a step."""
    echo_s: int = 10
    """Refusals that come so soon after a decrease are echoes of it: they were under way."""

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.start <= self.most:
            raise ValueError(
                f"1 <= {self.least} (least) <= {self.start} (start) <= {self.most} (most) does not hold"
            )
        if self.step < 1 or not 0 < self.factor < 1 or self.calm_s < 1 or self.echo_s < 0:
            raise ValueError("a step is at least 1, a factor between 0 and 1, calm at least 1 s")


@dataclass(frozen=True, slots=True)
class Learnt:
    """A count has changed, and why."""

    place: Place
    before: int
    after: int
    reply: str


@dataclass(slots=True)
class _State:
    count: int
    changed_at: int
    """When it was last raised or a refusal was heeded; else when it began."""
    was_lowered: bool = False


class Learning:
    """Learnt counts by place."""

    def __init__(self) -> None:
        self._states: dict[Place, _State] = {}
        self._restored: dict[bytes, int] = {}
        self._changed: dict[Place, None] = {}

    def count(self, place: Place, options: LearnOptions, now: int) -> int:
        """What is believed now."""
        return self._state(place, options, now).count

    def refused(self, place: Place, options: LearnOptions, now: int, reply: str) -> Learnt | None:
        """The next hop said it was too much; None: already as low as it gets, or an echo."""
        state = self._state(place, options, now)
        if state.was_lowered and now < state.changed_at + options.echo_s * SECOND_US:
            return None
        lower = max(options.least, min(state.count - 1, int(state.count * options.factor)))
        state.changed_at, state.was_lowered = now, True
        return self._change(place, state, lower, reply)

    def accepted(self, place: Place, options: LearnOptions, now: int, used: int, reply: str) -> Learnt | None:
        """The next hop took a mail while `used` of the count was in use; None: nothing to raise."""
        state = self._state(place, options, now)
        if used < state.count or now < state.changed_at + options.calm_s * SECOND_US:
            return None
        state.changed_at, state.was_lowered = now, False
        return self._change(place, state, min(options.most, state.count + options.step), reply)

    def changes(self) -> list[Row]:
        """Rows that changed since the last call; losing them costs only what was learnt."""
        rows: list[Row] = [(learnt_key(place), number(self._states[place].count)) for place in self._changed]
        self._changed.clear()
        return rows

    def restore(self, rows: Iterable[Row]) -> None:
        """Begin with what an earlier process learnt. ValueError for a row that cannot be read."""
        for key, value in rows:
            if key.startswith(LEARNT) and value is not None:
                self._restored[key] = read_number(value)

    def _state(self, place: Place, options: LearnOptions, now: int) -> _State:
        state = self._states.get(place)
        if state is None:
            count = self._restored.pop(learnt_key(place), options.start)
            state = self._states[place] = _State(min(max(count, options.least), options.most), now)
        return state

    def _change(self, place: Place, state: _State, count: int, reply: str) -> Learnt | None:
        before, state.count = state.count, count
        if before == count:
            return None
        self._changed[place] = None
        return Learnt(place, before, count, reply)
