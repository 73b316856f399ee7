"""A passage of the history: steps after a number, in order, each with its mail; for those who pass them on.

Numbers of steps follow one another without a hole, so a hole is what was removed (too old,
too much, erased) before it was read: it is counted. A look is bounded, however much waits.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec import Struct

from relay.message.queue_id import format_id
from relay.trace.history import database, runs
from relay.trace.history.database import Connection
from relay.trace.history.reply_text import joined
from relay.trace.history.runs import Run
from relay.trace.history.state import State

SCAN_MAX = 5_000
"""Steps of one look, some 50 ms: who wants few of them still comes forward by thousands a look."""

_STEPS = """SELECT s.id, s.mail, s.time, s.event, p.address, s.person, route.name, host.name, identity.name, remote.name,
s.session, s.internal_id, t.text, s.parts, s.attempts, s.next_attempt,
m.message_id, m.accepted, m.campaign, sender.address, client.name, account.name
FROM steps s LEFT JOIN people p ON p.id = s.person LEFT JOIN names route ON route.id = s.route
LEFT JOIN names host ON host.id = s.host LEFT JOIN names identity ON identity.id = s.identity
LEFT JOIN names remote ON remote.id = s.remote LEFT JOIN texts t ON t.id = s.text
LEFT JOIN mails m ON m.id = s.mail LEFT JOIN people sender ON sender.id = m.sender
LEFT JOIN names client ON client.id = m.client LEFT JOIN names account ON account.id = m.account
WHERE s.id > ? AND s.id <= ? ORDER BY s.id"""


class Happened(Struct, frozen=True):
    """One step, and what is known of its mail; times in milliseconds since the epoch."""

    number: int
    state: State
    at_ms: int
    mail: str
    """Its queue id."""
    recipient: str
    """As the history keeps it; empty: of the mail as a whole."""
    person: int
    """The number of that recipient in this history; 0: none."""
    route: str
    host: str
    identity: str
    remote: str
    session: str
    internal_id: str
    reply: str
    attempts: int
    next_attempt_ms: int | None
    message_id: str
    accepted_ms: int
    campaign: str
    sender: str
    client: str
    """Its address."""
    account: str
    """The name of a `[[client]]`; empty: it has none."""


@dataclass(frozen=True, slots=True)
class History:
    """Which one it is, and how far it goes."""

    key: bytes
    """Random: another file has another."""
    runs: tuple[Run, ...]
    last: int
    """Number of the last step, be it removed by now."""


@dataclass(frozen=True, slots=True)
class Passage:
    """What a look has found."""

    steps: tuple[Happened, ...]
    upto: int
    """It covers the numbers up to this one."""
    missing: int
    """Of those, so many are not there any more."""


def known(connection: Connection) -> History:
    """Of this file; Error."""
    return History(database.key_of(connection), tuple(runs.read(connection)), runs.last_number(connection))


def read(
    connection: Connection,
    after: int,
    upto: int,
    wanted: Callable[[Happened], bool],
    limit: int,
    scan: int = SCAN_MAX,
) -> Passage:
    """The first `limit` steps that are wanted, of those after `after` and up to `upto`; Error.

    After a hole it looks no further than `scan` steps, and a hole of millions costs no more
    than a small one.
    """
    row = connection.execute("SELECT min(id) FROM steps WHERE id > ?", (after,)).fetchone()
    first = upto + 1 if row[0] is None else min(int(row[0]), upto + 1)
    upto = min(upto, first - 1 + scan)
    found: list[Happened] = []
    for values in connection.execute(_STEPS, (after, upto)):
        step = _happened(values)
        if wanted(step):
            found.append(step)
            if len(found) == limit:
                upto = step.number
                break
    (there,) = connection.execute(
        "SELECT count(*) FROM steps WHERE id > ? AND id <= ?", (after, upto)
    ).fetchone()
    return Passage(tuple(found), upto, upto - after - int(there))


def before(path: Path, at_ms: int) -> int:
    """The number of the last step before that time, 0 when there is none; HistoryError."""
    with database.reading(path) as connection:
        row = connection.execute(
            "SELECT id FROM steps WHERE time >= ? ORDER BY time, id LIMIT 1", (at_ms,)
        ).fetchone()
        return runs.last_number(connection) if row is None else int(row[0]) - 1


def _happened(values: Sequence[object]) -> Happened:
    # A row of sqlite3 is a tuple of whatever the tables hold; the schema says what that is.
    (
        number, mail, time, event, recipient, person, route, host, identity, remote, session, internal_id, text, parts,
        attempts, next_attempt, message_id, accepted, campaign, sender, client, account,
    ) = values  # fmt: skip
    assert (
        isinstance(number, int) and isinstance(mail, int) and isinstance(time, int) and isinstance(event, int)
    )
    return Happened(
        number=number,
        state=State(event),
        at_ms=time,
        mail=format_id(mail),
        recipient=_text(recipient),
        person=_number(person) or 0,
        route=_text(route),
        host=_text(host),
        identity=_text(identity),
        remote=_text(remote),
        session=_text(session),
        internal_id=_text(internal_id),
        reply=joined(_text(text), _text(parts)),
        attempts=_number(attempts) or 0,
        next_attempt_ms=_number(next_attempt),
        message_id=_text(message_id),
        accepted_ms=_number(accepted) or 0,
        campaign=_text(campaign),
        sender=_text(sender),
        client=_text(client),
        account=_text(account),
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None
