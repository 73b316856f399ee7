"""Writes the history: batches of events, purges in slices, erasures that are to be told.

For one thread. A batch is one transaction; one that fails leaves nothing and may be
tried again. What it cannot read at all is moved aside and begun anew.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from relay.clock import Clock
from relay.trace import event as events
from relay.trace.event import Event
from relay.trace.history import bulk, database, removal, runs
from relay.trace.history.bulk import Insert, Value
from relay.trace.history.database import Connection
from relay.trace.history.numbers import Numbers
from relay.trace.history.options import HistoryOptions
from relay.trace.history.privacy import Privacy, domain_of
from relay.trace.history.reply_text import GAP, mark, split
from relay.trace.history.rows import Rows, StepRow, id_at, rows_of, time_of

SLICE_MAILS = 250
"""Deleted in one transaction, some 25 ms on a large file, and several hundred on a busy disk: new steps wait so long."""
VACUUM_PAGES = 2_000
"""Given back to the file system at a time."""
TEXTS_MAX = 100_000
"""Different texts: searched in 20 ms. A next hop whose every reply is one of its own fills no table with them."""

_PEOPLE = Insert("INSERT OR IGNORE INTO people (address, domain)", 2)
_MAILS = Insert(
    "INSERT INTO mails (id, message_id, message_key, sender, client, account, campaign, priority, size, accepted)",
    10,
    # Where only steps of it were known, it is known now.
    """ON CONFLICT (id) DO UPDATE SET message_id = excluded.message_id, message_key = excluded.message_key,
    sender = excluded.sender, client = excluded.client, account = excluded.account, campaign = excluded.campaign,
    priority = excluded.priority, size = excluded.size, accepted = excluded.accepted WHERE mails.priority IS NULL""",
)
_STUBS = Insert("INSERT OR IGNORE INTO mails (id, message_id, size, accepted)", 4)
_WAITING = Insert("INSERT OR IGNORE INTO recipients (mail, person, state, time)", 4)
_STANDING = Insert(
    "INSERT INTO recipients (mail, person, state, time)",
    4,
    "ON CONFLICT (mail, person) DO UPDATE SET state = excluded.state, time = excluded.time",
)
_STEERED = Insert(
    "INSERT INTO recipients (mail, person, state, time)",
    4,
    # What was under way may have been delivered before the order held; that stays so.
    "ON CONFLICT (mail, person) DO UPDATE SET state = excluded.state, time = excluded.time WHERE recipients.state <> 1",
)
_SUBJECTS = Insert("INSERT OR REPLACE INTO subjects (mail, subject)", 2)
_STEPS = Insert(
    "INSERT INTO steps (mail, person, time, event, route, host, identity, remote, session, internal_id, text, parts, "
    "mark, attempts, next_attempt, next_route)",
    16,
)


class Writer:
    """Of one file."""

    def __init__(self, options: HistoryOptions, clock: Clock, tell: Callable[[Event], None]) -> None:
        """`tell` takes events about the history itself."""
        self._options = options
        self._clock = clock
        self._tell = tell
        self._connection: Connection | None = None
        self._file = (0, 0)

    def open(self) -> None:
        """Open or begin the file; a damaged one is moved aside. HistoryError, Error, OSError: another time."""
        if self._connection is not None:
            return
        path = self._options.path
        try:
            connection = database.open_writer(path)
        except database.Error as error:
            if not database.is_damage(error):
                raise
            self._move_aside(str(error))
            connection = database.open_writer(path)
        try:
            runs.begin(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        status = os.stat(path)
        self._file = (status.st_dev, status.st_ino)
        self._privacy = Privacy(self._options.recipients, database.key_of(connection))
        self._names = Numbers(connection, "names", "name")
        self._texts = Numbers(connection, "texts", "text")
        (self._texts_total,) = connection.execute("SELECT count(*) FROM texts").fetchone()

    def close(self) -> None:
        """Let go of the file; what was written is in it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def known_to(self) -> int:
        """The highest id of a mail; 0 when there is none."""
        (id,) = self._open_connection.execute("SELECT max(id) FROM mails").fetchone()
        return int(id or 0)

    def write(self, batch: Sequence[tuple[float, Event]]) -> None:
        """All of these events or none; Error, and then the file may be another one at the next try."""
        with self._guarded() as connection:
            rows = rows_of(batch, self._privacy)
            with database.transaction(connection):
                self._write(connection, rows)

    def purge(self) -> bool:
        """One slice of what is too old or too much; whether there is more. Error."""
        with self._guarded() as connection:
            cut = id_at(int((self._clock.now() - self._options.keep_s) * 1000))
            ids = _ids(connection, "WHERE id < ?", cut)
            if not ids and database.used_bytes(connection) > self._options.max_size_bytes:
                ids = _ids(connection, "WHERE id > ?", 0)
            if ids:
                with database.transaction(connection):
                    removal.remove_mails(connection, ids)
            elif os.stat(self._options.path).st_size > self._options.max_size_bytes:
                # It takes a step a page, of which `execute` makes one.
                connection.executescript(f"PRAGMA incremental_vacuum({VACUUM_PAGES})")
            return bool(ids)

    def look(self) -> None:
        """Once in a while: is the file still ours, who erased what, how much is there. Error."""
        if self._is_gone():
            self.close()
            self._tell(events.HistoryMovedAside(str(self._options.path), "", "the file was taken away"))
        with self._guarded() as connection:
            for row in connection.execute(
                "SELECT id, by, person, mails, steps FROM erasures WHERE told = 0"
            ).fetchall():
                with database.transaction(connection):
                    connection.execute("UPDATE erasures SET told = 1 WHERE id = ?", row[:1])
                self._tell(events.HistoryErased(*row[1:]))
            first, last = connection.execute(
                "SELECT (SELECT min(id) FROM steps), (SELECT max(id) FROM steps)"
            ).fetchone()
            # Counting ten million rows takes a second; ids follow one another but for what was erased.
            rows = 0 if last is None else last - first + 1
            self._tell(events.HistorySize(rows, database.used_bytes(connection)))

    @property
    def _open_connection(self) -> Connection:
        assert self._connection is not None, "opened before it is used"
        return self._connection

    @contextmanager
    def _guarded(self) -> Iterator[Connection]:
        """The file, opened when it is not; damage moves it aside before the error goes on."""
        self.open()
        try:
            yield self._open_connection
        except (database.Error, OSError) as error:
            self._forget()
            if database.is_damage(error):
                self.close()
                self._move_aside(str(error))
            raise

    def _forget(self) -> None:
        self._names.forget()
        self._texts.forget()

    def _move_aside(self, reason: str) -> None:
        path = self._options.path
        aside = database.move_aside(path, self._clock.now())
        self._tell(events.HistoryMovedAside(str(path), str(aside), reason))

    def _is_gone(self) -> bool:
        if self._connection is None:
            return False
        try:
            status = os.stat(self._options.path)
        except FileNotFoundError:
            return True
        return (status.st_dev, status.st_ino) != self._file

    def _write(self, connection: Connection, rows: Rows) -> None:
        people = _people(connection, rows.people)
        names = self._names.learn(rows.names)
        _MAILS.run(
            connection,
            [
                (id, message_id, key, people.get(sender), names.get(client), names.get(account), *rest)
                for id, message_id, key, sender, client, account, *rest in rows.mails
            ],
        )
        if self._options.subject:
            _SUBJECTS.run(connection, rows.subjects)
        # A step whose mail nobody told of (it was dropped, or the file is new) is kept all the same.
        _STUBS.run(connection, [(id, "", 0, time_of(id)) for id in {step[0] for step in rows.steps}])
        for insert, recipients in (
            (_WAITING, rows.waiting),
            (_STANDING, rows.standing),
            (_STEERED, rows.steered),
        ):
            insert.run(connection, [(mail, people[person], *rest) for mail, person, *rest in recipients])
        _STEPS.run(connection, list(self._steps(rows.steps, people, names)))

    def _steps(
        self, steps: list[StepRow], people: dict[str, int], names: dict[str, int]
    ) -> Iterator[tuple[Value, ...]]:
        replies = {step[10] for step in steps}
        cut = {reply: split(reply) for reply in replies}
        texts = self._numbered({text for text, _ in cut.values()})
        name = names.get
        for (
            mail, person, ms, event, route, host, identity, remote, session, internal_id, reply, attempts,
            next_attempt, next_route,
        ) in steps:  # fmt: skip
            text, parts = cut[reply]
            if text and text not in texts:
                text, parts = GAP, reply
            yield (
                mail, None if person is None else people[person], ms, event, name(route), name(host),
                name(identity), name(remote), session, internal_id, texts.get(text), parts or None,
                _mark(internal_id, remote, parts), attempts, next_attempt, name(next_route),
            )  # fmt: skip

    def _numbered(self, texts: set[str]) -> dict[str, int]:
        """The numbers of texts; when there are too many already, only of those that are known and of a gap."""
        if self._texts_total >= TEXTS_MAX:
            return self._texts.learn({GAP})
        before = len(self._texts)
        numbers = self._texts.learn(texts)
        self._texts_total += max(0, len(self._texts) - before)
        return numbers


def _mark(internal_id: str | None, remote: str, parts: str) -> int | None:
    """By which a step is found: Microsoft's number of the mail, else the next hop's own id of it.

    Where Microsoft names its server and no number, the last part is that server: of thousands of mails.
    """
    return mark(internal_id) if internal_id else None if remote else mark(parts)


def _people(connection: Connection, addresses: set[str]) -> dict[str, int]:
    """Numbers of these addresses; new ones are written down."""
    _PEOPLE.run(connection, [(address, domain_of(address)) for address in addresses])
    return dict(bulk.numbers(connection, "people", "address", list(addresses)))


def _ids(connection: Connection, where: str, value: int) -> list[int]:
    rows = connection.execute(f"SELECT id FROM mails {where} ORDER BY id LIMIT {SLICE_MAILS}", (value,))
    return [row[0] for row in rows.fetchall()]
