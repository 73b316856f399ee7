"""Room that only removals get.

To remove a mail LMDB first writes: new copies of the pages on the way to it. When some
other program has filled the disk to the last byte that fails, and a spool that cannot
empty would deliver its mails again and again. A file of zeros holds a few MiB for this
moment; what a removal frees is used by the next ones, so they last.
"""

import os
from contextlib import suppress
from pathlib import Path

FILE = "ballast"


class Ballast:
    """The file and its size."""

    def __init__(self, folder: Path, size_bytes: int) -> None:
        self._path = folder / FILE
        self._size = size_bytes

    def drop(self) -> bool:
        """Give its room away; False when there was none."""
        try:
            was = self._path.stat().st_size
            os.truncate(self._path, 0)
        except OSError:
            return False
        return was > 0

    def restore(self) -> None:
        """Take room for it, if it has none; does nothing when the disk has none either."""
        with suppress(OSError):
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                if os.fstat(descriptor).st_size < self._size:
                    self._fill(descriptor)
            finally:
                os.close(descriptor)

    def _fill(self, descriptor: int) -> None:
        try:
            # posix_fallocate writes zeros where the file system cannot reserve.
            os.posix_fallocate(descriptor, 0, self._size)
        except OSError:
            os.ftruncate(descriptor, 0)
            raise
