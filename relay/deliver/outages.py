"""Outages: when the next hop of a login could not be reached, over restarts too.

That time makes waiting mail older (relay.deliver.age), so it must be known of all mail that
waited through it, however long ago. It is kept by login, not by mail: a list of times, in one
row of the spool (`08 <route> 00 <login>`), written when an outage begins and when it ends.

A process that ends leaves its outages as ended when the next one starts: that one finds out
anew, within seconds.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

import msgspec

from relay.budget.row import MAX_KEY_BYTES, OUTAGE, Row
from relay.clock import Clock
from relay.deliver.gate import CallLater
from relay.deliver.reach import Reach
from relay.errors import SpoolError
from relay.queue.lane import Lane
from relay.spool.change import Budget, Change
from relay.trace import event as trace

Submit = Callable[[Change, Callable[[SpoolError | None], None]], None]
Interval = tuple[float, float | None]
"""From and until, seconds since the epoch; None: it lasts."""
KEPT_MAX = 256
"""Outages of one login. Of more the oldest are forgotten: mail then lives longer than it should, never shorter."""
KEPT_S = 31 * 86_400.0
"""Older ones are forgotten: no mail is tried for longer."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Interval]).decode


class Outages:
    """Of one process. Everything happens in the loop's thread."""

    def __init__(
        self, submit: Submit, record: trace.Record, clock: Clock, later: CallLater, retry_s: float
    ) -> None:
        self._submit = submit
        self._record = record
        self._clock = clock
        self._later = later
        self._retry_s = retry_s
        self._kept: dict[bytes, list[Interval]] = {}
        """By the key of their row."""
        self._lasting: set[bytes] = set()

    def restore(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Take over what an earlier process left; `rows` are those of the spool, of whatever kind."""
        now = self._clock.now()
        unreadable: list[Row] = []
        for key, value in rows:
            if not key.startswith(OUTAGE):
                continue
            try:
                found = _decode(value)
            except msgspec.MsgspecError as error:
                self._record(trace.RecordQuarantined("budget", key.hex(), f"no outages: {error}"))
                unreadable.append((key, None))
                continue
            self._kept[key] = [(since, now if until is None else until) for since, until in found]
            if any(until is None for _, until in found):
                self._write(key)
        if unreadable:
            self._submit(Budget(tuple(unreadable)), _whatever)

    def note(self, reach: Reach, *, is_out: bool) -> None:
        """Whether the next hop cannot be reached now; costs nothing while nothing changes."""
        key = row_key(reach.route.name, reach.identity)
        if is_out == (key in self._lasting):
            return
        now = self._clock.now()
        kept = self._kept.setdefault(key, [])
        if is_out:
            self._lasting.add(key)
            kept[:] = [each for each in kept if each[1] is None or each[1] > now - KEPT_S][1 - KEPT_MAX :]
            kept.append((now, None))
        else:
            self._lasting.discard(key)
            kept[-1] = (kept[-1][0], max(now, kept[-1][0]))
        self._write(key)

    def lost_s(self, lane: Lane, since: float, until: float) -> float:
        """How much of this time none of the lane's logins could reach its next hop."""
        if not lane.logins:
            # Where a refusal has stopped its sender it waits for that; else no mailbox is named for him at all.
            return 0.0 if lane.key.stopped else max(0.0, until - since)
        common: Sequence[tuple[float, float]] = ((since, until),)
        for name in lane.key.identities:
            kept = self._kept.get(row_key(lane.key.route, name))
            if not kept:
                return 0.0
            common = _overlap(common, kept)
        return sum(end - begin for begin, end in common)

    def is_out(self, lane: Lane) -> bool:
        """Whether none of them can now."""
        if not lane.logins:
            return not lane.key.stopped
        return bool(self._lasting) and all(
            row_key(lane.key.route, name) in self._lasting for name in lane.key.identities
        )

    def _write(self, key: bytes) -> None:
        row = (key, _encode(self._kept[key]))
        self._submit(Budget((row,)), partial(self._written, key))

    def _written(self, key: bytes, error: SpoolError | None) -> None:
        if error is not None:
            self._later(self._retry_s, partial(self._write, key))


def row_key(route: str, login: str) -> bytes:
    """Of its row; cut, two may share one: that of a mailbox has at most 254 bytes."""
    return OUTAGE + f"{route}\0{login.lower()}".encode("utf-8", "surrogateescape")[:MAX_KEY_BYTES]


def _overlap(
    times: Sequence[tuple[float, float]], others: Sequence[Interval]
) -> Sequence[tuple[float, float]]:
    found = []
    for begin, end in times:
        for since, until in others:
            common = max(begin, since), end if until is None else min(end, until)
            if common[0] < common[1]:
                found.append(common)
    return found


def _whatever(error: SpoolError | None) -> None:
    """A row that stays is dropped at the next start."""
