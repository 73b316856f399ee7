"""A change turned into the bytes that will lie on the disk.

It is done by whoever submits the change, who holds the interpreter anyway: the
thread that commits should need the interpreter as seldom as it can.
"""

from dataclasses import dataclass

from relay.spool.change import Abandon, Accept, Change, Record, Remove, Stream
from relay.spool.codec import content_key, mail_key, seal, seal_envelope, seal_state

Row = tuple[bytes, bytes]
"""Key and record."""


@dataclass(slots=True)
class Prepared:
    """What one change puts and drops. Nothing follows Remove or Abandon of a mail: ids are never used again."""

    id: int
    size: int
    """Bytes to write, as the batch bounds count them."""
    is_addition: bool
    """It brings new mail, and so is refused below the free-space floor; all else makes room or is small."""
    content: Row | None = None
    envelope: Row | None = None
    state: Row | None = None
    partial: Row | None = None
    ends_partial: bool = False
    drop_chunks: int | None = None
    """The mail leaves with this many content records; -1 when their number is not known."""


def prepare(change: Change) -> Prepared:
    """The records of a change."""
    match change:
        case Accept():
            return _accept(change.envelope.id, change)
        case Stream(id, index, data):
            key = content_key(id, index)
            record = seal(key, data)
            prepared = Prepared(id, len(record), True, content=(key, record))
            if index == 1:
                prepared.partial = (mail_key(id), seal(mail_key(id), b""))
            return prepared
        case Record(id, recipients):
            key = mail_key(id)
            record = seal_state(key, recipients)
            return Prepared(id, len(record), False, state=(key, record))
        case Remove(id, chunks):
            return Prepared(id, 0, False, drop_chunks=chunks)
        case Abandon(id):
            return Prepared(id, 0, False, ends_partial=True, drop_chunks=-1)


def _accept(id: int, change: Accept) -> Prepared:
    row = mail_key(id)
    first = content_key(id, 0)
    envelope = seal_envelope(row, change.envelope)
    content = seal(first, change.head)
    return Prepared(
        id,
        len(envelope) + len(content),
        True,
        content=(first, content),
        envelope=(row, envelope),
        ends_partial=change.envelope.chunks > 1,
    )
