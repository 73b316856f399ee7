"""What changed in the configuration since it was last in force, also over restarts.

`settings.json` beside the chain holds the settings of last time: in words, secrets as
marks under a salt of its own. A row names the key, the old value and the new one; of a
secret it says that it changed. The row `settings_in_force` has the hash of what was
compared and of what is in force now, so that whoever changes the file shows.
"""

import contextlib
import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from relay.audit.row import Row, cut

FILE = "settings.json"
SALT_BYTES = 32
MARK_HEX = 16
SECRET = "(secret)"
CHANGES_MAX = 2_000
"""Rows of one change; a larger one is told by their number, and by the hashes."""


class Settings(Struct):
    """Of one configuration."""

    values: dict[str, str]
    marks: dict[str, str] = {}
    """Of secrets."""
    salt: str = ""

    @property
    def sha256(self) -> str:
        """Of all of it; the salt keeps the secrets."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()


def settle(
    folder: Path, values: Mapping[str, str], secrets: Mapping[str, bytes], chance: Callable[[int], bytes]
) -> list[Row]:
    """The rows that tell what is in force and what changed; the file holds the new settings then."""
    old = _load(folder / FILE)
    salt = chance(SALT_BYTES).hex() if old is None else old.salt
    marks = {key: _mark(secret, salt) for key, secret in secrets.items()}
    new = Settings(dict(values), marks, salt)
    rows = [] if old is None else _changes(old, new)
    count = len(rows)
    if old is None or new != old:
        _store(folder / FILE, new)
    head: Row = {
        "event": "settings_in_force",
        "settings": len(values),
        "changes": count,
        "before": "" if old is None else old.sha256,
        "sha256": new.sha256,
    }
    return [head, *rows[:CHANGES_MAX]]


def _changes(old: Settings, new: Settings) -> list[Row]:
    rows = [
        _changed(key, old.values.get(key), new.values.get(key))
        for key in sorted(old.values.keys() | new.values.keys())
        if old.values.get(key) != new.values.get(key)
    ]
    return rows + [
        _changed(key, SECRET if key in old.marks else None, SECRET if key in new.marks else None)
        for key in sorted(old.marks.keys() | new.marks.keys())
        if old.marks.get(key) != new.marks.get(key)
    ]


def _changed(key: str, old: str | None, new: str | None) -> Row:
    """None: it was not there, or is not."""
    return {"event": "setting_changed", "key": cut(key), "old": cut(old), "new": cut(new)}


def _mark(secret: bytes, salt: str) -> str:
    """Enough to see a change; 64 bits of a salted hash."""
    return hashlib.blake2b(secret, key=bytes.fromhex(salt)).hexdigest()[:MARK_HEX]


def _load(path: Path) -> Settings | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Settings)
    except (FileNotFoundError, msgspec.DecodeError):
        # A file that is damaged is none: `before` says so.
        return None


def _store(path: Path, settings: Settings) -> None:
    temporary = path.with_name(f".{FILE}.{os.getpid()}")
    descriptor = os.open(
        temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
    )
    try:
        with open(descriptor, "wb") as file:
            file.write(msgspec.json.encode(settings))
            file.flush()
            os.fsync(descriptor)
        os.rename(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
