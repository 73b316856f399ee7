"""From which step on each of the last writers wrote: how a reader sees that the history's end was lost.

`synchronous = NORMAL` lets a crash of the machine take the last moments, and a copy that is
put back takes more. The numbers of the steps that are gone are then given to others, which a
reader who had been further would pass over. So each writer, when it opens the file, notes a
random name and the first number it may give; whoever comes back and finds a name that he does
not know goes back to where that one began, if he had been further.
"""

import secrets
from collections.abc import Collection, Sequence

import msgspec
from msgspec import Struct

from relay.trace.history.database import Connection, transaction

KEPT = 64
"""Of the last starts: a reader looks every second, and one who was away for longer may be told twice."""
_NAME_BYTES = 6


class Run(Struct, frozen=True, array_like=True):
    """Of one writer."""

    name: str
    first: int
    """The first step that it may have written."""


def begin(connection: Connection) -> None:
    """A writer begins; Error."""
    with transaction(connection):
        mine = Run(secrets.token_hex(_NAME_BYTES), last_number(connection) + 1)
        kept = [*read(connection), mine][-KEPT:]
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('runs', ?)", (msgspec.json.encode(kept),))


def read(connection: Connection) -> list[Run]:
    """Those that are known, in order; none in a file of before there were any."""
    row = connection.execute("SELECT value FROM meta WHERE name = 'runs'").fetchone()
    return [] if row is None else msgspec.json.decode(row[0], type=list[Run])


def last_number(connection: Connection) -> int:
    """The number of the last step that was ever written, be it removed by now."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'steps'").fetchone()
    return 0 if row is None else int(row[0])


def surely(cursor: int, known: Collection[str], runs: Sequence[Run]) -> int:
    """Up to where a reader has surely been who had been at `cursor` and knew these runs."""
    return min([cursor, *(run.first - 1 for run in runs if run.name not in known)])
