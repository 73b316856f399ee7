"""Many rows in one statement, out and in.

Python's sqlite3 lets go of the interpreter at each step of a statement and asks for it
again: with a row a step (`executemany`) the loop was disturbed seven times a mail, and
paid 20 µs for it. With up to 256 rows a step it pays next to nothing, and the thread half.
"""

from collections.abc import Iterator, Sequence
from itertools import chain

import msgspec

from relay.trace.history.database import Connection

ROWS = 256
"""Of one statement: 4,096 parameters of the widest table, where SQLite takes 32,766."""
WORDS = 512
"""Looked up at once."""

_decode = msgspec.json.Decoder(dict[str, int]).decode
Value = int | str | None


class Insert:
    """`INSERT ... VALUES (...), (...)` for any number of rows."""

    def __init__(self, head: str, columns: int, tail: str = "") -> None:
        """`head` up to VALUES, `tail` after it."""
        row = f"({','.join('?' * columns)})"
        sizes = [ROWS >> shift for shift in range(ROWS.bit_length())]
        # Few sizes, so that sqlite3 finds each statement prepared (it keeps 128).
        self._statements = [(size, f"{head} VALUES {','.join([row] * size)} {tail}") for size in sizes]

    def run(self, connection: Connection, rows: Sequence[tuple[Value, ...]]) -> None:
        """Insert them, in order."""
        at = 0
        for size, statement in self._statements:
            while len(rows) - at >= size:
                connection.execute(statement, list(chain.from_iterable(rows[at : at + size])))
                at += size


def numbers(
    connection: Connection, table: str, column: str, words: Sequence[str]
) -> Iterator[tuple[str, int]]:
    """Each of these words that the table has, with its id; one row a statement."""
    for start in range(0, len(words), WORDS):
        chunk = words[start : start + WORDS]
        # A fixed number of parameters, as above; an empty word is in no table.
        padded = [*chunk, *[""] * (WORDS - len(chunk))]
        (found,) = connection.execute(
            f"SELECT json_group_object({column}, id) FROM {table} WHERE {column} IN ({','.join('?' * WORDS)})",
            padded,
        ).fetchone()
        yield from _decode(found).items()
