"""One person's rows, gone: what was sent to an address, and what came from it.

Beside a relay that writes: a slice takes the file for some milliseconds. What was erased
is overwritten in the file (`secure_delete`), the WAL is emptied afterwards, unless somebody
reads on: then it is not, and that is said. That it was done stays, with a keyed hash of the
address; the relay tells it in its log.
"""

from dataclasses import dataclass
from pathlib import Path

from relay.trace.history import database, mention, removal
from relay.trace.history.database import Connection
from relay.trace.history.options import HistoryError, Kept
from relay.trace.history.privacy import Privacy

SLICE = 200
"""Mails of one transaction."""


@dataclass(frozen=True, slots=True)
class Erased:
    """What there was."""

    mails: int
    """Mails that named the person; those to others as well stay, without the person."""
    steps: int
    mentions: int = 0
    """Replies to others that named the person."""
    is_whole: bool = True
    """Nothing of it is left in the file and its WAL; else somebody reads it still."""


def count(path: Path, address: str) -> Erased:
    """What an erasure would take; HistoryError."""
    with database.reading(path) as connection:
        mails = steps = 0
        for person in _people(connection, address):
            mails += _count(connection, "SELECT count(*) FROM recipients WHERE person = ?", person)
            mails += _count(connection, "SELECT count(*) FROM mails WHERE sender = ?", person)
            steps += _count(
                connection,
                "SELECT count(*) FROM recipients r JOIN steps s ON s.mail = r.mail AND s.person = r.person "
                "WHERE r.person = ?",
                person,
            )
            steps += _count(
                connection,
                "SELECT count(*) FROM mails m JOIN steps s ON s.mail = m.id WHERE m.sender = ?",
                person,
            )
        return Erased(mails, steps)


def erase(
    path: Path, address: str, by: str, now: float, emptied_within_s: float = database.EMPTIED_WITHIN_S
) -> Erased:
    """Take the person out, and wait so long for those who read; HistoryError."""
    if not path.exists():
        raise HistoryError(f"{path}: {database.ABSENT}")
    try:
        connection = database.open_writer(path)
    except database.Error as error:
        raise HistoryError(f"{path}: cannot be opened: {error}") from None
    try:
        return _erase(connection, address, by, now, emptied_within_s)
    except database.Error as error:
        raise HistoryError(f"{path}: not all was erased, try again: {error}") from None
    finally:
        connection.close()


def hashed(path: Path, address: str) -> str:
    """The keyed hash that stands for the person once it is erased; HistoryError."""
    with database.reading(path) as connection:
        return _hashed(connection, address)


def _erase(connection: Connection, address: str, by: str, now: float, emptied_within_s: float) -> Erased:
    # First: where rows were taken out, SQLite moves those that are left, and an address in them would leave a trace.
    people = _people(connection, address)
    mentions = mention.strike(connection, _forms(connection, address), people)
    mails = steps = 0
    for person in people:
        while ids := _some(connection, "SELECT id FROM mails WHERE sender = ? LIMIT ?", person):
            with database.transaction(connection):
                steps += removal.remove_mails(connection, ids)
            mails += len(ids)
        while ids := _some(connection, "SELECT mail FROM recipients WHERE person = ? LIMIT ?", person):
            with database.transaction(connection):
                steps += sum(_without(connection, id, person) for id in ids)
            mails += len(ids)
        with database.transaction(connection):
            removal.remove_orphans(connection, {person})
    with database.transaction(connection):
        connection.execute(
            "INSERT INTO erasures (time, by, person, mails, steps) VALUES (?, ?, ?, ?, ?)",
            (int(now * 1000), by, _hashed(connection, address), mails, steps),
        )
    return Erased(mails, steps, mentions, database.empty_wal(connection, emptied_within_s))


def _hashed(connection: Connection, address: str) -> str:
    return Privacy(Kept.HASHED, database.key_of(connection)).hashed(address).partition("@")[0]


def _without(connection: Connection, id: int, person: int) -> int:
    """One mail without one of its recipients; how many steps went."""
    connection.execute("DELETE FROM recipients WHERE mail = ? AND person = ?", (id, person))
    if connection.execute("SELECT 1 FROM recipients WHERE mail = ? LIMIT 1", (id,)).fetchone() is None:
        return removal.remove_mails(connection, [id])
    return connection.execute("DELETE FROM steps WHERE mail = ? AND person = ?", (id, person)).rowcount


def _forms(connection: Connection, address: str) -> tuple[str, ...]:
    return Privacy(Kept.FULL, database.key_of(connection)).forms(address)


def _people(connection: Connection, address: str) -> list[int]:
    """Numbers of the address, in the forms that it may have."""
    rows = connection.execute("SELECT id FROM people WHERE address IN (?, ?)", _forms(connection, address))
    return [row[0] for row in rows.fetchall()]


def _some(connection: Connection, select: str, person: int) -> list[int]:
    return [row[0] for row in connection.execute(select, (person, SLICE)).fetchall()]


def _count(connection: Connection, select: str, person: int) -> int:
    return int(connection.execute(select, (person,)).fetchone()[0])
