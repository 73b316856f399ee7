"""Keys and records of the spool: integers and values to bytes and back.

A record is the CRC32 of its key and payload, big endian, and the payload. With the
key in the sum, a record that turns up under another mail's key is damaged too: one
client's content never leaves under another's envelope. A payload is msgpack, but
for content, which is the bytes themselves.

Envelopes, states and content may be encrypted (`cipher`); the sum is then one over the
key, SEALED and the box. So each record says itself which of both it is, and a spool may
hold mail from before there was a key.
"""

from collections.abc import Callable, Iterable
from zlib import crc32

import msgspec
from msgspec import Struct

from relay.errors import RecordDamaged
from relay.message.envelope import Envelope
from relay.message.priority import Priority
from relay.spool.change import RecipientState, Status
from relay.spool.cipher import MARK_BYTES, OVERHEAD_BYTES, Cipher, missing
from relay.spool.entry import BudgetRows, Damaged, Entry, Mail, Page
from relay.spool.handover import Queued
from relay.spool.suppressed import Suppressed

PIECE_BYTES = 4 * 4096 - 16 - 4
"""Content lies in pieces of four pages, LMDB's page header and our sum deducted. LMDB needs pages that stand side
by side for a record, and searches its whole list of free ones for them: after a backlog of 300,000 mails had come
and gone, commits with records of 26 pages took six times as long (docs/decisions/0001-spool-commit.md)."""

PAGE_BYTES = 262_144
"""Records of mail read in one go: a mail has some 200 bytes, one to 10,000 recipients half a MiB, which takes 5 ms."""
Row = tuple[bytes, bytes, bytes | None]
"""Of a mail: key, envelope, state."""
SUM_BYTES = 4
FULL_BYTES = PIECE_BYTES + SUM_BYTES
"""The record of a piece that another one follows."""
SEALED = b"sealed"
"""In the sum of a record that is encrypted."""

_encode = msgspec.msgpack.Encoder().encode
_decode_envelope = msgspec.msgpack.Decoder(Envelope).decode
_decode_suppressed = msgspec.msgpack.Decoder(Suppressed).decode
_decode_state = msgspec.msgpack.Decoder(tuple[RecipientState, ...]).decode


def mail_key(id: int) -> bytes:
    """The key in every table but `content`."""
    return id.to_bytes(8, "big")


def content_key(id: int, index: int, part: int = 0) -> bytes:
    """The key of one piece of a content record; those of a mail stand side by side, in order."""
    return (id << 48 | index << 16 | part).to_bytes(14, "big")


def content_rows(
    id: int, index: int, data: bytes | bytearray, cipher: Cipher | None = None
) -> list[tuple[bytes, bytes]]:
    """A content record in pieces; the first whose record is not full ends it, even when it is empty."""
    size = PIECE_BYTES if cipher is None else PIECE_BYTES - OVERHEAD_BYTES
    if len(data) < size:
        key = content_key(id, index)
        return [(key, seal(key, data, cipher))]
    rows = []
    for part, start in enumerate(range(0, len(data) + 1, size)):
        key = content_key(id, index, part)
        rows.append((key, seal(key, data[start : start + size], cipher)))
    return rows


def join_content(
    id: int, index: int, get: Callable[[bytes], bytes | memoryview | None], cipher: Cipher | None = None
) -> bytes:
    """The content record whose pieces `get` finds; RecordDamaged when one is damaged or missing."""
    key = content_key(id, index)
    record = _found(get(key), index)
    first = unseal(key, record, cipher)
    if len(record) < FULL_BYTES:
        return bytes(first)
    pieces = [first]
    while len(record) == FULL_BYTES:
        key = content_key(id, index, len(pieces))
        record = _found(get(key), index)
        pieces.append(unseal(key, record, cipher))
    return b"".join(pieces)


def _found(record: bytes | memoryview | None, index: int) -> bytes | memoryview:
    if record is None:
        raise RecordDamaged(f"content record {index} is missing, or a piece of it")
    return record


def seal(key: bytes, payload: bytes | bytearray, cipher: Cipher | None = None) -> bytes:
    """The record of `payload` under `key`, encrypted where there is a cipher."""
    if cipher is None:
        return crc32(payload, crc32(key)).to_bytes(4, "big") + payload
    box = cipher.encrypt(key, payload)
    return crc32(box, crc32(SEALED, crc32(key))).to_bytes(4, "big") + box


