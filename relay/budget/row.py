"""Rows: how budgets lie in the spool, bytes to bytes.

    00 <name>                                                       | what the timeline knows
    01 <scope> <unit> <kind> <window_s: 4> <key> <release: 8>       | <amount: 8>
    02 <scope> <unit> <key>                                         | <learnt count: 8>
    03 <name>                                                       | what has stopped (relay.queue.breaker)
    05 <name>                                                       | reports (relay.deliver.quota, relay.deliver.delays)
    06 <name>                                                       | how far a campaign is (relay.queue.campaign)
    04 <kind> <name>                                                | what is suspended (relay.queue.suspension)
    08 <route> 00 <login>                                           | when its next hop could not be reached (relay.deliver.outages)

Numbers are unsigned and big endian. A release of OPEN marks the sends whose end is
not known, and sorts behind all others. A row whose value is None is to be deleted.
"""

from collections.abc import Iterable
from struct import Struct
from struct import error as StructError
from typing import NamedTuple

from relay.budget.limit import Limit, Place, Scope, Unit

Row = tuple[bytes, bytes | None]

TIME = b"\x00"
USE = b"\x01"
LEARNT = b"\x02"
BREAKER = b"\x03"
REPORT = b"\x05"
SUSPENSION = b"\x04"
CAMPAIGN = b"\x06"
OUTAGE = b"\x08"
NOW = TIME + b"now"
"""The ledger's own time when the rows were written."""
OPEN = (1 << 64) - 1

MAX_KEY_BYTES = 480
"""LMDB's limit is 511. An address has at most 254 (RFC 3696 erratum 1690)."""

_HEAD = Struct(">cBBBI")
_RELEASE = Struct(">Q")
_LEARNT_HEAD = Struct(">cBB")
_ROLLING, _SINCE_MIDNIGHT = 0, 1

number = _RELEASE.pack
"""A count or a moment as a value."""


class Use(NamedTuple):
    """What a row of use says."""

    row_key: bytes
    place: Place
    kind: int
    window_s: int
    release: int
    amount: int

    def belongs_to(self, limit: Limit) -> bool:
        """Whether it counts the same thing over the same time."""
        return self.kind == _kind(limit) and self.window_s == limit.window_s


def sort_rows(rows: Iterable[Row]) -> tuple[dict[Place, list[Use]], int]:
    """Rows of use by place, and the ledger's time when they were written; ValueError."""
    uses: dict[Place, list[Use]] = {}
    now = 0
    for key, value in rows:
        if value is None:
            raise ValueError(f"budget row {key.hex()} has no value")
        if key == NOW:
            now = read_number(value)
        elif key.startswith(USE):
            use = read_use(key, value)
            uses.setdefault(use.place, []).append(use)
    return uses, now


def use_prefix(limit: Limit, key: str) -> bytes:
    """What all rows of one limit and key begin with; add `number(release)` for one of them."""
    return _HEAD.pack(USE, limit.scope, limit.unit, _kind(limit), limit.window_s) + _name(key)


def read_use(key: bytes, value: bytes) -> Use:
    """ValueError for a row this version cannot have written."""
    try:
        _, scope, unit, kind, window_s = _HEAD.unpack_from(key)
        split = max(_HEAD.size, len(key) - _RELEASE.size)
        name = key[_HEAD.size : split].decode(errors="surrogateescape")
        (release,) = _RELEASE.unpack(key[split:])
        return Use(key, Place(Scope(scope), name, Unit(unit)), kind, window_s, release, read_number(value))
    except (StructError, ValueError) as error:
        raise ValueError(f"budget row {key.hex()}: {error}") from None


def learnt_key(place: Place) -> bytes:
    """The key of a learnt limit's row."""
    return _LEARNT_HEAD.pack(LEARNT, place.scope, place.unit) + _name(place.key)


def read_number(value: bytes) -> int:
    """ValueError when it is not one."""
    if len(value) != _RELEASE.size:
        raise ValueError(f"a number of {len(value)} bytes")
    return int.from_bytes(value, "big")


def _kind(limit: Limit) -> int:
    return _SINCE_MIDNIGHT if limit.since_midnight else _ROLLING


def _name(key: str) -> bytes:
    # An address that is no UTF-8 was decoded with surrogateescape.
    name = key.encode(errors="surrogateescape")
    assert len(name) <= MAX_KEY_BYTES, "the caller shortens names"
    return name
