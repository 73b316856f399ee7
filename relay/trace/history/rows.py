"""From events to rows: what the history keeps of each. No file, no thread.

Names and texts are numbered by whoever writes them (`Numbers`); people by address.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from zlib import crc32

from relay.message.priority import PRIORITIES
from relay.message.queue_id import EPOCH_MS, number_of
from relay.trace import event as events
from relay.trace.event import Event
from relay.trace.history.privacy import Privacy
from relay.trace.history.state import State

RECIPIENTS_MAX = 1_000
"""Of one event; a mail of ours has no more (`limits.recipients_per_message`), a hint from nowhere might."""

LAST_MS = (1 << 41) - 1
"""Since 2020: 69 years, and 63 bits of a number with a sign."""

Outcome = events.Delivered | events.Deferred | events.Held | events.Failed
STATES: dict[type[object], State] = {
    events.Delivered: State.DELIVERED,
    events.Deferred: State.DEFERRED,
    events.Held: State.HELD,
    events.Failed: State.FAILED,
}
AFTER = {
    "hold": State.HELD,
    "release": State.WAITING,
    "retry": State.WAITING,
    "cancel": State.CANCELLED,
    "not arrived": State.WAITING,
}
"""Where recipients stand after an order; others change nothing of that."""
POSTPONED = "X-Relay-Not-Before"
"""What a step of that kind says besides its moment."""
OF_RECIPIENTS = frozenset([events.MailQueued, events.Steered, *STATES])
"""Kinds that become a row for each recipient."""
WANTED = frozenset([*OF_RECIPIENTS, events.Uncertain, events.Spilled, events.Reported])
"""Kinds of events that the history is made from."""


MailRow = tuple[int, str, int | None, str, str, str, str | None, int, int, int]
"""id, Message-ID, its key, sender, client, account, campaign, priority, size, accepted. Plain tuples: with
names each row costs 0.5 µs more, which the loop waits for."""
RecipientRow = tuple[int, str, int, int]
"""mail, person, state, time"""
StepRow = tuple[
    int, str | None, int, int, str, str, str, str, str | None, str | None, str, int | None, int | None, str
]
"""mail, person, time, event, route, host, identity, remote, session, internal id, the whole reply, attempts,
next attempt, next route"""


@dataclass(slots=True)
class Rows:
    """Of one batch."""

    mails: list[MailRow] = field(default_factory=list)
    waiting: list[RecipientRow] = field(default_factory=list)
    """Of mails that come in."""
    standing: list[RecipientRow] = field(default_factory=list)
    """After a step."""
    steered: list[RecipientRow] = field(default_factory=list)
    """After an order."""
    steps: list[StepRow] = field(default_factory=list)
    subjects: list[tuple[int, str]] = field(default_factory=list)
    """Of mails that come in, where they are kept."""
    people: set[str] = field(default_factory=set)
    """All addresses, as they are kept."""
    names: set[str] = field(default_factory=set)
    """Routes, hosts and the like."""


def rows_of(batch: Sequence[tuple[float, Event]], privacy: Privacy) -> Rows:
    """What is to be written of these events, each with its time."""
    rows = Rows()
    for time, event in batch:
        ms = int(time * 1000)
        match event:
            case events.MailQueued():
                _queued(rows, ms, event, privacy.kept)
                if event.subject:
                    rows.subjects.append((number_of(event.id), privacy.without(clean(event.subject))))
            case events.Delivered() | events.Deferred() | events.Held() | events.Failed():
                _outcome(rows, ms, event, privacy)
            case events.Uncertain():
                reason = privacy.without(event.reason)
                _step(rows, event.id, ms, State.UNCERTAIN, event.route, event.host, reason)
            case events.Spilled():
                reason = privacy.without(event.reason)
                _step(rows, event.id, ms, State.SPILLED, event.route, "", reason, event.to)
            case events.Steered():
                _steered(rows, ms, event, privacy)
            case events.Reported() if event.about:
                said = f"{event.kind}, by the mail {event.id} to {privacy.without(event.sender)}"
                _step(rows, event.about, ms, State.REPORTED, event.route, "", said)
            case _:
                pass
    return rows


def message_key(message_id: str) -> int | None:
    """By which a Message-ID is found, with or without its brackets; an index of numbers is a fifth as large."""
    bare = message_id.strip().strip("<>")
    return crc32(bare.encode("utf-8", "surrogatepass")) if bare else None


def clean(text: str) -> str:
    """Without surrogates, which no file takes."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def id_at(ms: int) -> int:
    """The lowest queue id of a mail that was accepted at that time, milliseconds since the epoch, or later."""
    return min(max(ms - EPOCH_MS, 0), LAST_MS) << 22


