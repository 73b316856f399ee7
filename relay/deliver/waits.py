"""Waits: who waits for what, and is told when it is over.

Gates and sidings that are closed until a moment have a timer each; those that only the
end of something under way can open ask again at each end; the others wait for a word of
whoever closed them (a probe, a proof, a suspension). Where a mail gives back what it was
charged, everybody who waits for that asks before his time.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial

from relay.budget.limit import Limit, Place
from relay.clock import Clock
from relay.deliver.gate import TIMER_SLACK_S, CallLater, Gate, Timer
from relay.deliver.heads import is_narrow
from relay.message.priority import Priority
from relay.queue.lane import Lane, SidingKey

Spot = tuple[Lane, SidingKey]
"""A siding of a lane."""


class Waits:
    """Of one process."""

    def __init__(
        self,
        clock: Clock,
        later: CallLater,
        reopened: Callable[[Lane], None],
        gates_of: Callable[[Lane], Sequence[Gate]],
    ) -> None:
        """`reopened` is told of lanes that may ask again."""
        self._clock = clock
        self._later = later
        self._reopened = reopened
        self._gates_of = gates_of
        self._waiting: dict[Gate, None] = {}
        """Gates that wait for a moment; some may be open again."""
        self._pending: dict[Gate, None] = {}
        """Likewise for an end."""
        self._timers: dict[Spot, Timer] = {}
        """Sidings that wait for a moment."""
        self._ends: dict[Spot, None] = {}
        """Likewise for an end."""
        self._words: dict[Place, dict[Spot, None]] = {}
        """Sidings that wait to be told, by what they wait for."""

    def close_gate(self, gate: Gate, until: float, asked: Sequence[Priority], limit: Limit, key: str) -> None:
        """Nothing of these priorities goes before `until` (monotonic; infinity: before an end)."""
        gate.close(until, asked, limit, key)
        (self._pending if until == math.inf else self._waiting)[gate] = None

    def close_siding(self, lane: Lane, place: Place, priority: Priority, until: float, reason: str) -> None:
        """Nothing of that kind goes before `until` (monotonic; infinity: before an end)."""
        spot = (lane, (place, priority))
        self._forget(spot)
        lane.close_siding(spot[1], until, reason)
        if until == math.inf:
            self._ends[spot] = None
            return
        wait_s = until - self._clock.monotonic()
        self._timers[spot] = self._later(max(0.0, wait_s) + TIMER_SLACK_S, partial(self._open, spot))
        if is_narrow(place):
            for gate in self._gates_of(lane)[:1]:
                gate.tell(reason, until, self._clock.now() + wait_s)

    def close_until_told(self, lane: Lane, place: Place, priority: Priority, reason: str) -> None:
        """Nothing of that kind goes before `told` says that place."""
        spot = (lane, (place, priority))
        self._forget(spot)
        lane.close_siding(spot[1], math.inf, reason)
        self._words.setdefault(place, {})[spot] = None

    def told(self, place: Place) -> None:
        """What waits there may ask again."""
        for spot in self._words.pop(place, {}):
            self._open(spot)

    def ended(self, freed: frozenset[Place]) -> None:
        """A mail that was under way is over; `freed`: where there may be room before the time that is known."""
        if not (freed or self._pending or self._ends):
            return
        gates, self._pending = list(self._pending), {}
        if freed:
            gates += self._waiting
            self._waiting.clear()
        for gate in gates:
            if gate.until:
                gate.open()
        spots = list(self._ends)
        if freed:
            spots += [spot for spot in self._timers if spot[1][0] in freed]
        for spot in spots:
            self._open(spot)

    @property
    def throttled(self) -> int:
        """Lanes in which mail waits for a limit, or for its hours."""
        gates = (*self._waiting, *self._pending)
        lanes = {lane for gate in gates if gate.until for lane in gate.supply.lanes if len(lane)}
        return len(lanes | {lane for lane, _ in (*self._timers, *self._ends)})

    def stop(self) -> None:
        """Wait for nothing any more."""
        for gate in (*self._waiting, *self._pending):
            gate.release()
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _open(self, spot: Spot) -> None:
        self._forget(spot)
        lane, key = spot
        lane.open_siding(key)
        self._reopened(lane)

    def _forget(self, spot: Spot) -> None:
        if (timer := self._timers.pop(spot, None)) is not None:
            timer.cancel()
        self._ends.pop(spot, None)
        self._words.get(spot[1][0], {}).pop(spot, None)
