"""The roll: who there is inside the tenant, as a file says, so that nobody else's mail is taken in.

One address a line, or a domain (all of it is known), or `*.domain`; `#` begins a comment.
The file is looked at once a second and read again, in a thread, when it has changed and
then stood still from one look to the next: a list that is just being written would refuse
those it does not name yet. A list that cannot be read leaves the old one in force. One that
was never read, or that is made of the directory and has become too old, says nothing of who
is not there (`is_current`).
"""

import math
import os
import re
from pathlib import Path

from relay.errors import ConfigurationError
from relay.route.pattern import keys_of, rule_key

FILE_MAX_BYTES = 16 * 1024 * 1024
"""Some 500,000 addresses, which take 60 MB in each receiver."""
_LINE = re.compile(r'(?:[^@\s<>,;"]+@|\*\.)?[^@\s<>,;"*.]+(?:\.[^@\s<>,;"*.]+)+')
_ALWAYS = b"postmaster@"
"""RFC 5321 section 4.5.1: a server must take mail for it."""

_NOBODY: frozenset[bytes] = frozenset()

Seen = tuple[int, int, int]


def load(path: Path) -> frozenset[bytes]:
    """The keys of all that it names; ConfigurationError says which line is wrong."""
    try:
        with open(path, "rb") as file:
            data = file.read(FILE_MAX_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > FILE_MAX_BYTES:
        raise ConfigurationError(f"{path} is larger than {FILE_MAX_BYTES} bytes; name domains instead")
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is not UTF-8") from None
    keys = set()
    for number, line in enumerate(lines, 1):
        name = line.partition("#")[0].strip()
        if not name:
            continue
        if not _LINE.fullmatch(name):
            raise ConfigurationError(
                f"{path}, line {number}: write an address, a domain or *.domain, and nothing else"
            )
        keys.add(rule_key(name))
    if not keys:
        raise ConfigurationError(f"{path} names nobody, so nobody inside could get mail")
    return frozenset(keys)


def see(path: Path) -> Seen | None:
    """What changes when the file does; None: there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


class Roll:
    """The list that is in force, and the file it came from."""

    def __init__(self, path: Path, stale_s: float = math.inf) -> None:
        """Nothing is read yet, and nobody known; `stale_s` is the age from which it is too old."""
        self.path = path
        self._stale_s = stale_s
        self._keys: frozenset[bytes] | None = None
        self._seen: Seen | None = None
        self._taken: Seen | None = None

    def __len__(self) -> int:
        return len(self._keys or ())

    def begin(self) -> None:
        """Whoever calls it reads the file now, whether it stands still or not."""
        self._seen = self._taken = see(self.path)

    @property
    def is_awaited(self) -> bool:
        """It is made of the directory, and was not yet: no fault, as it is at the first start."""
        return self._stale_s < math.inf and self._seen is None

    def is_new(self) -> bool:
        """Has the file changed, and stood still since this was asked before? Once for each change."""
        before, self._seen = self._seen, see(self.path)
        if self._seen != before or self._seen == self._taken:
            return False
        self._taken = self._seen
        return True

    def put(self, keys: frozenset[bytes]) -> None:
        """They are in force from now on."""
        self._keys = keys

    def is_current(self, now: float) -> bool:
        """Does it say who is not there? `now` in seconds since the epoch."""
        if self._keys is None or self._taken is None:
            return False
        return now - self._taken[0] / 1e9 < self._stale_s

    def knows(self, address: bytes) -> bool:
        """Is there such a recipient? A `+tag` behind the name is the name's (Exchange Online delivers it so)."""
        keys = self._keys or _NOBODY
        if not keys.isdisjoint(keys_of(address)):
            return True
        local, _, domain = address.lower().rpartition(b"@")
        name, plus, _ = local.partition(b"+")
        return (bool(plus and name) and name + b"@" + domain in keys) or address.lower().startswith(_ALWAYS)
