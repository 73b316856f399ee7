"""Where a webhook has got to: a file of its own in the spool's folder, written whole and by rename.

Only a batch that was taken moves it on, and it is on the disk before the next one goes: a
crash at any moment repeats at most one batch. It is written by the webhooks' process alone;
commands read it, and leave an order beside it.
"""

import os
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from relay.errors import RelayError

_SIZE_MAX = 65_536
"""It has some 2 KB."""


class PositionDamaged(RelayError):
    """The file is none of ours."""


class Position(Struct, frozen=True):
    """Of one webhook."""

    history: str = ""
    """A mark of the history that the numbers are of; empty: there was none yet."""
    runs: tuple[str, ...] = ()
    """Its last writers (relay.trace.history.runs)."""
    cursor: int = 0
    """The number of the last step that was told, or was not to be."""
    upto: int = 0
    """The batch that was tried ends here; 0: none was. So it stays the same over restarts."""
    missing: int = 0
    """Steps that were lost since the last batch that was taken."""
    is_new_history: bool = False
    """Since then the history was begun anew."""
    order: str = ""
    """The last order that was carried out."""
    sent: int = 0
    """Events, since the file was begun."""
    sent_at: float = 0.0
    tried_at: float = 0.0
    failures: int = 0
    """Attempts in a row."""
    answer: str = ""
    """What the last attempt met."""
    next_at: float = 0.0
    """When it is tried again; 0: nothing has failed."""


class Order(Struct, frozen=True):
    """A command's: go on behind this step."""

    id: str
    do: str
    by: str
    cursor: int


class PositionFile:
    """Of one webhook; OSError when the disk fails."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._path = folder / f"{name}.json"
        self._order = folder / f"{name}.order"

    def read(self) -> Position | None:
        """Where it has got to; None: it is new. PositionDamaged."""
        return _read(self._path, Position)

    def write(self, position: Position) -> None:
        """On the disk when it returns."""
        _write(self._folder, self._path, msgspec.json.encode(position))

    def move_aside(self) -> Path:
        """What cannot be read is kept, for somebody to look at."""
        aside = self._path.with_suffix(".damaged")
        self._path.replace(aside)
        return aside

    def order(self) -> Order | None:
        """What somebody wants of it; PositionDamaged."""
        return _read(self._order, Order)

    def leave_order(self, order: Order) -> None:
        """For the process to find; it takes the place of one that was not carried out yet."""
        _write(self._folder, self._order, msgspec.json.encode(order))

    def drop_order(self) -> None:
        """It was carried out."""
        self._order.unlink(missing_ok=True)


Content = TypeVar("Content", Position, Order)


def _read(path: Path, kind: type[Content]) -> Content | None:
    try:
        with open(path, "rb") as file:
            data = file.read(_SIZE_MAX)
    except FileNotFoundError:
        return None
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.DecodeError as error:
        raise PositionDamaged(f"{path}: {error}") from None


def _write(folder: Path, path: Path, data: bytes) -> None:
    if not folder.exists():
        folder.mkdir(mode=0o700, exist_ok=True)
        _give(folder, folder.parent)
    new = path.with_name(path.name + ".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        _give(descriptor, folder)
        os.write(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    new.replace(path)
    # The name, too: else a crash brings the old file back.
    holder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(holder)
    finally:
        os.close(holder)


def _give(what: Path | int, like: Path) -> None:
    """What root makes belongs to the relay's user, as the folder does: else he could not read it."""
    if os.geteuid() == 0:
        owner = like.stat()
        os.chown(what, owner.st_uid, owner.st_gid)
