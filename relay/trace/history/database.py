"""The history's file: how it is opened, its tables, and what is done when it is damaged.

The only importer of sqlite3; the record of who was seen is opened here too. WAL mode: readers see the last whole batch and hinder no
writer. `synchronous = NORMAL` syncs at checkpoints only: a crash of the machine may cost
the last moments, never the file.
"""

import os
import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from relay.trace.history.options import HistoryError

Connection = sqlite3.Connection
Error = sqlite3.Error

SQLITE_LEAST = (3, 38, 0)
"""March 2022, the first with JSON built in; Debian 12 has 3.40, RHEL 9 3.34 beside Pythons with their own."""
FORMAT = 1
"""Of the tables below, in `user_version`."""
BUSY_S = 10.0
"""How long a writer waits for another: an erasure takes the file for some milliseconds at a time."""
CACHE_KIB = 32_768
"""Of the writer: the inner pages of every index at 10 million mails, and what was written last."""
WAL_BYTES = 67_108_864
"""The WAL is cut back to this after a checkpoint that a long reader had kept waiting."""
EMPTIED_WITHIN_S = 30.0
"""For readers to end before the WAL can be cut off: a `report` of a month takes as long."""
BESIDE = ("", "-wal", "-shm")
ABSENT = "history.db is not there yet: the relay begins it when it starts ([history] in the configuration)"