def time_of(id: int) -> int:
    """When a mail was accepted, as its id says; milliseconds since the epoch."""
    return (id >> 22) + EPOCH_MS


def _queued(rows: Rows, ms: int, event: events.MailQueued, kept: Callable[[str], str]) -> None:
    id, sender = number_of(event.id), event.sender.lower()
    account, message_id = clean(event.account), event.message_id
    rows.mails.append(
        (
            id, message_id, message_key(message_id), sender, event.client, account, clean(event.campaign) or None,
            PRIORITIES[event.priority], event.size, int(event.received_at * 1000),
        )
    )  # fmt: skip
    rows.names.add(event.client)
    rows.names.add(account)
    if sender:
        rows.people.add(sender)
    for address in event.recipients[:RECIPIENTS_MAX]:
        person = kept(address)
        rows.people.add(person)
        rows.waiting.append((id, person, State.WAITING, ms))
    if event.not_before > event.received_at:
        moment = int(event.not_before * 1000)
        rows.names.add("")
        rows.steps.append(
            (id, None, ms, State.POSTPONED, "", "", "", "", None, None, POSTPONED, None, moment, "")
        )


def _outcome(rows: Rows, ms: int, event: Outcome, privacy: Privacy) -> None:
    id, state = number_of(event.id), STATES[type(event)]
    step = State.EXPIRED if isinstance(event, events.Failed) and event.is_expired else state
    internal_id = remote = ""
    next_attempt = None
    if isinstance(event, events.Delivered):
        internal_id, remote = event.internal_id, clean(event.remote)
    elif isinstance(event, events.Deferred):
        next_attempt = int(event.next_attempt * 1000)
    rows.names.update((event.route, event.host, event.identity, remote))
    reply = privacy.without(event.reply)
    for address in event.recipients[:RECIPIENTS_MAX]:
        person = privacy.kept(address)
        rows.people.add(person)
        rows.standing.append((id, person, state, ms))
        rows.steps.append(
            (
                id, person, ms, step, event.route, event.host, event.identity, remote, event.session or None,
                internal_id or None, reply, event.attempts, next_attempt, "",
            )
        )  # fmt: skip


def _steered(rows: Rows, ms: int, event: events.Steered, privacy: Privacy) -> None:
    id, state = number_of(event.id), AFTER.get(event.do)
    said = privacy.without(
        clean(f"{event.do}, by {event.by}" + (f": {event.reason}" if event.reason else ""))
    )
    for address in event.recipients[:RECIPIENTS_MAX]:
        person = privacy.kept(address)
        rows.people.add(person)
        # A person stands somewhere from his first step on; after an order, where it says, or where he stood.
        rows.waiting.append((id, person, State.WAITING, ms))
        if state is not None:
            rows.steered.append((id, person, state, ms))
        rows.steps.append((id, person, ms, State.STEERED, "", "", "", "", None, None, said, None, None, ""))


def _step(
    rows: Rows, id: str, ms: int, state: State, route: str, host: str, reply: str, to: str = ""
) -> None:
    """Of the mail as a whole."""
    rows.names.update((route, host, to))
    rows.steps.append(
        (number_of(id), None, ms, state, route, host, "", "", None, None, reply, None, None, to)
    )
