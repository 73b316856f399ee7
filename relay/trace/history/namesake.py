"""Namesakes: did another mail have the same Message-ID in these days?

Applications send a mail again, and some give every mail the same one.
"""

from pathlib import Path

from relay.trace.history.database import reading
from relay.trace.history.question import Wanted, find
from relay.trace.history.rows import time_of

DAYS_MS = 2 * 86_400_000
"""A client that got no answer sends again within hours."""
FOUND_MAX = 100


def has_namesake(path: Path, id: int, message_id: bytes) -> bool:
    """Whether there was one beside the mail of that id; HistoryError."""
    text = message_id.decode("utf-8", "backslashreplace")
    at_ms = time_of(id)
    with reading(path) as connection:
        wanted = Wanted(message_id=text, since_ms=at_ms - DAYS_MS, until_ms=at_ms + DAYS_MS)
        return any(each != id for each in find(connection, wanted, FOUND_MAX))