# mails.id is the queue id: it rises with the time of acceptance, so a range of times is a range of ids.
SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE names (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE texts (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE people (id INTEGER PRIMARY KEY, address TEXT NOT NULL UNIQUE, domain TEXT NOT NULL);
CREATE INDEX people_domain ON people (domain);
CREATE TABLE mails (
    id INTEGER PRIMARY KEY, message_id TEXT NOT NULL, message_key INTEGER, sender INTEGER,
    client INTEGER, account INTEGER, campaign TEXT, priority INTEGER, size INTEGER NOT NULL, accepted INTEGER NOT NULL);
CREATE INDEX mails_message ON mails (message_key) WHERE message_key IS NOT NULL;
CREATE INDEX mails_sender ON mails (sender);
CREATE INDEX mails_campaign ON mails (campaign) WHERE campaign IS NOT NULL;
CREATE TABLE recipients (
    mail INTEGER NOT NULL, person INTEGER NOT NULL, state INTEGER NOT NULL, time INTEGER NOT NULL,
    PRIMARY KEY (mail, person)) WITHOUT ROWID;
CREATE INDEX recipients_person ON recipients (person, mail);
CREATE INDEX recipients_trouble ON recipients (state, mail) WHERE state > 1;
CREATE TABLE steps (
    id INTEGER PRIMARY KEY AUTOINCREMENT, mail INTEGER NOT NULL, person INTEGER, time INTEGER NOT NULL, event INTEGER NOT NULL,
    route INTEGER, host INTEGER, identity INTEGER, remote INTEGER, session TEXT, internal_id TEXT,
    text INTEGER, parts TEXT, mark INTEGER, attempts INTEGER, next_attempt INTEGER, next_route INTEGER);
CREATE INDEX steps_mail ON steps (mail);
CREATE INDEX steps_time ON steps (time, event, route, mail);
CREATE INDEX steps_text ON steps (text, mail);
CREATE INDEX steps_mark ON steps (mark) WHERE mark IS NOT NULL;
CREATE INDEX steps_uncertain ON steps (event, mail) WHERE event = 4;
CREATE TABLE erasures (id INTEGER PRIMARY KEY, time INTEGER NOT NULL, by TEXT NOT NULL, person TEXT NOT NULL,
    mails INTEGER NOT NULL, steps INTEGER NOT NULL, told INTEGER NOT NULL DEFAULT 0);
"""

SERVERS = "CREATE INDEX IF NOT EXISTS steps_remote ON steps (remote, mail) WHERE remote IS NOT NULL"
"""Of Microsoft's servers: some thousands of names, each with its mails."""


SUBJECTS = "CREATE TABLE IF NOT EXISTS subjects (mail INTEGER PRIMARY KEY, subject TEXT NOT NULL)"
"""Where they are asked for; a table of its own, so that a file of before has the same format."""


def open_writer(path: Path) -> Connection:
    """The history, begun when there is none; HistoryError, or Error when it is damaged."""
    connection = connect(path, BUSY_S)
    try:
        _prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def connect(path: Path, busy_s: float) -> Connection:
    """A file to write, begun empty when there is none; `busy_s` is how long a writer waits for another."""
    _check_version()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Made before SQLite makes it, whatever the umask: it holds addresses. Its WAL gets the same mode.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    os.fchmod(descriptor, 0o600)
    os.close(descriptor)
    return sqlite3.connect(path, timeout=busy_s, isolation_level=None, check_same_thread=False)


def _prepare(connection: Connection) -> None:
    version = version_of(connection)
    if version == 0:
        # Before the first table: pages that a purge frees can be given back a few at a time.
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")
    connection.execute("PRAGMA temp_store = MEMORY")
    # What is purged or erased must not be left in free pages.
    connection.execute("PRAGMA secure_delete = ON")
    if version == 0:
        with transaction(connection):
            for statement in SCHEMA.split(";\n"):
                if statement.strip():
                    connection.execute(statement)
            connection.execute("INSERT INTO meta VALUES ('key', ?)", (secrets.token_bytes(32),))
            connection.execute(f"PRAGMA user_version = {FORMAT}")
    elif version != FORMAT:
        raise HistoryError(f"the history has format {version}, this program writes {FORMAT}")
    # An index more makes no other format: a file of before gets it now, 10 million steps in some 20 seconds.
    connection.execute(SERVERS)
    connection.execute(SUBJECTS)
    # A file whose tables cannot be read is found now and not at the first mail.
    for table in ("names", "texts", "people", "mails", "recipients", "steps", "erasures"):
        connection.execute(f"SELECT * FROM {table} ORDER BY 1 DESC LIMIT 1").fetchall()


def open_reader(path: Path) -> Connection:
    """The history for those who ask, beside the deliverer that writes; HistoryError."""
    if not path.exists():
        raise HistoryError(f"{path}: {ABSENT}")
    try:
        connection = connect_to_read(path)
        version = version_of(connection)
    except Error as error:
        raise HistoryError(f"{path}: cannot be read: {error}") from None
    if version == 0:
        raise HistoryError(f"{path}: {ABSENT}")
    if version != FORMAT:
        raise HistoryError(f"{path}: has format {version}, this program reads {FORMAT}")
    return connection


def connect_to_read(path: Path) -> Connection:
    """A file that is there, beside who writes it; Error."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_S)
    connection.execute("PRAGMA query_only = ON")
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection


def move_aside(path: Path, now: float) -> Path:
    """The damaged file gets another name, with its date; OSError."""
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    aside = path.with_name(f"{path.name}.damaged-{moment}")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.damaged-{moment}-{number}")
    for suffix in BESIDE:
        there = path.with_name(path.name + suffix)
        if there.exists():
            there.rename(aside.with_name(aside.name + suffix))
    return aside


def is_damage(error: Exception) -> bool:
    """The file itself is at fault: neither the disk (full, read-only) nor another writer."""
    if not isinstance(error, sqlite3.DatabaseError):
        return False
    if isinstance(error, sqlite3.OperationalError):
        # "no such table" and the like: a file of somebody else's, or half of one.
        return getattr(error, "sqlite_errorname", "") in ("SQLITE_ERROR", "SQLITE_SCHEMA")
    name = getattr(error, "sqlite_errorname", "")
    return name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB"))


def is_passing(error: Exception) -> bool:
    """The disk or another writer is at fault: the same may do later."""
    return isinstance(error, sqlite3.OperationalError | OSError | HistoryError) and not is_damage(error)


@contextmanager
def transaction(connection: Connection) -> Iterator[None]:
    """All or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


@contextmanager
def reading(path: Path) -> Iterator[Connection]:
    """A reader for a while; what SQLite says becomes a HistoryError."""
    connection = open_reader(path)
    try:
        yield connection
    except Error as error:
        raise HistoryError(f"{path}: cannot be read: {error}") from None
    finally:
        connection.close()


def empty_wal(connection: Connection, within_s: float) -> bool:
    """Write the WAL into the file and cut it off: it has what was erased; False: somebody reads from it."""
    connection.execute(f"PRAGMA busy_timeout = {int(within_s * 1000)}")
    (is_busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not is_busy


def key_of(connection: Connection) -> bytes:
    """The random key of the hashes."""
    row = connection.execute("SELECT value FROM meta WHERE name = 'key'").fetchone()
    if row is None:
        raise HistoryError("the history has lost the key of its hashes")
    return bytes(row[0])


def has_subjects(connection: Connection) -> bool:
    """Whether a writer of this version has opened the file yet."""
    return connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'subjects'").fetchone() is not None


def used_bytes(connection: Connection) -> int:
    """Pages in use; free ones are used again before the file grows."""
    (page,) = connection.execute("PRAGMA page_size").fetchone()
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    return int(page) * (int(pages) - int(free))


def _check_version() -> None:
    if sqlite3.sqlite_version_info < SQLITE_LEAST:
        least = ".".join(map(str, SQLITE_LEAST))
        raise HistoryError(
            f"the history needs SQLite {least} or newer, this Python has {sqlite3.sqlite_version}"
        )


def version_of(connection: Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
