"""Taking mails and people out of the history, whole: no address stays behind that no mail has any more.

Within the caller's transaction, in slices that are small enough to hold nobody up.
"""

from collections.abc import Sequence

from relay.trace.history.database import Connection

_ORPHANS = """DELETE FROM people WHERE id = ? AND NOT EXISTS (SELECT 1 FROM recipients WHERE person = people.id)
AND NOT EXISTS (SELECT 1 FROM mails WHERE sender = people.id)"""


def remove_mails(connection: Connection, ids: Sequence[int]) -> int:
    """These mails with all that happened to them; how many steps that was."""
    steps = 0
    people: set[int] = set()
    for id in ids:
        people.update(
            row[0] for row in connection.execute("SELECT person FROM recipients WHERE mail = ?", (id,))
        )
        people.update(
            row[0]
            for row in connection.execute(
                "SELECT sender FROM mails WHERE id = ? AND sender IS NOT NULL", (id,)
            )
        )
        steps += connection.execute("DELETE FROM steps WHERE mail = ?", (id,)).rowcount
        connection.execute("DELETE FROM recipients WHERE mail = ?", (id,))
        connection.execute("DELETE FROM subjects WHERE mail = ?", (id,))
        connection.execute("DELETE FROM mails WHERE id = ?", (id,))
    remove_orphans(connection, people)
    return steps


def remove_orphans(connection: Connection, people: set[int]) -> None:
    """Those of these people whom no mail names."""
    connection.executemany(_ORPHANS, [(person,) for person in people])
