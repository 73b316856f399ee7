"""A mail as the history has it: what it was, where each recipient stands, and every step in order."""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from relay.message.priority import Priority
from relay.message.queue_id import format_id
from relay.trace.history import database
from relay.trace.history.database import Connection
from relay.trace.history.reply_text import joined
from relay.trace.history.state import State

_MAILS = """SELECT m.id, m.message_id, p.address, c.name, a.name, m.campaign, m.priority, m.size, m.accepted
FROM mails m LEFT JOIN people p ON p.id = m.sender LEFT JOIN names c ON c.id = m.client
LEFT JOIN names a ON a.id = m.account WHERE m.id = ?"""
_RECIPIENTS = """SELECT p.address, r.state, r.time FROM recipients r LEFT JOIN people p ON p.id = r.person
WHERE r.mail = ? ORDER BY r.person"""
_STEPS = """SELECT s.id, s.mail, s.time, s.event, p.address, route.name, host.name, identity.name, remote.name, s.session,
s.internal_id, t.text, s.parts, s.attempts, s.next_attempt, next.name FROM steps s
LEFT JOIN people p ON p.id = s.person LEFT JOIN names route ON route.id = s.route LEFT JOIN names host ON host.id = s.host
LEFT JOIN names identity ON identity.id = s.identity LEFT JOIN names remote ON remote.id = s.remote
LEFT JOIN texts t ON t.id = s.text LEFT JOIN names next ON next.id = s.next_route """


class RecipientLine(Struct):
    """Where one recipient stands."""

    address: str
    outcome: str
    at: float
    """Since when, seconds since the epoch."""


class StepLine(Struct):
    """One thing that happened."""

    number: int
    """Rises with time, over all mails."""
    id: str
    at: float
    event: str
    recipient: str | None = None
    """None: of the mail as a whole."""
    route: str = ""
    host: str = ""
    identity: str = ""
    remote: str = ""
    session: str = ""
    internal_id: str = ""
    reply: str = ""
    attempts: int | None = None
    next_attempt: float | None = None
    next_route: str = ""


class MailLine(Struct):
    """One mail."""

    id: str
    message_id: str
    sender: str
    """Empty: the null sender, or not known."""
    client: str
    account: str
    campaign: str
    priority: str | None
    """None: only steps of the mail are known."""
    size: int
    accepted_at: float
    recipients: list[RecipientLine]
    steps: list[StepLine]
    subject: str = ""
    """Empty: none, or the history was not asked to keep it."""


def read(connection: Connection, ids: Sequence[int]) -> Iterable[MailLine]:
    """These mails, in this order; one that is not there any more is left out."""
    has_subjects = database.has_subjects(connection)
    for id in ids:
        row = connection.execute(_MAILS, (id,)).fetchone()
        if row is None:
            continue
        number, message_id, sender, client, account, campaign, priority, size, accepted = row
        yield MailLine(
            id=format_id(number),
            message_id=message_id,
            sender=sender or "",
            client=client or "",
            account=account or "",
            campaign=campaign or "",
            priority=None if priority is None else Priority(priority).word,
            size=size,
            accepted_at=accepted / 1000,
            recipients=[
                RecipientLine(address or "", State(state).word, time / 1000)
                for address, state, time in connection.execute(_RECIPIENTS, (id,))
            ],
            steps=[
                _step(step) for step in connection.execute(f"{_STEPS} WHERE s.mail = ? ORDER BY s.id", (id,))
            ],
            subject=_subject(connection, id) if has_subjects else "",
        )


def _subject(connection: Connection, id: int) -> str:
    row = connection.execute("SELECT subject FROM subjects WHERE mail = ?", (id,)).fetchone()
    return "" if row is None else str(row[0])


def steps_after(connection: Connection, number: int, limit: int) -> list[StepLine]:
    """What happened after that step, in order, for those who follow."""
    rows = connection.execute(f"{_STEPS} WHERE s.id > ? ORDER BY s.id LIMIT ?", (number, limit))
    return [_step(row) for row in rows]


def last_step(connection: Connection) -> int:
    """The number of the last step; 0 when there is none."""
    (number,) = connection.execute("SELECT max(id) FROM steps").fetchone()
    return int(number or 0)


def _step(row: Sequence[object]) -> StepLine:
    # A row of sqlite3 is a tuple of whatever the tables hold; the schema says what that is.
    (
        number, mail, time, event, person, route, host, identity, remote, session, internal_id, text, parts,
        attempts, next_attempt, next_route,
    ) = row  # fmt: skip
    assert (
        isinstance(number, int) and isinstance(mail, int) and isinstance(time, int) and isinstance(event, int)
    )
    return StepLine(
        number=number,
        id=format_id(mail),
        at=time / 1000,
        event=State(event).word,
        recipient=person if isinstance(person, str) else None,
        route=_text(route),
        host=_text(host),
        identity=_text(identity),
        remote=_text(remote),
        session=_text(session),
        internal_id=_text(internal_id),
        reply=joined(_text(text), _text(parts)),
        attempts=attempts if isinstance(attempts, int) else None,
        next_attempt=next_attempt / 1000 if isinstance(next_attempt, int) else None,
        next_route=_text(next_route),
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
