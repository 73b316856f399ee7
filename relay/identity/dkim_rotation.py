"""Rotating a key: publish, wait, switch, retire (M3AAWG DKIM key rotation best practices).

The old key signs until the switch. Its record must stay published as long as mail it
signed may still arrive somewhere; only then is it revoked.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

from relay.identity.dkim import DomainPolicy, Selector
from relay.identity.dkim_new_key import KeyKind

WAIT_S = 2 * 86_400.0
"""From publishing to switching: that no record was there is remembered by resolvers up to a day (RFC 2308
section 5: 1 to 3 hours are sensible, a day the most), and a slip wants time to be mended."""
KEEP_S = 7 * 86_400.0
"""From switching to revoking: mail may lie in queues for 5 days (RFC 5321 section 4.5.4.1)."""
HOUR_S = 3600


@dataclass(frozen=True, slots=True)
class Rotation:
    """The two moments, seconds since the epoch."""

    switch: float
    retire: float


def plan(now: float, wait_s: float = WAIT_S) -> Rotation:
    """Full hours: times that people read and compare."""
    switch = -(-(now + wait_s) // HOUR_S) * HOUR_S
    return Rotation(switch, switch + KEEP_S)


def next_name(current: str, taken: Collection[str]) -> str:
    """`s2` after `s1`, `mail202612` after `mail202611`; never one that is taken or was."""
    match = re.fullmatch(r"(.*?)(\d+)", current)
    stem, number, width = (match[1], int(match[2]), len(match[2])) if match else (current, 1, 1)
    for _ in range(len(taken) + 1):
        number = _after(number)
        name = f"{stem}{number:0{width}d}"
        if name not in taken:
            break
    return name


def coming(policy: DomainPolicy, old: Selector, now: float) -> Selector | None:
    """The key that is to take over from this one already."""
    later = (
        each for each in policy.selectors if each.since > now and each.key.algorithm is old.key.algorithm
    )
    return min(later, key=lambda each: each.since, default=None)


def same_kind(selector: Selector) -> KeyKind:
    """What to make in its place; a short RSA key is followed by one of 2048 bits."""
    if selector.key.key_type == "ed25519":
        return KeyKind.ED25519
    name = f"rsa{selector.key.bits}"
    return next((kind for kind in KeyKind if kind.value == name), KeyKind.RSA2048)


def _after(number: int) -> int:
    """The next number; of a month as 202612, the next month."""
    year, month = divmod(number, 100)
    return (year + 1) * 100 + 1 if 2000 <= year < 2100 and month == 12 else number + 1
