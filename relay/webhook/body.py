"""What a receiver gets: a batch of events as JSON, in the shape that Standard Webhooks recommends.

Pure, and the same for the same steps: an attempt that is repeated, even after a restart, has
the same bytes and the same id. docs/webhooks.md has every field.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import blake2b

import msgspec
from msgspec import Struct

from relay.trace.history.passage import Happened

VERSION = 1
"""Of the fields below: new ones may come, none gets another meaning."""
CONTENT_TYPE = "application/json"
_ID_BYTES = 16
_REPLY = re.compile(r"([2-5]\d\d)(?: ([245]\.\d{1,3}\.\d{1,3}))?(?: (.*))?", re.DOTALL)
_encoder = msgspec.json.Encoder()


class Said(Struct):
    """What the next hop answered; `code` is none where it is the relay's own word."""

    code: int | None
    enhanced: str
    text: str


class MailEvent(Struct):
    """What became of one recipient of one mail."""

    id: str
    type: str
    timestamp: str
    sequence: int
    queue_id: str
    message_id: str
    accepted_at: str
    client: str
    client_address: str
    campaign: str
    sender: str
    recipient: str
    route: str
    host: str
    identity: str
    remote_host: str
    session: str
    internal_id: str
    attempt: int
    next_attempt: str | None
    reply: Said


class Gap(Struct):
    """Steps that the history lost before they were told."""

    steps: int
    is_new_history: bool


class Data(Struct):
    """Events in the order in which they happened."""

    events: list[MailEvent]
    missing: Gap | None


class Batch(Struct):
    """The whole."""

    type: str
    timestamp: str
    version: int
    relay: str
    webhook: str
    data: Data


class Ping(Struct):
    """What `m365-relay webhook test` sends."""

    type: str
    timestamp: str
    version: int
    relay: str
    webhook: str
    data: dict[str, str]


def batch(relay: str, webhook: str, history: bytes, steps: Sequence[Happened], missing: Gap | None) -> bytes:
    """The body; `steps` are one at least, `history` is the key of the one they are from."""
    told = Batch(
        "mail.events",
        _moment(steps[-1].at_ms),
        VERSION,
        relay,
        webhook,
        Data([_event(history, step) for step in steps], missing),
    )
    return _encoder.encode(told)


def ping(relay: str, webhook: str, now: float) -> bytes:
    """A body without events."""
    return _encoder.encode(Ping("webhook.ping", _moment(int(now * 1000)), VERSION, relay, webhook, {}))


def id_of(body: bytes, kind: str = "batch") -> str:
    """Its id: the same for the same body, and another for another one."""
    return f"{kind}_{blake2b(body, digest_size=_ID_BYTES).hexdigest()}"


def _event(history: bytes, step: Happened) -> MailEvent:
    return MailEvent(
        id=_id(history, step),
        type=f"mail.{step.state.word}",
        timestamp=_moment(step.at_ms),
        sequence=step.number,
        queue_id=step.mail,
        message_id=step.message_id,
        accepted_at=_moment(step.accepted_ms),
        client=step.account,
        client_address=step.client,
        campaign=step.campaign,
        sender=step.sender,
        recipient=step.recipient,
        route=step.route,
        host=step.host,
        identity=step.identity,
        remote_host=step.remote,
        session=step.session,
        internal_id=step.internal_id,
        attempt=step.attempts,
        next_attempt=None if step.next_attempt_ms is None else _moment(step.next_attempt_ms),
        reply=_said(step.reply),
    )


def _id(history: bytes, step: Happened) -> str:
    """Of what it says and not of its number alone: a history that lost its end gives numbers twice."""
    what = f"{step.number} {step.mail} {step.at_ms} {step.state:d} {step.person}"
    return f"event_{blake2b(what.encode(), key=history, digest_size=_ID_BYTES).hexdigest()}"


def _said(reply: str) -> Said:
    found = _REPLY.fullmatch(reply)
    if found is None:
        return Said(None, "", reply)
    return Said(int(found[1]), found[2] or "", found[3] or "")


def _moment(ms: int) -> str:
    """RFC 3339, UTC, to the millisecond."""
    at = datetime.fromtimestamp(ms // 1000, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}Z"