def unseal(key: bytes, record: bytes | memoryview, cipher: Cipher | None = None) -> memoryview | bytes:
    """The payload, as a view of the record where that is plain; RecordDamaged when its sum does not fit.

    ConfigurationError when it is encrypted, and there is no key for it.
    """
    if cipher is None and isinstance(record, bytes) and len(record) >= SUM_BYTES:
        # What most records are, with half the steps.
        rest = record[SUM_BYTES:]
        if crc32(rest, crc32(key)) == int.from_bytes(record[:SUM_BYTES], "big"):
            return rest
    view = memoryview(record)
    payload = view[4:]
    total = int.from_bytes(view[:4], "big")
    if cipher is not None and _is_sealed(key, payload, total):
        return cipher.decrypt(key, payload)
    if len(view) < 4 or crc32(payload, crc32(key)) != total:
        if cipher is None and _is_sealed(key, payload, total):
            raise missing(bytes(payload[:MARK_BYTES]))
        raise RecordDamaged(f"the check sum of {len(view)} bytes does not fit")
    if cipher is not None:
        cipher.opened["plain"] += 1
    return payload


def _is_sealed(key: bytes, box: memoryview, total: int) -> bool:
    return len(box) >= OVERHEAD_BYTES and crc32(box, crc32(SEALED, crc32(key))) == total


def seal_envelope(key: bytes, envelope: Envelope, cipher: Cipher | None = None) -> bytes:
    """The record of an envelope."""
    return seal(key, _encode(envelope), cipher)


def unseal_envelope(key: bytes, record: bytes | memoryview, cipher: Cipher | None = None) -> Envelope:
    """The envelope in a record; RecordDamaged when there is none."""
    return _envelope(key, unseal(key, record, cipher))


def _envelope(key: bytes, payload: bytes | memoryview) -> Envelope:
    try:
        envelope = _decode_envelope(payload)
    except msgspec.MsgspecError as error:
        raise RecordDamaged(f"not an envelope: {error}") from None
    if mail_key(envelope.id) != key:
        raise RecordDamaged("the envelope is of another mail")
    return envelope


def seal_state(key: bytes, state: tuple[RecipientState, ...], cipher: Cipher | None = None) -> bytes:
    """The record of where the recipients stand."""
    return seal(key, _encode(state), cipher)


def unseal_state(
    key: bytes, record: bytes | memoryview, cipher: Cipher | None = None
) -> tuple[RecipientState, ...]:
    """The recipients' states in a record; RecordDamaged when there are none."""
    try:
        return _decode_state(unseal(key, record, cipher))
    except msgspec.MsgspecError as error:
        raise RecordDamaged(f"not a state: {error}") from None


def unseal_mail(
    key: bytes,
    envelope: bytes | memoryview,
    state: bytes | memoryview | None,
    cipher: Cipher | None = None,
) -> Mail:
    """A mail of its two records; RecordDamaged when one is, or when they do not fit each other."""
    return _mail(key, unseal(key, envelope, cipher), state, cipher)


def _mail(
    key: bytes, payload: bytes | memoryview, state: bytes | memoryview | None, cipher: Cipher | None
) -> Mail:
    found = _envelope(key, payload)
    if state is None:
        if len(found.recipients) == 1:
            return Mail(found, _ALONE, False)
        return Mail(found, (_AS_IT_CAME,) * len(found.recipients), False)
    states = unseal_state(key, state, cipher)
    if len(states) != len(found.recipients):
        raise unfit(len(states), len(found.recipients))
    return Mail(found, states, True)


def unfit(states: int, recipients: int) -> RecordDamaged:
    """Nobody can say which state is whose."""
    return RecordDamaged(f"{states} states for {recipients} recipients")


def sift(rows: Iterable[Row], sieve: bytes, cipher: Cipher | None = None) -> Page:
    """The mails of these rows whose envelope may hold `sieve`, and those that are damaged.

    Text lies in a payload as its UTF-8: what does not hold a campaign's name is not of that campaign. The sum is
    looked at all the same, so that a damaged mail is never passed over in silence. It ends with the rows, or when
    PAGE_BYTES of records were read.
    """
    found: list[Mail | Damaged] = []
    looked_at, read, key = 0, 0, b""
    for key, record, state in rows:
        looked_at += 1
        try:
            payload = record[SUM_BYTES:]
            if cipher or crc32(payload, crc32(key)) != int.from_bytes(record[:SUM_BYTES], "big"):
                # Encrypted, or damaged: `unseal` knows which.
                payload = bytes(unseal(key, record, cipher))
            if sieve in payload:
                found.append(_mail(key, payload, state, cipher))
                read += len(record) if state is None else len(record) + len(state)
        except RecordDamaged as error:
            found.append(Damaged(int.from_bytes(key, "big"), "envelope or state", str(error)))
        if read >= PAGE_BYTES:
            break
    return Page(found, looked_at, int.from_bytes(key, "big"))


_AS_IT_CAME = RecipientState()
_ALONE = (_AS_IT_CAME,)


