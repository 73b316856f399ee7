"""A suspension: what an administrator has stopped, until he lets it go on or its time has come.

It is no breaker: nothing probes, a trouble that comes meanwhile does not shorten it, and
mail neither uses up an attempt nor takes another route, nor does it grow older by it
unless its route says so.
Times are seconds since the epoch: an administrator speaks of the clock on the wall.
"""

from collections.abc import Iterator
from enum import Enum

import msgspec
from msgspec import Struct

from relay.budget.row import MAX_KEY_BYTES, SUSPENSION, Row

SUSPENSIONS_MAX = 1_000
"""More come from a script that errs; each is a row that is read at every start."""
NAME_MAX = 400
"""Bytes: a row's key has 480, and two names must not share a row."""


class Kind(Enum):
    """What may be suspended."""

    ROUTE = "route"
    MAILBOX = "mailbox"
    CAMPAIGN = "campaign"
    SENDER_DOMAIN = "sender-domain"
    RECIPIENT_DOMAIN = "recipient-domain"


KINDS = {kind.value: kind for kind in Kind}
"""By the word for it."""


class Suspension(Struct, frozen=True, array_like=True):
    """One, as it lies in the spool too."""

    kind: str
    name: str
    """Mailboxes and domains in lower case."""
    reason: str
    by: str
    """Who said so."""
    since: float
    until: float | None = None
    """None: until somebody says that it goes on."""

    def __str__(self) -> str:
        """Why mail waits."""
        end = f": {self.reason}" if self.reason else ""
        return f"the {self.kind.replace('-', ' ')} {self.name} is suspended by {self.by}{end}"


def proper_name(kind: Kind, name: str) -> str:
    """As it is compared: routes and campaigns as they are written, all else in any case."""
    if kind in (Kind.ROUTE, Kind.CAMPAIGN):
        return name
    # A domain with its final dot is the same one.
    return name.lower().removeprefix("@").removesuffix(".") if kind is not Kind.MAILBOX else name.lower()


class Suspensions:
    """Those in force. Mostly none, so that a look costs next to nothing."""

    def __init__(self) -> None:
        self._all: dict[tuple[Kind, str], Suspension] = {}

    def __bool__(self) -> bool:
        return bool(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Suspension]:
        return iter(self._all.values())

    def put(self, suspension: Suspension) -> None:
        """It is in force; one of the same name is replaced."""
        self._all[KINDS[suspension.kind], suspension.name] = suspension

    def end(self, kind: Kind, name: str) -> Suspension | None:
        """It goes on; None: it was not suspended."""
        return self._all.pop((kind, name), None)

    def get(self, kind: Kind, name: str) -> Suspension | None:
        """That of a name."""
        return self._all.get((kind, name))

    def ended(self, now: float) -> list[Suspension]:
        """Those whose time has come."""
        return [each for each in self._all.values() if each.until is not None and each.until <= now]

    def next_end(self) -> float | None:
        """When the next one ends by itself."""
        return min((each.until for each in self._all.values() if each.until is not None), default=None)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Suspension).decode


def row_key(kind: Kind, name: str) -> bytes:
    """Of its row."""
    return SUSPENSION + f"{kind.value}\0{name}".encode("utf-8", "replace")[:MAX_KEY_BYTES]


def row_of(suspension: Suspension) -> Row:
    """As it lies in the spool."""
    return row_key(KINDS[suspension.kind], suspension.name), _encode(suspension)


def from_row(value: bytes) -> Suspension:
    """One that an earlier process left; ValueError for a row that is none."""
    try:
        found = _decode(value)
    except msgspec.MsgspecError as error:
        raise ValueError(f"no suspension: {error}") from None
    if found.kind not in KINDS:
        raise ValueError(f"no suspension: there is no {found.kind}")
    return found
