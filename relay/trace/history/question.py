"""Which mails somebody asks for, and how they are found in ten million rows.

Every condition can be put two ways: *narrow*, as a set that an index gives, and *wide*, as
a look at one mail. The one that fewest rows meet is put narrow and the others look at
what it gives; when even that one is met by very many, the newest mails are looked at one
by one, and enough are found soon. Words of a reply that no index knows are looked for from
the newest mail on, slice by slice, for as long as somebody waits.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from relay.trace.history.database import Connection, key_of
from relay.trace.history.options import Kept
from relay.trace.history.privacy import Privacy
from relay.trace.history.reply_text import SEPARATOR, mark, split
from relay.trace.history.rows import LAST_MS, id_at, message_key
from relay.trace.history.state import State

NARROW_MAX = 200_000
"""Rows of a set: counted in 20 ms, gathered and sorted in 0.2 s. What more than one in 50 of ten million mails
meet is found among the newest."""
SLICE = 20_000
"""Mails looked at, some 50 ms, before it is asked whether to go on."""
NEVER_MS = 1 << 42
LAST_ID = (LAST_MS << 22) | ((1 << 22) - 1)
GoOn = Callable[[float], bool]
"""Asked with the part of the mails that was looked at, 0 to 1: look at more?"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """All of it must hold; what is empty is not asked."""

    id: int | None = None
    message_id: str = ""
    sender: str = ""
    """An address; `@example.com` is everybody there."""
    recipient: str = ""
    """Likewise."""
    campaign: str = ""
    outcome: State | None = None
    reply: str = ""
    """Part of a reply, in any case."""
    since_ms: int | None = None
    """Accepted then or later, or something happened to it then or later."""
    until_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that is asked."""

    narrow: str
    wide: str
    counted: str
    """`FROM ... WHERE ...` of the set."""
    parameters: tuple[int | str, ...]
    is_in_order: bool = False
    """The set comes newest first out of its index: it need not be gathered, however large it is."""
    is_scan: bool = False
    """No index gives the set: narrow is a look at each step of a range of mails, for when nothing else narrows."""
    mail: str = ""
    """The column of the mail in the set, where its index goes on with it: else a range makes counting slower."""

    def within(self, first: int, last: int) -> "Condition":
        """The part of the set that is of these mails."""
        if not self.mail:
            return self
        counted = f"{self.counted} AND {self.mail} BETWEEN {first} AND {last}"
        narrow = self.narrow if self.is_in_order else f"m.id IN (SELECT {self.mail} {counted})"
        return replace(self, narrow=narrow, counted=counted)


@dataclass(frozen=True, slots=True)
class Found:
    """An answer."""

    ids: list[int]
    """Of mails, newest first."""
    back_to: int | None = None
    """Older ones than this id were not looked at, for want of patience; None: all were."""


def find(connection: Connection, wanted: Wanted, limit: int, among: Sequence[int] = ()) -> list[int]:
    """Ids of the mails, newest first; of `among` only, when there are some. However long it takes."""
    return search(connection, wanted, limit, lambda _: True, among).ids


def search(
    connection: Connection, wanted: Wanted, limit: int, go_on: GoOn, among: Sequence[int] = ()
) -> Found:
    """Likewise, and as far back as `go_on` lets it where no index knows the words."""
    conditions = _conditions(connection, wanted)
    if conditions is None:
        return Found([])
    span = _span(wanted)
    narrowed = conditions if span is None else [each.within(*span) for each in conditions]
    driver = _driver(connection, narrowed)
    if driver is not None and driver.is_scan and not among:
        return _comb(connection, conditions, driver, wanted, limit, go_on)
    clauses = [each.narrow if each is driver else each.wide for each in narrowed]
    only = [f"m.id IN ({','.join(map(str, among))})"] if among else []
    if span is not None:
        clauses.append(f"m.id BETWEEN {span[0]} AND {span[1]}")
    ids = _select(connection, [*clauses, *only], _parameters(conditions), limit)
    return Found(ids + _late(connection, conditions, only, wanted, limit - len(ids)))


def _span(wanted: Wanted) -> tuple[int, int] | None:
    """Ids of the mails that came in the time that is asked for; None: of all."""
    if wanted.since_ms is None and wanted.until_ms is None:
        return None
    last = LAST_ID if wanted.until_ms is None else id_at(wanted.until_ms + 1) - 1
    return id_at(wanted.since_ms or 0), last


