"""A spool without a disk, for tests and benchmarks: the same records in dictionaries.

It keeps sealed records, as the disk does, so that a test can damage one. What it
lacks is durability, and the sharing between processes.
"""

from collections.abc import Callable, Collection, Iterator, Sequence

from relay.errors import AlreadyTaken, RecordDamaged, SpoolFull
from relay.message.envelope import Envelope
from relay.message.queue_id import slot_of
from relay.spool import claims, codec
from relay.spool.change import Change, RecipientState
from relay.spool.claim import Claim
from relay.spool.codec import mail_key
from relay.spool.entry import BudgetRows, Damaged, Entry, Mail, Page
from relay.spool.options import SpoolOptions
from relay.spool.prepared import Prepared, prepare
from relay.spool.suppressed import Suppressed, key_of


class MemoryStore:
    """`Store` in memory; `capacity_bytes` may be set to make it full."""

    def __init__(self, options: SpoolOptions, capacity_bytes: int = 1 << 40) -> None:
        self.options = options
        self.cipher = options.cipher()
        self.capacity_bytes = capacity_bytes
        self.envelope_rows: dict[bytes, bytes] = {}
        self.content_rows: dict[bytes, bytes] = {}
        self.state_rows: dict[bytes, bytes] = {}
        self.partial_rows: dict[bytes, bytes] = {}
        self.budget_records: dict[bytes, bytes] = {}
        self.suppressed_records: dict[bytes, bytes] = {}
        self.claim_records: dict[bytes, bytes] = {}
        self.set_aside: dict[int, str] = {}
        self._last_ids: dict[int, int] = {}
        self._pieces: dict[int, list[bytes]] = {}
        self._size = 0

    def close(self) -> None:
        """Nothing to let go of: it can be used again, like a file that is opened again."""

    def apply(self, changes: Sequence[Change]) -> None:
        """Commit all of them or none; SpoolFull."""
        self.commit([prepare(change, self.cipher) for change in changes])

    def commit(
        self,
        batch: Sequence[Prepared],
        on_written: Callable[[], None] = lambda: None,
        late: Callable[[], Sequence[Prepared]] = tuple,
    ) -> None:
        """`apply` for changes that are prepared already; `on_written` is called before the sync there is not."""
        batch = [*batch, *late()]
        size = sum(prepared.size for prepared in batch if prepared.is_addition)
        if size and self._size + size > self.capacity_bytes:
            raise SpoolFull("the spool's map is full")
        on_written()
        batch = [prepared for prepared in batch if self._has_key(prepared)]
        for prepared in batch:
            self._put(prepared)
        for prepared in batch:
            if prepared.ends_partial:
                self.partial_rows.pop(mail_key(prepared.id), None)
            if prepared.is_removal:
                self._drop(prepared.id)
            for id in prepared.several.removed if prepared.several is not None else ():
                self._drop(id)
            for rows, records in (
                (prepared.budget, self.budget_records),
                (prepared.suppressed, self.suppressed_records),
            ):
                for key, record in rows:
                    if record is None:
                        records.pop(key, None)
                    else:
                        records[key] = record

    def _has_key(self, prepared: Prepared) -> bool:
        """Gets it now, or needs none."""
        rows = _ClaimRows(self.claim_records)
        claim = prepared.claim
        prepared.refused = None if claim is None else claims.take(rows, prepared.id, claim)
        if prepared.forget is not None:
            claims.forget(rows, prepared.forget.oldest, prepared.forget.limit)
        return prepared.refused is None

    def _put(self, prepared: Prepared) -> None:
        for row, rows in (
            (prepared.envelope, self.envelope_rows),
            (prepared.state, self.state_rows),
            (prepared.partial, self.partial_rows),
        ):
            if row is not None:
                rows[row[0]] = row[1]
        if (several := prepared.several) is not None:
            self.envelope_rows |= several.envelopes
            self.state_rows |= several.states
        for key, record in prepared.content:
            id = int.from_bytes(key[:8], "big")
            self._last_ids[slot_of(id)] = max(id, self.last_id(slot_of(id)))
            self.content_rows[key] = record
            self._size += len(record)
        if prepared.content:
            # Of a report the content is another mail's than the one that is settled.
            id = int.from_bytes(prepared.content[0][0][:8], "big")
            self._pieces.setdefault(id, []).extend([key for key, _ in prepared.content])

    def _drop(self, id: int) -> None:
        key = mail_key(id)
        self.envelope_rows.pop(key, None)
        self.state_rows.pop(key, None)
        for content in self._pieces.pop(id, ()):
            self._size -= len(self.content_rows.pop(content, b""))

    def read(self, id: int) -> tuple[Envelope, bytes] | None:
        """Envelope and content record 0; None when the mail is not there; RecordDamaged."""
        key = mail_key(id)
        record = self.envelope_rows.get(key)
        if record is None:
            return None
        return codec.unseal_envelope(key, record, self.cipher), self.content(id, 0)

    def content(self, id: int, index: int) -> bytes:
        """A content record; RecordDamaged when it is damaged or missing."""
        return codec.join_content(id, index, self.content_rows.get, self.cipher)

    def state(self, id: int) -> tuple[RecipientState, ...] | None:
        """Where the recipients stand; None: nothing happened yet; RecordDamaged."""
        key = mail_key(id)
        record = self.state_rows.get(key)
        return None if record is None else codec.unseal_state(key, record, self.cipher)

    def scan(self, after: int = 0, limit: int = 10_000) -> list[Entry | Damaged]:
        """Up to `limit` mails with ids above `after`, in order of id."""
        reader = codec.EntryReader(self.cipher)
        found: list[Entry | Damaged] = []
        for key, envelope in self._rows(after, limit):
            try:
                found.append(reader.entry(key, envelope, self.state_rows.get(key)))
            except RecordDamaged as error:
                found.append(Damaged(int.from_bytes(key, "big"), "envelope or state", str(error)))
        return found

    def envelopes(self, after: int = 0, limit: int = 1_000) -> list[Envelope | Damaged]:
        """As `scan`, but whole envelopes."""
        found: list[Envelope | Damaged] = []
        for key, envelope in self._rows(after, limit):
            try:
                found.append(codec.unseal_envelope(key, envelope, self.cipher))
            except RecordDamaged as error:
                found.append(Damaged(int.from_bytes(key, "big"), "envelope", str(error)))
        return found

    def mails(self, after: int = 0, limit: int = 1_000) -> list[Mail | Damaged]:
        """As `scan`, but whole envelopes with their states."""
        found: list[Mail | Damaged] = []
        for key, envelope in self._rows(after, limit):
            try:
                found.append(codec.unseal_mail(key, envelope, self.state_rows.get(key), self.cipher))
            except RecordDamaged as error:
                found.append(Damaged(int.from_bytes(key, "big"), "envelope or state", str(error)))
        return found

    def page(self, after: int, limit: int, sieve: bytes) -> Page:
        """As `mails`, of those alone whose envelope may hold `sieve`."""
        rows = ((key, record, self.state_rows.get(key)) for key, record in self._rows(after, limit))
        return codec.sift(rows, sieve, self.cipher)

    def _rows(self, after: int, limit: int) -> list[tuple[bytes, bytes]]:
        """As they are now: the thread that commits may take some out while they are read."""
        first = mail_key(after + 1)
        if limit == 1 and (record := self.envelope_rows.get(first)) is not None:
            # One mail by its id, without a look at the others.
            return [(first, record)]
        return sorted(row for row in list(self.envelope_rows.items()) if row[0] >= first)[:limit]

    def budget_rows(self) -> BudgetRows:
        """What is kept of the budgets."""
        return codec.unseal_budget(sorted(self.budget_records.items()))

    def suppressed(self, address: bytes) -> Suppressed | None:
        """Why and until when no mail is taken for the address; None: it is; RecordDamaged."""
        key = key_of(address)
        record = self.suppressed_records.get(key)
        return None if record is None else codec.unseal_suppressed(key, record)

    def suppressions(self, after: bytes = b"", limit: int = 1_000) -> list[tuple[bytes, Suppressed | None]]:
        """Up to `limit` addresses above `after`, in order; None: the record is damaged."""
        found: list[tuple[bytes, Suppressed | None]] = []
        for key in sorted(key for key in self.suppressed_records if key > after)[:limit]:
            try:
                found.append((key, codec.unseal_suppressed(key, self.suppressed_records[key])))
            except RecordDamaged:
                found.append((key, None))
        return found

    def count_suppressed(self) -> int:
        """Addresses no mail is taken for."""
        return len(self.suppressed_records)

    def last_id(self, slot: int) -> int:
        """The highest id of this slot that ever came; 0: none did."""
        return self._last_ids.get(slot, 0)

    def key_holder(self, claim: Claim) -> AlreadyTaken | None:
        """Which mail has the idempotency key; None: nobody has it."""
        return claims.holder(_ClaimRows(self.claim_records), claim)

    def oldest_key(self) -> int | None:
        """The mail whose idempotency key is the oldest; None: there is none."""
        return claims.oldest_of(_ClaimRows(self.claim_records))

    def count_keys(self) -> int:
        """Idempotency keys."""
        return len(self.claim_records) // 2

    def partial(self) -> Iterator[int]:
        """Mails that were streamed and not accepted yet."""
        return (int.from_bytes(key, "big") for key in sorted(self.partial_rows))

    def aside(self) -> Iterator[tuple[int, str]]:
        """Mails moved aside, each with its reason."""
        yield from sorted(self.set_aside.items())

    def quarantine(self, id: int, reason: str) -> None:
        """Move what there is of a mail aside, with its reason; here its bytes are forgotten."""
        self._drop(id)
        self.partial_rows.pop(mail_key(id), None)
        self.set_aside[id] = reason

    def abandon_partial(self, slots: Collection[int]) -> int:
        """Drop what receivers of these slots streamed and never accepted; how many mails."""
        ids = [id for id in self.partial() if slot_of(id) in slots]
        for id in ids:
            self._drop(id)
            del self.partial_rows[mail_key(id)]
        return len(ids)

    def count(self) -> int:
        """How many mails are in the spool."""
        return len(self.envelope_rows)

    def restore_ballast(self) -> None:
        """There is none."""

    def free_bytes(self) -> int:
        """Room for new mail."""
        return self.capacity_bytes - self._size


class _ClaimRows:
    """`claims.Rows` over a dictionary."""

    def __init__(self, records: dict[bytes, bytes]) -> None:
        self._records = records

    def get(self, key: bytes) -> bytes | None:
        return self._records.get(key)

    def put(self, key: bytes, record: bytes) -> None:
        self._records[key] = record

    def delete(self, key: bytes) -> None:
        self._records.pop(key, None)

    def first(self, least: bytes) -> bytes | None:
        return min((key for key in self._records if key >= least), default=None)

    def count(self) -> int:
        return len(self._records)
