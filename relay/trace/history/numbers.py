"""Numbers for names and texts that many rows share: looked up in memory, written down once."""

from relay.trace.history import bulk
from relay.trace.history.database import Connection

REMEMBERED_MAX = 65_536
"""Of each table; some 10 MiB. Beyond, all are forgotten and read again as they come."""


class Numbers:
    """Of one table: id and a unique text."""

    def __init__(self, connection: Connection, table: str, column: str) -> None:
        self._connection = connection
        self._table = table
        self._column = column
        self._insert = bulk.Insert(f"INSERT OR IGNORE INTO {table} ({column})", 1)
        self._known: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._known)

    def learn(self, words: set[str]) -> dict[str, int]:
        """Numbers of at least these; within a transaction."""
        known = self._known
        new = [word for word in words if word and word not in known]
        if new:
            if len(known) + len(new) > REMEMBERED_MAX:
                known.clear()
                new = [word for word in words if word]
            self._insert.run(self._connection, [(word,) for word in new])
            known.update(bulk.numbers(self._connection, self._table, self._column, new))
        return known

    def forget(self) -> None:
        """A transaction was rolled back: what it wrote is not there."""
        self._known.clear()
