"""A change turned into the bytes that will lie on the disk.

It is done by whoever submits the change, who holds the interpreter anyway: the
thread that commits should need the interpreter as seldom as it can.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from relay.errors import AlreadyTaken
from relay.spool.change import (
    Abandon,
    Accept,
    Amend,
    Budget,
    Change,
    Forget,
    Record,
    Remove,
    Report,
    Several,
    Stream,
    Suppress,
)
from relay.spool.cipher import Cipher
from relay.spool.claim import Claim
from relay.spool.codec import content_rows, mail_key, seal, seal_envelope, seal_state, seal_suppressed
from relay.spool.suppressed import key_of

Row = tuple[bytes, bytes]
"""Key and record."""
NO_MAIL = 0
"""Stands for the id of what belongs to no mail; ids begin at 1."""


@dataclass(slots=True)
class Prepared:
    """What one change puts and drops. Nothing follows Remove or Abandon of a mail: ids are never used again."""

    id: int
    size: int
    """Bytes to write, as the batch bounds count them."""
    is_addition: bool
    """It brings new mail, and so is refused below the free-space floor; all else makes room or is small."""
    content: Sequence[Row] = ()
    envelope: Row | None = None
    state: Row | None = None
    partial: Row | None = None
    ends_partial: bool = False
    is_removal: bool = False
    """The mail leaves, with everything that is kept under its id."""
    budget: Sequence[tuple[bytes, bytes | None]] = ()
    """In this order; None deletes."""
    suppressed: Sequence[tuple[bytes, bytes | None]] = ()
    """Likewise."""
    several: SeveralRows | None = None
    claim: Claim | None = None
    """To an idempotency key; what else stands here is put only when it gets it."""
    refused: AlreadyTaken | None = None
    """Written by the commit: another mail has the key."""
    forget: Forget | None = None


@dataclass(slots=True)
class SeveralRows:
    """Of many mails. An object a mail would cost more than its rows."""

    envelopes: list[Row]
    states: list[Row]
    removed: list[int]


def prepare(change: Change, cipher: Cipher | None = None) -> Prepared:
    """The records of a change; those of mail are encrypted where there is a cipher."""
    match change:
        case Accept():
            return _accept(change.envelope.id, change, cipher)
        case Stream(id, index, data):
            prepared = Prepared(id, len(data), True, content=content_rows(id, index, data, cipher))
            if index == 1:
                prepared.partial = (mail_key(id), seal(mail_key(id), b""))
            return prepared
        case Record(id, recipients):
            key = mail_key(id)
            record = seal_state(key, recipients, cipher)
            return Prepared(id, len(record), False, state=(key, record))
        case Amend(envelope, recipients):
            key = mail_key(envelope.id)
            record = seal_envelope(key, envelope, cipher)
            prepared = Prepared(envelope.id, len(record), False, envelope=(key, record))
            if recipients is not None:
                prepared.state = (key, seal_state(key, recipients, cipher))
                prepared.size += len(prepared.state[1])
            return prepared
        case Several(changes):
            return _several(changes, cipher)
        case Remove(id):
            return Prepared(id, 0, False, is_removal=True)
        case Abandon(id):
            return Prepared(id, 0, False, ends_partial=True, is_removal=True)
        case Budget(rows):
            return _budget(rows)
        case Suppress(rows):
            keyed = [(key_of(address), value) for address, value in rows]
            sealed = [(key, None if value is None else seal_suppressed(key, value)) for key, value in keyed]
            return Prepared(
                NO_MAIL, sum([len(record or b"") for _, record in sealed]), False, suppressed=sealed
            )
        case Report():
            return _report(change, cipher)
        case Forget():
            return Prepared(NO_MAIL, 0, False, forget=change)


def _several(changes: Sequence[Record | Amend | Remove], cipher: Cipher | None) -> Prepared:
    rows = SeveralRows([], [], [])
    for change in changes:
        if isinstance(change, Remove):
            rows.removed.append(change.id)
            continue
        key = mail_key(change.id if isinstance(change, Record) else change.envelope.id)
        if isinstance(change, Amend):
            rows.envelopes.append((key, seal_envelope(key, change.envelope, cipher)))
        if change.recipients is not None:
            rows.states.append((key, seal_state(key, change.recipients, cipher)))
    size = sum([len(record) for _, record in rows.envelopes])
    size += sum([len(record) for _, record in rows.states])
    return Prepared(NO_MAIL, size, False, several=rows)


def _budget(rows: Sequence[tuple[bytes, bytes | None]]) -> Prepared:
    sealed = [(key, None if value is None else seal(key, value)) for key, value in rows]
    size = sum([len(key) + len(record or b"") for key, record in sealed])
    return Prepared(NO_MAIL, size, False, budget=sealed)


def _report(change: Report, cipher: Cipher | None) -> Prepared:
    """Under the id of the mail that is settled; the rows of the other one carry its own."""
    settled, mail = change.settled, change.mail
    whole = Prepared(NO_MAIL, 0, mail is not None) if settled is None else prepare(settled, cipher)
    # Beside an end it is no addition: held up by a full spool, it would hold up all that empties it. It takes
    # the place of the mail that failed, is no larger than the bound on what is returned, and the ballast has room.
    parts = [_budget(change.rows)] if change.rows else []
    if mail is not None:
        parts.append(_accept(mail.envelope.id, mail, cipher))
        whole.content, whole.envelope = parts[-1].content, parts[-1].envelope
        whole.id = whole.id or mail.envelope.id
    whole.size += sum([part.size for part in parts])
    whole.budget = parts[0].budget if change.rows else ()
    return whole


def _accept(id: int, change: Accept, cipher: Cipher | None) -> Prepared:
    row = mail_key(id)
    envelope = seal_envelope(row, change.envelope, cipher)
    return Prepared(
        id,
        len(envelope) + len(change.head),
        True,
        content=content_rows(id, 0, change.head, cipher),
        envelope=(row, envelope),
        ends_partial=change.envelope.chunks > 1,
        claim=change.claim,
    )
