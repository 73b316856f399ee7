"""The record of who was seen, on the disk: one row a sender, in a SQLite file that all receivers write.

A batch is one transaction, synced, some seconds apart: it reads the rows that it speaks
of, adds, and writes. So the counts of all receivers are one, and a process that is killed
takes the sightings since its last batch with it and nothing else. The rows and each row
are bounded; who sent nothing goes first, then who was seen longest ago.
"""

from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import msgspec

from relay.errors import RelayError
from relay.trace.history import database
from relay.trace.history.database import Connection, Error
from relay.trace.history.options import HistoryError
from relay.trace.seen.sighting import Sighting, Who

FORMAT = 1
BUSY_S = 5.0
"""Another receiver's batch takes some milliseconds."""
ROWS_MAX = 8_192
"""Senders: an enterprise has some hundred. 1 KB each as a rule, 20 KB at the very most."""
SCHEMA = """
CREATE TABLE seen (account TEXT NOT NULL, address TEXT NOT NULL, way TEXT NOT NULL, mails INTEGER NOT NULL,
    last REAL NOT NULL, sighting BLOB NOT NULL, PRIMARY KEY (account, address, way)) WITHOUT ROWID
"""
_ALL = "SELECT account, address, way, sighting FROM seen ORDER BY last DESC"
_SURPLUS = (
    "DELETE FROM seen WHERE (account, address, way) IN "
    "(SELECT account, address, way FROM seen ORDER BY mails > 0, last LIMIT ?)"
)


class SeenError(RelayError):
    """The record cannot be read or written; mail has nothing to do with it."""


class SeenStore:
    """For one thread at a time; the file is opened when there is something to write."""

    def __init__(self, path: Path, keep_s: float) -> None:
        self._path = path
        self._keep_s = keep_s
        self._connection: Connection | None = None

    def add(self, batch: Mapping[Who, Sighting], now: float) -> None:
        """All of it, or SeenError and nothing; a damaged file is moved aside first."""
        try:
            self._add(batch, now)
        except (Error, OSError, msgspec.MsgspecError, HistoryError, SeenError) as error:
            self.close()
            if isinstance(error, msgspec.MsgspecError) or database.is_damage(error):
                self._move_aside(now)
            raise SeenError(f"{self._path}: cannot be written: {error}") from None

    def close(self) -> None:
        """Until it is needed again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _add(self, batch: Mapping[Who, Sighting], now: float) -> None:
        connection = self._connection
        if connection is None:
            connection = self._connection = _open(self._path)
        with database.transaction(connection):
            for who, later in batch.items():
                _put(connection, who, later)
            connection.execute("DELETE FROM seen WHERE last < ?", (now - self._keep_s,))
            (rows,) = connection.execute("SELECT count(*) FROM seen").fetchone()
            if rows > ROWS_MAX:
                connection.execute(_SURPLUS, (rows - ROWS_MAX,))

    def _move_aside(self, now: float) -> None:
        try:
            database.move_aside(self._path, now)
        except OSError as error:
            raise SeenError(f"{self._path}: is damaged and cannot be moved aside: {error}") from None


def read(path: Path) -> Iterator[tuple[Who, Sighting]]:
    """All rows, those that were seen last first; SeenError."""
    if not path.exists():
        return
    try:
        with closing(database.connect_to_read(path)) as connection:
            _check_format(path, connection)
            # A file that a receiver has just made has no table yet.
            is_new = not database.version_of(connection)
            rows = [] if is_new else connection.execute(_ALL).fetchall()
        for account, address, way, sighting in rows:
            yield Who(account, address, way), _decoded(sighting)
    except (Error, msgspec.MsgspecError) as error:
        raise SeenError(f"{path}: cannot be read: {error}") from None


def erase(path: Path, address: str, emptied_within_s: float = database.EMPTIED_WITHIN_S) -> tuple[int, bool]:
    """Take a person's address out of all rows; how many named it, and whether nothing of it is left. SeenError.

    Receivers keep the file open, so that it is for us to empty its WAL.
    """
    if not path.exists():
        return 0, True
    address, count = address.lower(), 0
    try:
        with closing(_open(path)) as connection:
            with database.transaction(connection):
                rows = connection.execute("SELECT account, address, way, sighting FROM seen").fetchall()
                for account, host, way, sighting in rows:
                    seen = _decoded(sighting)
                    if seen.lose(address):
                        _write(connection, Who(account, host, way), seen)
                        count += 1
            is_whole = database.empty_wal(connection, emptied_within_s)
    except (Error, OSError, msgspec.MsgspecError) as error:
        raise SeenError(f"{path}: cannot be written: {error}") from None
    return count, is_whole


def _open(path: Path) -> Connection:
    connection = database.connect(path, BUSY_S)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        # One sync a batch: what was learnt in a migration is worth one each five seconds.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")
        with database.transaction(connection):
            if database.version_of(connection) == 0:
                connection.execute(SCHEMA)
                connection.execute(f"PRAGMA user_version = {FORMAT}")
        _check_format(path, connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _check_format(path: Path, connection: Connection) -> None:
    version = database.version_of(connection)
    if version not in (0, FORMAT):
        raise SeenError(f"{path}: has format {version}, this program has {FORMAT}")


def _put(connection: Connection, who: Who, later: Sighting) -> None:
    found = connection.execute(
        "SELECT sighting FROM seen WHERE account = ? AND address = ? AND way = ?", who
    ).fetchone()
    seen = Sighting() if found is None else _decoded(found[0])
    seen.add(later)
    _write(connection, who, seen)


def _write(connection: Connection, who: Who, seen: Sighting) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?, ?, ?)",
        (*who, seen.mails, seen.last, msgspec.json.encode(seen, order="deterministic")),
    )


def _decoded(text: bytes) -> Sighting:
    return msgspec.json.decode(text, type=Sighting)
