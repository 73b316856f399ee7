"""The table of idempotency keys: whoever comes first has the key, and the same mail is not taken again.

Asked and answered within the transaction that would write the mail, whose writers take
turns: of two that come at the same moment, through whichever process, one is kept. A row
for each key, and one for its age:

    k ‖ name    id of the first mail ‖ content ‖ recipients
    t ‖ id      name

Ids rise with time, so the oldest key stands first among the ages, and what is too old goes
with each new one, some at a time: nothing ever holds up mail to clean up. A row that is
damaged counts as not there: rather twice than never.
"""

from typing import Protocol

from relay.errors import AlreadyTaken, RecordDamaged
from relay.spool.claim import CONTENT_BYTES, Claim, covers
from relay.spool.codec import mail_key, seal, unseal

TABLE = "idempotency"
FORGOTTEN_AT_ONCE = 4
"""Old keys that go with a new one: more than one, so that the table shrinks while it is used."""
_KEY, _AGE = b"k", b"t"


class Rows(Protocol):
    """The table within one transaction."""

    def get(self, key: bytes) -> bytes | None:
        """The record, if there is one."""
        ...

    def put(self, key: bytes, record: bytes) -> None:
        """In place of what there was."""
        ...

    def delete(self, key: bytes) -> None:
        """Also of what is not there."""
        ...

    def first(self, least: bytes) -> bytes | None:
        """The lowest key that is not below `least`."""
        ...

    def count(self) -> int:
        """All rows: two a key."""
        ...


def take(rows: Rows, id: int, claim: Claim) -> AlreadyTaken | None:
    """Give the key to the mail `id`; or which one has it, and whether this is the same mail."""
    key = _KEY + claim.name
    found = _read(rows, key)
    if found is not None:
        taken = _judged(found, claim)
        if taken is not None:
            return taken
        rows.delete(_AGE + mail_key(found[0]))
    age = _AGE + mail_key(id)
    rows.put(key, seal(key, mail_key(id) + claim.content + claim.recipients))
    rows.put(age, seal(age, claim.name))
    forget(rows, claim.oldest, FORGOTTEN_AT_ONCE, claim.most)
    return None


def holder(rows: Rows, claim: Claim) -> AlreadyTaken | None:
    """Which mail has the key, and whether it is the same one; None: nobody has it."""
    found = _read(rows, _KEY + claim.name)
    return None if found is None else _judged(found, claim)


def forget(rows: Rows, oldest: int, limit: int, most: int | None = None) -> None:
    """Drop up to `limit` keys of mails below `oldest`, and the oldest ones while there are more than `most`."""
    # Two rows a key. None: only what is too old goes.
    above = 0 if most is None else max(0, rows.count() // 2 - most)
    for _ in range(limit):
        age = rows.first(_AGE)
        if age is None or age[:1] != _AGE:
            return
        if int.from_bytes(age[1:], "big") >= oldest:
            if not above:
                return
            above -= 1
        _drop(rows, age)


def oldest_of(rows: Rows) -> int | None:
    """The mail whose key is the oldest; None: there is none."""
    age = rows.first(_AGE)
    return None if age is None or age[:1] != _AGE else int.from_bytes(age[1:], "big")


def partner_of(key: bytes, record: bytes) -> bytes:
    """The row that belongs to this one: of a key its age, of an age its key; RecordDamaged."""
    payload = bytes(unseal(key, record))
    return _AGE + payload[:8] if key[:1] == _KEY else _KEY + payload


def judge_pair(key: bytes, partner: bytes, record: bytes | None) -> None:
    """RecordDamaged when `record`, of the row that belongs to `key`, does not lead back to it."""
    if record is None:
        raise RecordDamaged("a key without its age" if key[:1] == _KEY else "an age without its key")
    if partner_of(partner, record) != key:
        raise RecordDamaged("key and age are of different mails")


def _drop(rows: Rows, age: bytes) -> None:
    name = _name(rows, age)
    rows.delete(age)
    if name is None:
        return
    key = _KEY + name
    found = _read(rows, key)
    # A key that was taken anew has another age.
    if found is None or found[0] == int.from_bytes(age[1:], "big"):
        rows.delete(key)


def _name(rows: Rows, age: bytes) -> bytes | None:
    record = rows.get(age)
    try:
        return None if record is None else bytes(unseal(age, record))
    except RecordDamaged:
        return None


def _judged(found: tuple[int, bytes, bytes], claim: Claim) -> AlreadyTaken | None:
    first, content, recipients = found
    if first < claim.oldest:
        return None
    return AlreadyTaken(first, content == claim.content and covers(recipients, claim.recipients))


def _read(rows: Rows, key: bytes) -> tuple[int, bytes, bytes] | None:
    record = rows.get(key)
    if record is None:
        return None
    try:
        payload = bytes(unseal(key, record))
    except RecordDamaged:
        return None
    return (
        int.from_bytes(payload[:8], "big"),
        payload[8 : 8 + CONTENT_BYTES],
        payload[8 + CONTENT_BYTES :],
    )