def _late(
    connection: Connection,
    conditions: Sequence[Condition],
    only: Sequence[str],
    wanted: Wanted,
    limit: int,
) -> list[int]:
    """Mails that are older than the time that is asked for, and to which something happened then."""
    if not wanted.since_ms or limit <= 0:
        return []
    until = NEVER_MS if wanted.until_ms is None else wanted.until_ms
    late = "m.id IN (SELECT mail FROM steps WHERE time BETWEEN ? AND ? AND mail < ?)"
    clauses = [*(each.wide for each in conditions), *only, late]
    values = [*_parameters(conditions), wanted.since_ms, until, id_at(wanted.since_ms)]
    return _select(connection, clauses, values, limit)


def _comb(
    connection: Connection,
    conditions: Sequence[Condition],
    scan: Condition,
    wanted: Wanted,
    limit: int,
    go_on: GoOn,
) -> Found:
    """Slice by slice, from the newest mail on."""
    others = [each for each in conditions if each is not scan]
    clauses = ["m.id BETWEEN ? AND ?", f"m.id IN ({scan.narrow})", *(each.wide for each in others)]
    first, last = _span(wanted) or (0, LAST_ID)
    # Two questions: one for both ends would look at every mail.
    (newest,) = connection.execute("SELECT max(id) FROM mails").fetchone()
    (oldest,) = connection.execute("SELECT min(id) FROM mails").fetchone()
    begin, end = min(last, newest or 0), max(first, oldest or 0)
    top, ids = begin, list[int]()
    while top >= end and len(ids) < limit:
        row = connection.execute(
            "SELECT id FROM mails WHERE id <= ? ORDER BY id DESC LIMIT 1 OFFSET ?", (top, SLICE - 1)
        ).fetchone()
        bottom = end if row is None else max(end, row[0])
        values = [bottom, top, bottom, top, *scan.parameters, *_parameters(others)]
        ids += _select(connection, clauses, values, limit - len(ids))
        top = bottom - 1
        if len(ids) < limit and top >= end and not go_on((begin - top) / (begin - end + 1)):
            return Found(ids, bottom)
    return Found(ids + _late(connection, conditions, (), wanted, limit - len(ids)))


def _parameters(conditions: Sequence[Condition]) -> list[int | str]:
    return [value for each in conditions for value in each.parameters]


def _select(
    connection: Connection, clauses: Sequence[str], parameters: Sequence[int | str], limit: int
) -> list[int]:
    where = f"WHERE {' AND '.join(clauses)}" if clauses else ""
    rows = connection.execute(
        f"SELECT m.id FROM mails m {where} ORDER BY m.id DESC LIMIT ?", [*parameters, limit]
    )
    return [row[0] for row in rows]


def _driver(connection: Connection, conditions: Sequence[Condition]) -> Condition | None:
    """The condition to put narrow."""
    best, fewest = None, NARROW_MAX
    for each in conditions:
        if not each.counted:
            continue
        (count,) = connection.execute(
            f"SELECT count(*) FROM (SELECT 1 {each.counted} LIMIT {NARROW_MAX})", each.parameters
        ).fetchone()
        if count < fewest or (best is None and each.is_in_order):
            best, fewest = each, count
    return best or next((each for each in conditions if each.is_scan), None)


def _conditions(connection: Connection, wanted: Wanted) -> list[Condition] | None:
    """What is asked; None when no mail can meet it."""
    found: list[Condition | None] = []
    if wanted.id is not None:
        found.append(_column("id", wanted.id))
    if wanted.message_id:
        found += _message(wanted.message_id)
    if wanted.campaign:
        found.append(_column("campaign", wanted.campaign))
    if wanted.sender:
        found.append(_sender(connection, wanted.sender))
    if wanted.recipient:
        found.append(_recipient(connection, wanted.recipient))
    if wanted.outcome is not None:
        found.append(_outcome(wanted.outcome))
    if wanted.reply:
        found.append(_reply(connection, wanted.reply))
    conditions = [each for each in found if each is not None]
    return conditions if len(conditions) == len(found) else None


def _column(name: str, value: int | str) -> Condition:
    return Condition(
        f"m.{name} = ?",
        f"+m.{name} = ?",
        f"FROM mails WHERE {name} = ?",
        (value,),
        is_in_order=True,
        mail="mails.id",
    )


def _message(message_id: str) -> list[Condition | None]:
    key = message_key(message_id)
    if key is None:
        return [None]
    bare = message_id.strip().strip("<>")
    exact = "trim(trim(m.message_id), '<>') = ?"
    return [_column("message_key", key), Condition(exact, exact, "", (bare,))]


