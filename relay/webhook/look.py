"""A look at the history from where a webhook has got to: the next batch, and what has become of the numbers.

Blocks on the disk, for a thread.
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from msgspec.structs import replace

from relay.trace.history import database, passage, runs
from relay.trace.history.options import HistoryError
from relay.trace.history.passage import Happened, History
from relay.webhook.options import WebhookOptions
from relay.webhook.position import Position

_MARK_BYTES = 12


@dataclass(frozen=True, slots=True)
class Look:
    """What there is to tell."""

    position: Position
    """From where, in the history as it is now."""
    steps: tuple[Happened, ...] = ()
    upto: int = 0
    """It covers the numbers up to this one."""
    missing: int = 0
    """Of those, so many are lost."""
    last: int = 0
    """Number of the last step there is."""
    key: bytes = b""
    """Of the history."""


def wanted_by(options: WebhookOptions) -> Callable[[Happened], bool]:
    """Which steps it is told of."""
    events, routes, clients = frozenset(options.events), frozenset(options.routes), frozenset(options.clients)

    def is_wanted(step: Happened) -> bool:
        return (
            step.state in events
            and (not routes or step.route in routes)
            and (not clients or step.account in clients)
        )

    return is_wanted


def look(path: Path, position: Position, wanted: Callable[[Happened], bool], limit: int) -> Look:
    """The next batch; a history that is not there yet has none. HistoryError."""
    if not path.exists():
        return Look(position, upto=position.cursor, last=position.cursor)
    with database.reading(path) as connection:
        history = passage.known(connection)
        position = placed(position, history)
        is_tried = position.cursor < position.upto <= history.last
        upto = position.upto if is_tried else max(history.last, position.cursor)
        found = passage.read(connection, position.cursor, upto, wanted, limit)
    return Look(position, found.steps, found.upto, found.missing, history.last, history.key)


def begun(path: Path, *, from_start: bool) -> Position:
    """Of a new webhook: what happens from now on; `from_start`: all there is.

    Where the history cannot be read, the deliverer is about to begin it: then all of it is new.
    """
    try:
        with database.reading(path) as connection:
            history = passage.known(connection)
            (first,) = connection.execute("SELECT min(id) FROM steps").fetchone()
    except HistoryError:
        return Position()
    cursor = history.last if not from_start or first is None else int(first) - 1
    return Position(_mark(history), _names(history), cursor)


def placed(position: Position, history: History) -> Position:
    """The position in this history: another one is told from its beginning, one that lost its end again from there."""
    mark, names = _mark(history), _names(history)
    if position.history == mark:
        cursor = runs.surely(position.cursor, position.runs, history.runs)
        upto = position.upto if cursor == position.cursor else 0
        return replace(position, runs=names, cursor=cursor, upto=upto)
    if not position.history:
        return replace(position, history=mark, runs=names)
    return replace(position, history=mark, runs=names, cursor=0, upto=0, missing=0, is_new_history=True)


def _mark(history: History) -> str:
    """The key itself stays in the history: hashes of addresses are made with it."""
    return blake2b(history.key, digest_size=_MARK_BYTES).hexdigest()


def _names(history: History) -> tuple[str, ...]:
    return tuple(run.name for run in history.runs)
