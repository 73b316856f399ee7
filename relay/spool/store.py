"""The spool on a disk: LMDB tables, one durable transaction a batch.

    envelope   id            who, to whom, how it came
    content    id ‖ index ‖ part   the mail's bytes: records of at most MAX_RECORD_BYTES, in pieces
    state      id            where the recipients stand, once something happened
    partial    id            streamed, not accepted yet
    damaged    id ‖ …        moved aside: the reason, and the raw records (see `_ASIDE`)
    meta       name          the format; of each slot the highest id that came in
    budget     `relay.budget.row`   what was used of limits, in windows
    suppressed address       no mail is taken for it: why, and until when
    idempotency `relay.spool.claims`   which mail has which idempotency key

A commit is durable: LMDB writes the pages, syncs, and then writes and syncs the page
that makes them the truth (sync and metasync on, no writemap: a full disk is an error
of write(2), never a SIGBUS). A failed one leaves nothing. Only a failed write of that
last page leaves LMDB in doubt; it then refuses all further use, and so do we
(SpoolBroken): the process ends, and reads at its next start what the disk really holds.

Freed pages are used again and the file never shrinks; `compact` does that.
"""

import errno
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeAlias, TypeVar

import lmdb

from relay.errors import AlreadyTaken, ConfigurationError, RecordDamaged, SpoolBroken, SpoolError, SpoolFull
from relay.message.envelope import Envelope
from relay.message.queue_id import slot_of
from relay.spool import claims, codec
from relay.spool.ballast import Ballast
from relay.spool.change import Change, RecipientState
from relay.spool.cipher import Cipher
from relay.spool.claim import Claim
from relay.spool.codec import mail_key
from relay.spool.entry import BudgetRows, Damaged, Entry, Mail, Page
from relay.spool.lock import Lock
from relay.spool.options import SpoolOptions
from relay.spool.prepared import Prepared, prepare
from relay.spool.suppressed import Suppressed, key_of
from relay.spool.turn import Turn

FORMAT = b"1"
DATA_FILE = "data.mdb"
IN_USE = "in-use"
"""The lock shared by all who have the store open."""
_TABLES = ("envelope", "content", "state", "partial", "damaged", "meta", "budget", "suppressed", claims.TABLE)
_LATER = frozenset({"budget", "suppressed", claims.TABLE})
"""Tables that spools made by earlier versions lack: who writes makes them, who reads finds them empty."""
_ASIDE = {"reason": b"r", "envelope": b"e", "content": b"c", "state": b"s"}
"""Second part of a key in `damaged`; the rest of the original key, if any, follows."""
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_QUARANTINE_STEP = 512
"""Pieces of content moved aside in one transaction: 8 MiB of dirty pages in memory."""
_PARTIAL_STEP = 1_000

_Transaction: TypeAlias = "lmdb.Transaction[bytes]"
_View: TypeAlias = "lmdb.Transaction[memoryview]"
_Found = TypeVar("_Found")


def _nothing() -> None:
    pass