def _sender(connection: Connection, sender: str) -> Condition | None:
    if sender in ("<>", "null"):
        # A mail of which only steps are known has no sender and no priority either.
        null = "m.sender IS NULL AND m.priority IS NOT NULL"
        return Condition(null, null, "", ())
    if sender.startswith("@"):
        domain = sender[1:].lower()
        return Condition(
            "m.sender IN (SELECT id FROM people WHERE domain = ?)",
            "(SELECT domain FROM people WHERE id = m.sender) = ?",
            "FROM people JOIN mails ON mails.sender = people.id WHERE domain = ?",
            (domain,),
        )
    row = connection.execute("SELECT id FROM people WHERE address = ?", (sender.lower(),)).fetchone()
    return None if row is None else _column("sender", row[0])


def _recipient(connection: Connection, recipient: str) -> Condition | None:
    if recipient.startswith("@"):
        domain = recipient[1:].lower()
        of = "FROM people JOIN recipients ON recipients.person = people.id WHERE people.domain = ?"
        return Condition(
            f"m.id IN (SELECT recipients.mail {of})",
            "EXISTS (SELECT 1 FROM recipients r JOIN people p ON p.id = r.person "
            "WHERE r.mail = m.id AND p.domain = ?)",
            of,
            (domain,),
        )
    forms = Privacy(Kept.FULL, key_of(connection)).forms(recipient)
    rows = connection.execute("SELECT id FROM people WHERE address IN (?, ?)", forms).fetchall()
    return _set("recipients", "person", [row[0] for row in rows]) if rows else None


def _outcome(outcome: State) -> Condition:
    number = int(outcome)
    if outcome is State.UNCERTAIN:
        of = "FROM steps WHERE event = 4"
        return Condition(
            f"m.id IN (SELECT mail {of})",
            "EXISTS (SELECT 1 FROM steps s WHERE s.mail = m.id AND s.event = 4)",
            of,
            (),
            mail="mail",
        )
    # "state > 1" is said as the index says it: SQLite compares words, not numbers.
    of = f"FROM recipients WHERE state > 1 AND state = {number}"
    is_indexed = number > 1
    return Condition(
        f"m.id IN (SELECT mail {of})",
        f"EXISTS (SELECT 1 FROM recipients r WHERE r.mail = m.id AND r.state = {number})",
        of if is_indexed else "",
        (),
        mail="mail" if is_indexed else "",
    )


def _reply(connection: Connection, words: str) -> Condition | None:
    """Texts that have the words; else the server that wrote it; else the part that is only its own, as an id of
    the next hop's."""
    texts = connection.execute(
        "SELECT id FROM texts WHERE text LIKE ? ESCAPE '\\'", (_like(words),)
    ).fetchall()
    if texts:
        return _set("steps", "text", [row[0] for row in texts])
    servers = connection.execute(
        "SELECT id FROM names WHERE name LIKE ? ESCAPE '\\' "
        "AND EXISTS (SELECT 1 FROM steps WHERE remote = names.id)",
        (_like(words.strip(" <>[]").removeprefix("Hostname=")),),
    ).fetchall()
    if servers:
        return _set("steps", "remote", [row[0] for row in servers])
    of = "FROM steps WHERE mark = ? AND parts LIKE ? ESCAPE '\\'"
    own = split(words)[1].rpartition(SEPARATOR)[2]
    for part in filter(None, (words, own)):
        found = (mark(part) or 0, _like(part))
        if connection.execute(f"SELECT 1 {of} LIMIT 1", found).fetchone() is not None:
            return Condition(
                f"m.id IN (SELECT mail {of})",
                "EXISTS (SELECT 1 FROM steps s WHERE s.mail = m.id AND s.mark = ? AND s.parts LIKE ? ESCAPE '\\')",
                of,
                found,
            )
    # No index knows it: row by row.
    return Condition(
        "SELECT mail FROM steps WHERE mail BETWEEN ? AND ? AND parts LIKE ? ESCAPE '\\'",
        "EXISTS (SELECT 1 FROM steps s WHERE s.mail = m.id AND s.parts LIKE ? ESCAPE '\\')",
        "",
        (_like(own or words),),
        is_scan=True,
    )


def _set(table: str, column: str, numbers: Sequence[int]) -> Condition:
    """Mails with a row of `table` whose column is one of these."""
    listed = ",".join(map(str, numbers))
    of = f"FROM {table} WHERE {column} IN ({listed})"
    return Condition(
        f"m.id IN (SELECT mail {of})",
        f"EXISTS (SELECT 1 FROM {table} t WHERE t.mail = m.id AND t.{column} IN ({listed}))",
        of,
        (),
        mail="mail",
    )


def _like(words: str) -> str:
    for special in "\\%_":
        words = words.replace(special, f"\\{special}")
    return f"%{words}%"