class _RouteOnly(Struct, array_like=True, gc=False):
    """The beginning of a Recipient."""

    address: bytes
    route: str


_SKIPPED = msgspec.Raw()


class _QueuedOnly(Struct, array_like=True, gc=False):
    """The beginning of an Envelope: what the queue must know. msgspec skips the rest undecoded."""

    id: int
    sender: bytes
    recipients: tuple[_RouteOnly, ...]
    received_at: float
    size: int
    chunks: int
    client: str
    helo: msgspec.Raw = _SKIPPED
    is_8bit: msgspec.Raw = _SKIPPED
    is_utf8: msgspec.Raw = _SKIPPED
    ret: msgspec.Raw = _SKIPPED
    envid: msgspec.Raw = _SKIPPED
    message_id: bytes = b""
    account: str = ""
    priority: Priority = Priority.NORMAL
    campaign: str = ""
    not_before: float = 0.0
    deadline: float = 0.0
    original_sender: msgspec.Raw = _SKIPPED
    uncertain: msgspec.Raw = _SKIPPED
    subject: str = ""


class EntryReader:
    """Reads the records of a scan; mails with the same routes share one tuple of them."""

    def __init__(self, cipher: Cipher | None = None) -> None:
        self._cipher = cipher
        self._decode = msgspec.msgpack.Decoder(_QueuedOnly).decode
        self._routes: dict[tuple[str, ...], tuple[str, ...]] = {}

    def queued(self, key: bytes, record: bytes | memoryview) -> Queued:
        """The queue's part of an envelope; RecordDamaged when the record is none."""
        head = self._head(key, record)
        return self._queued(head, [recipient.route for recipient in head.recipients])

    def entry(self, key: bytes, envelope: bytes | memoryview, state: bytes | memoryview | None) -> Entry:
        """The entry of one mail: its routes are those on which somebody waits; RecordDamaged when a record is
        damaged, or when the two do not fit each other."""
        if state is None:
            return Entry(self.queued(key, envelope), None)
        head, states = self._head(key, envelope), unseal_state(key, state, self._cipher)
        if len(states) != len(head.recipients):
            raise unfit(len(states), len(head.recipients))
        left = [
            recipient.route
            for recipient, each in zip(head.recipients, states, strict=True)
            if each.status is Status.QUEUED
        ]
        return Entry(self._queued(head, left), states)

    def _head(self, key: bytes, record: bytes | memoryview) -> _QueuedOnly:
        try:
            head = self._decode(unseal(key, record, self._cipher))
        except msgspec.MsgspecError as error:
            raise RecordDamaged(f"not an envelope: {error}") from None
        if mail_key(head.id) != key:
            raise RecordDamaged("the envelope is of another mail")
        return head

    def _queued(self, head: _QueuedOnly, each: list[str]) -> Queued:
        """With these routes, each once."""
        routes = tuple(each)
        if len(routes) > 1:
            routes = tuple(dict.fromkeys(routes))
        routes = self._routes.setdefault(routes, routes)
        return Queued(
            head.id,
            head.received_at,
            head.size,
            head.chunks,
            routes,
            head.sender,
            head.account or head.client,
            head.priority,
            head.campaign,
            head.not_before,
            head.client,
            head.message_id,
            head.account,
            tuple([recipient.address for recipient in head.recipients]),
            head.deadline,
            head.subject,
        )


def unseal_budget(records: Iterable[tuple[bytes, bytes]]) -> BudgetRows:
    """The rows of the budgets; a damaged one loses its value and keeps its key, which may be damaged too."""
    rows: list[tuple[bytes, bytes]] = []
    damaged: list[tuple[bytes, str]] = []
    for key, record in records:
        try:
            rows.append((key, bytes(unseal(key, record))))
        except RecordDamaged as error:
            damaged.append((key, str(error)))
    return BudgetRows(tuple(rows), tuple(damaged))


def seal_suppressed(key: bytes, suppressed: Suppressed) -> bytes:
    """The record of an address that no mail is taken for."""
    return seal(key, _encode(suppressed))


def unseal_suppressed(key: bytes, record: bytes | memoryview) -> Suppressed:
    """What it says; RecordDamaged when it is none."""
    try:
        return _decode_suppressed(unseal(key, record))
    except msgspec.MsgspecError as error:
        raise RecordDamaged(f"not a suppressed address: {error}") from None


def seal_reason(key: bytes, reason: str) -> bytes:
    """The record that says why a mail was moved aside."""
    return seal(key, reason.encode("utf-8", "replace"))


def unseal_reason(key: bytes, record: bytes | memoryview) -> str:
    """Why a mail was moved aside."""
    return bytes(unseal(key, record)).decode("utf-8", "replace")