class Store:
    """The spool's files, open. Any thread may read or commit; commits take turns, also between processes."""

    def __init__(
        self, env: lmdb.Environment, options: SpoolOptions, lock: Lock | None, read_only: bool
    ) -> None:
        """Use `open`."""
        self.options = options
        self.cipher = options.cipher()
        """Encrypts records of mail; None: they lie plain."""
        self._env = env
        self._lock = lock
        self._data_file = options.path / DATA_FILE
        self._ballast = Ballast(options.path, options.ballast_bytes)
        self._turn = None if read_only else Turn(options.path)
        with self._turn or nullcontext():
            tables = self._tables = _open_tables(env, read_only)
        self._envelope, self._content, self._state = tables["envelope"], tables["content"], tables["state"]
        self._partial, self._damaged, self._meta = tables["partial"], tables["damaged"], tables["meta"]

    @classmethod
    def open(cls, options: SpoolOptions, *, read_only: bool = False) -> "Store":
        """Open it, made when absent; ConfigurationError when it cannot be, or is of another format."""
        if not read_only:
            _make_folder(options.path)
        lock = Lock.share(options.path, IN_USE)
        try:
            store = cls._open(options, lock, read_only)
            if not read_only:
                store._ballast.restore()
            return store
        except lmdb.Error as error:
            lock.release()
            raise ConfigurationError(f"the spool {options.path} cannot be opened: {error}") from error
        except BaseException:
            lock.release()
            raise

    @classmethod
    def open_unshared(cls, options: SpoolOptions) -> "Store":
        """Open it for reading by one who holds it alone (`compact`)."""
        try:
            return cls._open(options, None, True)
        except lmdb.Error as error:
            raise ConfigurationError(f"the spool {options.path} cannot be opened: {error}") from error

    @classmethod
    def _open(cls, options: SpoolOptions, lock: Lock | None, read_only: bool) -> "Store":
        env = lmdb.open(
            str(options.path),
            map_size=options.map_size_bytes,
            max_dbs=len(_TABLES),
            mode=0o600,
            readonly=read_only,
            create=not read_only,
            # A read transaction is then renewed, not made: 1 µs less a read.
            max_spare_txns=2,
            # Data of format 0.9, whichever engine the library would choose for a new file.
            lib_version=0,
        )
        try:
            env.reader_check()
            store = cls(env, options, lock, read_only)
            store._check_format(read_only)
        except BaseException:
            env.close()
            raise
        return store

    def _check_format(self, read_only: bool) -> None:
        with self._reading() as txn:
            found = txn.get(b"format", db=self._meta)
        if found is None and not read_only:
            with self._writing() as txn:
                txn.put(b"format", codec.seal(b"format", FORMAT), db=self._meta)
            return
        try:
            known = found is not None and bytes(codec.unseal(b"format", found))
        except RecordDamaged as error:
            raise ConfigurationError(
                f"the spool {self.options.path} has an unreadable format: {error}"
            ) from None
        if known != FORMAT:
            raise ConfigurationError(
                f"the spool {self.options.path} is of format {known!r}; this version reads {FORMAT!r}"
            )

    def close(self) -> None:
        """Let go of the files; the store is of no more use."""
        self._env.close()
        if self._turn is not None:
            self._turn.close()
            self._turn = None
        if self._lock is not None:
            self._lock.release()

    # Changing

    def apply(self, changes: Sequence[Change]) -> None:
        """Commit all of them or none, durably; SpoolFull, SpoolError."""
        self.commit([prepare(change, self.cipher) for change in changes])

    def commit(
        self,
        batch: Sequence[Prepared],
        on_written: Callable[[], None] = _nothing,
        late: Callable[[], Sequence[Prepared]] = tuple,
    ) -> None:
        """`apply` for changes that are prepared already.

        `late` is asked for further ones when it is our turn to write, which may take as long as the commit of
        another process; `on_written` is called before the sync.
        """
        rows = list(batch)
        try:
            self._commit(rows, on_written, late)
        except SpoolFull:
            if any([prepared.is_addition for prepared in rows]) or not self._ballast.drop():
                raise
            self._commit(rows, on_written, tuple)

    def _commit(
        self, batch: list[Prepared], on_written: Callable[[], None], late: Callable[[], Sequence[Prepared]]
    ) -> None:
        with self._writing() as txn:
            batch += late()
            self._write(txn, batch)
            self._note_last_id(txn, batch)
            on_written()

    def _write(self, txn: _Transaction, batch: Sequence[Prepared]) -> None:
        if any([p.claim is not None for p in batch]):
            batch = self._with_keys(txn, batch)
        contents = [row for p in batch for row in p.content]
        envelopes = [p.envelope for p in batch if p.envelope is not None]
        states = [p.state for p in batch if p.state is not None]
        partials = [p.partial for p in batch if p.partial is not None]
        ended = [mail_key(p.id) for p in batch if p.ends_partial]
        removed = [mail_key(p.id) for p in batch if p.is_removal]
        for several in [p.several for p in batch if p.several is not None]:
            # Nobody else writes about their mails meanwhile: what is put first does not matter.
            envelopes += several.envelopes
            states += several.states
            removed += map(mail_key, several.removed)
        # Rows are put table by table: each call below gives the interpreter away, and beside a busy loop
        # getting it back can take a switch interval.
        for rows, table in (
            (contents, self._content),
            (envelopes, self._envelope),
            (states, self._state),
            (partials, self._partial),
        ):
            if rows:
                txn.cursor(table).putmulti(rows)
        for key in ended:
            txn.delete(key, db=self._partial)
        if removed:
            self._remove(txn, removed)
        for prepared in batch:
            if prepared.budget:
                self._put_rows(txn, "budget", prepared.budget)
            if prepared.suppressed:
                self._put_rows(txn, "suppressed", prepared.suppressed)
            if prepared.forget is not None:
                claims.forget(self._claims(txn), prepared.forget.oldest, prepared.forget.limit)

    def _note_last_id(self, txn: _Transaction, batch: Sequence[Prepared]) -> None:
        """Ids begin above it after a restart, wherever the clock stands then. Once a commit: all of a process are of one slot."""
        came = max([p.content[-1][0] for p in batch if p.content], default=b"")[:8]
        if came:
            key = _last_id_key(slot_of(int.from_bytes(came, "big")))
            if came > _last_id(key, txn.get(key, db=self._meta)):
                txn.put(key, codec.seal(key, came), db=self._meta)

    def _with_keys(self, txn: _Transaction, batch: Sequence[Prepared]) -> list[Prepared]:
        """Give keys to those that claim one; without those that do not get it."""
        rows, kept = self._claims(txn), []
        for prepared in batch:
            # Anew at each attempt: what an attempt that failed found is not true any more.
            claim = prepared.claim
            prepared.refused = None if claim is None else claims.take(rows, prepared.id, claim)
            if prepared.refused is None:
                kept.append(prepared)
        return kept

    def _claims(self, txn: _Transaction) -> "_ClaimRows":
        return _ClaimRows(txn, self._tables[claims.TABLE])

    def _put_rows(self, txn: _Transaction, name: str, rows: Sequence[tuple[bytes, bytes | None]]) -> None:
        table = self._tables[name]
        for key, record in rows:
            if record is None:
                txn.delete(key, db=table)
            else:
                txn.put(key, record, db=table)

    def _remove(self, txn: _Transaction, keys: Sequence[bytes]) -> None:
        contents = txn.cursor(self._content)
        for key in keys:
            txn.delete(key, db=self._envelope)
            # Looking is cheaper than deleting what is not there: most mails leave without a state.
            if txn.get(key, db=self._state) is not None:
                txn.delete(key, db=self._state)
            _remove_content(contents, key)

    # Reading

    def read(self, id: int) -> tuple[Envelope, bytes] | None:
        """Envelope and content record 0; None when the mail is not there; RecordDamaged."""
        key = mail_key(id)
        with self._viewing() as txn:
            record = txn.get(key, db=self._envelope)
            if record is None:
                return None
            envelope = codec.unseal_envelope(key, record, self.cipher)
            return envelope, codec.join_content(
                id, 0, lambda key: txn.get(key, db=self._content), self.cipher
            )

    def content(self, id: int, index: int) -> bytes:
        """A content record; RecordDamaged when it is damaged or missing."""
        with self._viewing() as txn:
            return codec.join_content(id, index, lambda key: txn.get(key, db=self._content), self.cipher)

    def state(self, id: int) -> tuple[RecipientState, ...] | None:
        """Where the recipients stand; None: nothing happened yet; RecordDamaged."""
        key = mail_key(id)
        with self._viewing() as txn:
            record = txn.get(key, db=self._state)
            return None if record is None else codec.unseal_state(key, record, self.cipher)

    def scan(self, after: int = 0, limit: int = 10_000) -> list[Entry | Damaged]:
        """Up to `limit` mails with ids above `after`, in order of id; fewer only at the end."""
        return self._scan(codec.EntryReader(self.cipher).entry, after, limit)

    def mails(self, after: int = 0, limit: int = 1_000) -> list[Mail | Damaged]:
        """As `scan`, but whole envelopes with their states."""
        return self._scan(partial(codec.unseal_mail, cipher=self.cipher), after, limit)

    def page(self, after: int, limit: int, sieve: bytes) -> Page:
        """As `mails`, of those alone whose envelope may hold `sieve`."""
        with self._reading() as txn:
            return codec.sift(islice(self._rows(txn, after), limit), sieve, self.cipher)

    def _scan(
        self, read: Callable[[bytes, bytes, bytes | None], _Found], after: int, limit: int
    ) -> list[_Found | Damaged]:
        found: list[_Found | Damaged] = []
        with self._reading() as txn:
            for key, record, state in islice(self._rows(txn, after), limit):
                try:
                    found.append(read(key, record, state))
                except RecordDamaged as error:
                    found.append(_damaged(key, "envelope or state", error))
        return found

    def _rows(self, txn: _Transaction, after: int) -> Iterator[codec.Row]:
        """Envelopes and their states; copies, which of records as small as these cost less than views."""
        states, cursor = txn.cursor(self._state), txn.cursor(self._envelope)
        first = mail_key(after + 1)
        has_state = states.set_range(first)
        state_key = states.key() if has_state else b""
        if not cursor.set_range(first):
            return
        for key, record in cursor.iternext():
            while has_state and state_key < key:
                has_state = states.next()
                state_key = states.key()
            yield key, record, states.value() if state_key == key else None

    def envelopes(self, after: int = 0, limit: int = 1_000) -> list[Envelope | Damaged]:
        """As `scan`, but whole envelopes."""
        found: list[Envelope | Damaged] = []
        with self._viewing() as txn:
            cursor = txn.cursor(self._envelope)
            if not cursor.set_range(mail_key(after + 1)):
                return found
            for view, record in cursor.iternext():
                key = bytes(view)
                try:
                    found.append(codec.unseal_envelope(key, record, self.cipher))
                except RecordDamaged as error:
                    found.append(_damaged(key, "envelope", error))
                if len(found) >= limit:
                    break
        return found

    def partial(self) -> Iterator[int]:
        """Mails that were streamed and not accepted yet."""
        with self._reading() as txn:
            keys = list(txn.cursor(self._partial).iternext(values=False))
        return (int.from_bytes(key, "big") for key in keys)

    def aside(self) -> Iterator[tuple[int, str]]:
        """Mails moved aside, each with its reason."""
        with self._reading() as txn:
            for key, record in txn.cursor(self._damaged).iternext():
                if key[8:] == _ASIDE["reason"]:
                    yield int.from_bytes(key[:8], "big"), codec.unseal_reason(key, record)

    def budget_rows(self) -> BudgetRows:
        """What is kept of the budgets."""
        if "budget" not in self._tables:
            return codec.unseal_budget(())
        with self._reading() as txn:
            return codec.unseal_budget(txn.cursor(self._tables["budget"]).iternext())

    def suppressed(self, address: bytes) -> Suppressed | None:
        """Why and until when no mail is taken for the address, be it over or not; None: it is; RecordDamaged."""
        if "suppressed" not in self._tables:
            return None
        key = key_of(address)
        with self._viewing() as txn:
            record = txn.get(key, db=self._tables["suppressed"])
            return None if record is None else codec.unseal_suppressed(key, record)

    def suppressions(self, after: bytes = b"", limit: int = 1_000) -> list[tuple[bytes, Suppressed | None]]:
        """Up to `limit` addresses above `after`, in order; None: the record is damaged."""
        found: list[tuple[bytes, Suppressed | None]] = []
        if "suppressed" not in self._tables:
            return found
        with self._viewing() as txn:
            cursor = txn.cursor(self._tables["suppressed"])
            rows = cursor.iternext() if cursor.set_range(after + b"\0" if after else b"\0") else iter(())
            for view, record in islice(rows, limit):
                key = bytes(view)
                try:
                    found.append((key, codec.unseal_suppressed(key, record)))
                except RecordDamaged:
                    found.append((key, None))
        return found

    def count_suppressed(self) -> int:
        """Addresses no mail is taken for, those whose time is over among them until somebody takes them out."""
        return self.rows_in("suppressed")

    def last_id(self, slot: int) -> int:
        """The highest id of this slot whose mail, or a part of it, was ever committed; 0: none was."""
        key = _last_id_key(slot)
        with self._reading() as txn:
            return int.from_bytes(_last_id(key, txn.get(key, db=self._meta)), "big")

    def key_holder(self, claim: Claim) -> AlreadyTaken | None:
        """Which mail has the idempotency key, and whether it is the same one; None: nobody has it."""
        if claims.TABLE not in self._tables:
            return None
        with self._reading() as txn:
            return claims.holder(self._claims(txn), claim)

    def oldest_key(self) -> int | None:
        """The mail whose idempotency key is the oldest; None: there is none."""
        if claims.TABLE not in self._tables:
            return None
        with self._reading() as txn:
            return claims.oldest_of(self._claims(txn))

    def count_keys(self) -> int:
        """Idempotency keys, those whose time is over among them until they are dropped."""
        return self.rows_in(claims.TABLE) // 2

    # Mending

    def quarantine(self, id: int, reason: str) -> None:
        """Move what there is of a mail aside, with its reason. A crash in between leaves it to the next call."""
        key = mail_key(id)
        with self._writing() as txn:
            row = key + _ASIDE["reason"]
            txn.put(row, codec.seal_reason(row, reason), db=self._damaged)
        while self._set_aside_content(key):
            pass
        with self._writing() as txn:
            for name, table in (("state", self._state), ("envelope", self._envelope)):
                record = txn.pop(key, db=table)
                if record is not None:
                    txn.put(key + _ASIDE[name], record, db=self._damaged)
            txn.delete(key, db=self._partial)

    def _set_aside_content(self, key: bytes) -> bool:
        """Move some content records; whether there may be more."""
        with self._writing() as txn:
            cursor = txn.cursor(self._content)
            for _ in range(_QUARANTINE_STEP):
                if not cursor.set_range(key) or cursor.key()[:8] != key:
                    return False
                row = key + _ASIDE["content"] + cursor.key()[8:]
                txn.put(row, cursor.value(), db=self._damaged)
                cursor.delete()
        return True

    def abandon_partial(self, slots: Collection[int]) -> int:
        """Drop what receivers of these slots streamed and never accepted; how many mails."""
        ids = [id for id in self.partial() if slot_of(id) in slots]
        for start in range(0, len(ids), _PARTIAL_STEP):
            with self._writing() as txn:
                contents = txn.cursor(self._content)
                for id in ids[start : start + _PARTIAL_STEP]:
                    _remove_content(contents, mail_key(id))
                    txn.delete(mail_key(id), db=self._partial)
        return len(ids)

    # Measuring

    def count(self) -> int:
        """How many mails are in the spool."""
        return self.rows_in("envelope")

    def used_bytes(self) -> int:
        """What the tables take; the rest of the file is free pages and LMDB's own list of them."""
        page = self._env.stat()["psize"]
        with self._reading() as txn:
            stats = [txn.stat(table) for table in self._tables.values()]
        pages = sum(stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"] for stat in stats)
        return page * (pages + 3)

    def restore_ballast(self) -> None:
        """Take back the room that removals were given; to be called when there is enough."""
        self._ballast.restore()

    def free_bytes(self) -> int:
        """Room for new mail: in the map and on the disk, whichever is less."""
        # A process that was killed while it read keeps freed pages from being used again until somebody looks.
        self._env.reader_check()
        used = self.used_bytes()
        in_file = max(0, self.file_bytes() - used)
        return min(self._env.info()["map_size"] - used, self.free_on_disk_bytes() + in_file)

    def free_on_disk_bytes(self) -> int:
        """Room outside the file."""
        disk = os.statvfs(self.options.path)
        return disk.f_bavail * disk.f_frsize

    def file_bytes(self) -> int:
        """What the queue file takes on the disk."""
        return os.stat(self._data_file).st_blocks * 512

    # For check.py and compact.py

    @contextmanager
    def snapshot(self) -> Iterator["Snapshot"]:
        """One moment of the spool."""
        with self._reading() as txn:
            yield Snapshot(txn, self._tables, self.cipher)

    def counts(self) -> dict[str, int]:
        """Rows in every table."""
        return {table: self.rows_in(table) for table in self._tables}

    def rows_in(self, table: str) -> int:
        """Rows in one table."""
        if table not in self._tables:
            return 0
        with self._reading() as txn:
            return txn.stat(self._tables[table])["entries"]

    def copy_compacted(self, folder: Path) -> None:
        """Write a copy without free pages to `folder`, which must be empty."""
        try:
            self._env.copy(str(folder), compact=True)
        except lmdb.Error as error:
            raise _translated(error) from error

    # Transactions

    @contextmanager
    def _writing(self) -> Iterator[_Transaction]:
        try:
            with self._turn or nullcontext(), self._env.begin(write=True) as txn:
                yield txn
        except lmdb.Error as error:
            # LMDB calls a write that came out short an input/output error; on a disk with no room it is not.
            if error.code == errno.EIO and self.free_on_disk_bytes() < self.options.max_batch_bytes:
                raise SpoolFull(f"the spool's file system is full: {error}") from error
            raise _translated(error) from error

    @contextmanager
    def _reading(self) -> Iterator[_Transaction]:
        try:
            with self._env.begin() as txn:
                yield txn
        except lmdb.Error as error:
            raise _translated(error) from error

    @contextmanager
    def _viewing(self) -> Iterator[_View]:
        try:
            with self._env.begin(buffers=True) as txn:
                yield txn
        except lmdb.Error as error:
            raise _translated(error) from error


class Snapshot:
    """Rows as they were at one moment; of use within `Store.snapshot` only."""

    def __init__(
        self, txn: _Transaction, tables: Mapping[str, lmdb._Database], cipher: Cipher | None
    ) -> None:
        self.cipher = cipher
        self._txn = txn
        self._tables = tables

    def keys(self, table: str, after: bytes, limit: int) -> list[bytes]:
        """Up to `limit` keys above `after`."""
        if table not in self._tables:
            return []
        cursor = self._txn.cursor(self._tables[table])
        found = cursor.set_range(after + b"\0") if after else cursor.first()
        return list(islice(cursor.iternext(values=False), limit)) if found else []

    def get(self, table: str, key: bytes) -> bytes | None:
        """One record, None when it is not there."""
        return self._txn.get(key, db=self._tables[table])

    def is_reason(self, key: bytes) -> bool:
        """The row of `damaged` with this key says why a mail was moved aside."""
        return key[8:] == _ASIDE["reason"]


class _ClaimRows:
    """`claims.Rows`, within a transaction."""

    def __init__(self, txn: _Transaction, table: "lmdb._Database") -> None:
        self._txn = txn
        self._table = table
        self._cursor = txn.cursor(table)

    def get(self, key: bytes) -> bytes | None:
        return self._txn.get(key, db=self._table)

    def put(self, key: bytes, record: bytes) -> None:
        self._txn.put(key, record, db=self._table)

    def delete(self, key: bytes) -> None:
        self._txn.delete(key, db=self._table)

    def first(self, least: bytes) -> bytes | None:
        return self._cursor.key() if self._cursor.set_range(least) else None

    def count(self) -> int:
        return int(self._txn.stat(self._table)["entries"])


def _open_tables(env: lmdb.Environment, read_only: bool) -> dict[str, lmdb._Database]:
    tables = {}
    for name in _TABLES:
        try:
            tables[name] = env.open_db(name.encode(), create=not read_only)
        except lmdb.NotFoundError:
            if name not in _LATER:
                raise
    return tables


def _last_id_key(slot: int) -> bytes:
    return b"last id of slot %d" % slot


def _last_id(key: bytes, record: bytes | None) -> bytes:
    try:
        return b"" if record is None else bytes(codec.unseal(key, record))
    except RecordDamaged:
        # The clock alone, as before there was one.
        return b""


def _remove_content(cursor: "lmdb.Cursor[bytes]", key: bytes) -> None:
    found = cursor.set_range(key)
    while found and cursor.key()[:8] == key:
        found = cursor.delete()


def _translated(error: lmdb.Error) -> SpoolError:
    if isinstance(error, lmdb.MapFullError):
        return SpoolFull("the spool's map is full")
    if error.code in _FULL:
        return SpoolFull(f"the spool's file system is full: {error}")
    if isinstance(error, (lmdb.PanicError, lmdb.CorruptedError, lmdb.PageNotFoundError)):
        return SpoolBroken(f"the spool is of no more use to this process: {error}")
    return SpoolError(f"the spool failed: {error}")


def _damaged(key: bytes, table: str, error: RecordDamaged) -> Damaged:
    return Damaged(int.from_bytes(key, "big"), table, str(error))


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"the spool folder {path} cannot be made: {error.strerror}") from error
