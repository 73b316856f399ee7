"""What a mail's header says to us: the fields whose names begin with `X-Relay-`.

    X-Relay-Priority: high | normal | bulk
    X-Relay-Campaign: a name of 1 to 64 printable ASCII characters
    X-Relay-Uncertain: retry | hold | ask
    X-Relay-Idempotency-Key: 1 to 128 visible ASCII characters
    X-Relay-Not-Before: a moment (relay.message.moment)
    X-Relay-Deadline: a moment

They are for the relay and for nobody behind it: all of them are taken out, also those it
does not know, so that a newer application does not tell the world what an older relay does
not understand. A value that cannot be read is a refusal and no default: a password reset
would go out as bulk, and nobody would learn why. So is a field that stands twice.
"""

import re

from msgspec import Struct

from relay._fastpath import HeaderScan
from relay.message.edit import Edit, field_span
from relay.message.header import unfold
from relay.message.moment import Moment, parse_moment
from relay.message.priority import PRIORITIES, Priority
from relay.message.uncertain import Uncertain

PREFIX = b"X-Relay-"
MAX_CAMPAIGN = 64
"""Characters. It stands in every hint and names a lane; a GUID has 36."""
MAX_KEY = 128
"""Characters of an idempotency key: a UUID has 36, a SHA-256 in hexadecimal digits 64, and some put a name before it."""
MAX_SHOWN = 32
"""Of a value that is refused: enough to see the slip."""


class Wishes(Struct, frozen=True):
    """What the mail asks for; None and empty: nothing."""

    priority: Priority | None = None
    campaign: str = ""
    uncertain: Uncertain | None = None
    idempotency_key: str = ""
    not_before: Moment | None = None
    deadline: Moment | None = None


class Unreadable(Struct, frozen=True):
    """A field that means nothing; `text` says which, and what is allowed."""

    text: str


NOTHING = Wishes()


def own_fields(scan: HeaderScan) -> list[int]:
    """Indexes of our fields; nearly always none, and then it costs one native search."""
    index = scan.find_prefix(PREFIX)
    if index < 0:
        return []
    found = []
    while index >= 0:
        found.append(index)
        index = scan.find_prefix(PREFIX, index + 1)
    return found


def removal(scan: HeaderScan, indexes: list[int]) -> list[Edit]:
    """The edits that take these fields out."""
    return [Edit(*field_span(scan, index)) for index in indexes]


def read(scan: HeaderScan, indexes: list[int]) -> Wishes | Unreadable:
    """What our fields say."""
    values: dict[str, str] = {}
    for index in indexes:
        name = _KNOWN.get(scan.name(index).lower())
        if name is None:
            continue
        if name in values:
            return Unreadable(f"{name} stands in the mail twice; write it once")
        values[name] = unfold(scan.value(index)).strip(b" \t").decode("latin-1")
    return _understand(values) if values else NOTHING


def _understand(values: dict[str, str]) -> Wishes | Unreadable:
    priority, campaign, uncertain, idempotency_key = None, "", None, ""
    moments: dict[str, Moment] = {}
    for name, value in values.items():
        word = value.lower()
        if name == PRIORITY and word in PRIORITIES:
            priority = PRIORITIES[word]
        elif name == CAMPAIGN and is_campaign(value):
            campaign = value
        elif name == UNCERTAIN and word in _UNCERTAIN:
            uncertain = _UNCERTAIN[word]
        elif name == IDEMPOTENCY_KEY and _KEY.fullmatch(value):
            idempotency_key = value
        elif name in (NOT_BEFORE, DEADLINE) and (moment := parse_moment(value)) is not None:
            moments[name] = moment
        else:
            return Unreadable(f'{name} may be {_ALLOWED[name]}; found "{_shown(value)}"')
    return Wishes(
        priority, campaign, uncertain, idempotency_key, moments.get(NOT_BEFORE), moments.get(DEADLINE)
    )


def is_campaign(name: str) -> bool:
    """Whether a campaign may be called so."""
    return _CAMPAIGN.fullmatch(name) is not None


def _shown(value: str) -> str:
    # It goes into a reply, so nothing but printable ASCII of it may.
    plain = "".join(character if " " <= character <= "~" else "?" for character in value[:MAX_SHOWN])
    return plain + ("..." if len(value) > MAX_SHOWN else "")


PRIORITY = "X-Relay-Priority"
CAMPAIGN = "X-Relay-Campaign"
UNCERTAIN = "X-Relay-Uncertain"
IDEMPOTENCY_KEY = "X-Relay-Idempotency-Key"
NOT_BEFORE = "X-Relay-Not-Before"
DEADLINE = "X-Relay-Deadline"
_MOMENT = 'a time such as "2h", or a date with its offset (2026-11-26T18:00:00+01:00, or as in Date)'
_ALLOWED = {
    PRIORITY: "high, normal or bulk",
    CAMPAIGN: f"a name of 1 to {MAX_CAMPAIGN} printable ASCII characters",
    UNCERTAIN: "retry, hold or ask",
    IDEMPOTENCY_KEY: f"1 to {MAX_KEY} visible ASCII characters",
    NOT_BEFORE: _MOMENT,
    DEADLINE: _MOMENT,
}
_KNOWN = {name.lower().encode(): name for name in _ALLOWED}
_UNCERTAIN = {each.value: each for each in Uncertain}
_CAMPAIGN = re.compile(rf"[\x20-\x7e]{{1,{MAX_CAMPAIGN}}}")
_KEY = re.compile(rf"[\x21-\x7e]{{1,{MAX_KEY}}}")
