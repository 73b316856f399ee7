"""Mentions: where a reply names a person, in a mail of somebody else's too.

A refusal of a whole mail stands with all of its recipients, and a forwarder names the person
behind an alias. An address counts where it stands whole: `anna@example.net` is not in
`joanna@example.net`. What is found is struck out; the rest of the reply stays.
"""

import re
from collections.abc import Collection, Iterator, Sequence

from relay.trace.history import database
from relay.trace.history.database import Connection

STRUCK = "(erased)"
ROWS = 50_000
"""Steps looked at in one statement, some 30 ms: nothing is held up between two of them."""


def strike(connection: Connection, forms: Sequence[str], people: Collection[int]) -> int:
    """Strike these addresses out of every reply there is; out of how many to others than these people."""
    whole = pattern(forms)
    needles = [_needle(form) for form in forms]
    found = 0
    for first in _slices(connection):
        rows = _rows(connection, first, needles)
        rows = [row for row in rows if whole.search(row[2])]
        struck = [(whole.sub(STRUCK, parts), id) for id, _, parts in rows]
        if struck:
            with database.transaction(connection):
                # What the next hop calls the mail may have gone with it, and is no longer looked for by its old number.
                connection.executemany("UPDATE steps SET parts = ?, mark = NULL WHERE id = ?", struck)
        found += sum(person not in people for _, person, _ in rows)
    return found + _strike_texts(connection, whole) + _strike_subjects(connection, whole)


def pattern(forms: Sequence[str]) -> re.Pattern[str]:
    """Any of these addresses, whole, in any case."""
    either = "|".join(map(re.escape, forms))
    return re.compile(rf"(?<![\w.+-])(?:{either})(?![\w-]|\.\w)", re.IGNORECASE)


def _strike_texts(connection: Connection, whole: re.Pattern[str]) -> int:
    """What many replies share holds an address only where an older version could not tell it from words."""
    rows = connection.execute("SELECT id, text FROM texts WHERE instr(text, '@')").fetchall()
    struck = [(whole.sub(STRUCK, text), id) for id, text in rows if whole.search(text)]
    with database.transaction(connection):
        for text, id in struck:
            is_there = connection.execute("SELECT 1 FROM texts WHERE text = ?", (text,)).fetchone()
            # A text stands there once, and the deliverer knows it by its number.
            connection.execute(
                "UPDATE texts SET text = ? WHERE id = ?", (f"{text} ({id})" if is_there else text, id)
            )
    return len(struck)


def _strike_subjects(connection: Connection, whole: re.Pattern[str]) -> int:
    rows = connection.execute("SELECT mail, subject FROM subjects WHERE instr(subject, '@')").fetchall()
    struck = [(whole.sub(STRUCK, subject), mail) for mail, subject in rows if whole.search(subject)]
    with database.transaction(connection):
        connection.executemany("UPDATE subjects SET subject = ? WHERE mail = ?", struck)
    return len(struck)


def _slices(connection: Connection) -> Iterator[int]:
    first, last = connection.execute("SELECT min(id), max(id) FROM steps").fetchone()
    return iter(range(first, last + 1, ROWS)) if first is not None else iter(())


def _rows(connection: Connection, first: int, needles: Sequence[str]) -> list[tuple[int, int | None, str]]:
    either = " OR ".join(["instr(lower(parts), ?)"] * len(needles))
    return connection.execute(
        f"SELECT id, person, parts FROM steps WHERE id >= ? AND id < ? AND ({either})",
        (first, first + ROWS, *needles),
    ).fetchall()


def _needle(form: str) -> str:
    """What SQLite looks for first: its lower() knows ASCII alone."""
    domain = form[form.rfind("@") :]
    return form if form.isascii() else domain if domain.isascii() else "@"
