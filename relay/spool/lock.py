"""Who may work on the spool: `flock` files in its folder.

One deliverer and one receiver a slot hold theirs alone; everybody who has the store
open shares `in-use`, and whoever replaces its file (`compact`) takes that alone. The
kernel lets go when a process ends, however it ends. The files stay: to remove one
would let two hold "the same" lock.
"""

import fcntl
import os
from pathlib import Path

from relay.errors import ConfigurationError

DELIVERER = "deliverer"


def receiver(slot: int) -> str:
    """The lock's name of a receiver slot."""
    return f"receiver-{slot}"


class Lock:
    """A lock that is held until `release`."""

    def __init__(self, descriptor: int) -> None:
        """Use `hold` or `share`."""
        self._descriptor = descriptor

    @classmethod
    def hold(cls, folder: Path, name: str) -> "Lock":
        """Hold it alone; ConfigurationError at once when another process has it."""
        return cls._take(folder, name, fcntl.LOCK_EX)

    @classmethod
    def share(cls, folder: Path, name: str) -> "Lock":
        """Hold it with others who share it; ConfigurationError at once when one holds it alone."""
        return cls._take(folder, name, fcntl.LOCK_SH)

    @classmethod
    def _take(cls, folder: Path, name: str, kind: int) -> "Lock":
        path = folder / f"{name}.lock"
        try:
            # Read-write although nothing is written: NFS grants an exclusive lock only so.
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be opened: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            raise ConfigurationError(
                f"another process holds {path}: is a relay running on this spool?"
            ) from error
        return cls(descriptor)

    def release(self) -> None:
        """Let go; once more does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
