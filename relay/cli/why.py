"""`m365-relay why ID`: what a mail waits for, since when, until when, and what to change."""

import time
from pathlib import Path

import msgspec

from relay.cli.asking import asked
from relay.cli.stopping import moment
from relay.control.request import Why
from relay.deliver.reasons import Explained, Reason
from relay.process.exits import Exit

NAMES_MAX = 5
"""Recipients that are named; --json has them all."""
_HEADS = {
    "turn": "waits for its turn",
    "under way": "is under way",
    "deferred": "is put off",
    "not before": "is not to leave yet",
    "hours": "is outside of its hours",
    "limit": "waits for a limit",
    "stopped": "waits for something that has stopped",
    "suspended": "waits for something that is suspended",
    "unreachable": "waits for its next hop",
    "aside": "stands aside",
    "held": "is held",
    "uncertain": "may have arrived, and is kept",
    "unknown": "cannot be read",
}


def why(config: Path | None, id: str, *, as_json: bool) -> Exit:
    """Say it."""
    (answer,) = asked(config, Why(id=id.lower()))
    found = msgspec.convert(answer["result"], Explained)
    if as_json:
        print(msgspec.json.encode(found).decode())
    else:
        print("\n".join(sentences(found, time.time())))
    return Exit.OK


def sentences(mail: Explained, now: float) -> list[str]:
    """For people."""
    lines = [f"{mail.id} from {mail.sender or '<>'}, {mail.size:,} bytes"]
    if mail.received_at:
        source = f"from {mail.client}" if mail.client else "written by the relay itself: a report"
        lines.append(f"  came {moment(mail.received_at)}, {age(now - mail.received_at)} ago, {source}")
        campaign = f", campaign {mail.campaign}" if mail.campaign else ""
        standing = ", ".join(f"{count} {status}" for status, count in mail.statuses.items())
        lines.append(f"  priority {mail.priority}{campaign}; recipients: {standing}")
    for reason in mail.reasons:
        lines += ["", *_sentences(reason, now)]
    return lines


def _sentences(reason: Reason, now: float) -> list[str]:
    whose = _names(reason)
    head = _HEADS.get(reason.what, reason.what)
    lines = [f"{whose} {head}{f' (route {reason.route})' if reason.route else ''}:", f"  {reason.text}"]
    if reason.since:
        lines.append(f"  since {moment(reason.since)} ({age(now - reason.since)})")
    if reason.until is not None:
        when = f"in {age(reason.until - now)}" if reason.until > now else "now"
        lines.append(f"  goes on {moment(reason.until)} ({when})")
    if reason.leaves_at is not None:
        left = age(reason.leaves_at - now) if reason.leaves_at > now else "moments"
        before = f", with {reason.before:,} of its priority before it" if reason.before else ""
        lines.append(f"  expected to leave {moment(reason.leaves_at)} (in {left}){before}")
    if reason.todo:
        lines.append(f"  do: {reason.todo}")
    return lines


def _names(reason: Reason) -> str:
    if not reason.recipients:
        return "It"
    few = ", ".join(reason.recipients[:NAMES_MAX])
    more = len(reason.recipients) - NAMES_MAX
    return f"For {few}{f' and {more} more' if more > 0 else ''} it"


def age(seconds: float) -> str:
    """Of a time, in its largest unit and the next one."""
    left, parts = max(0, round(seconds)), []
    for unit, length in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        if left >= length:
            parts.append(f"{left // length}{unit}")
            left %= length
    return " ".join(parts[:2]) or "0s"
