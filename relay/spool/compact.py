"""Give the room of removed mail back to the file system.

LMDB uses freed pages again but never shrinks its file. Compacting writes a copy
beside it, checks every record of the copy, syncs it and renames it over the file: at
any moment there is one whole spool under the name. No relay may run meanwhile, it
would go on writing to the old file.
"""

import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread

from relay.errors import ConfigurationError, SpoolError, SpoolFull
from relay.spool.check import Progress, Report, check_store
from relay.spool.lock import Lock
from relay.spool.options import SpoolOptions
from relay.spool.store import DATA_FILE, IN_USE, Store

COPY_FOLDER = "compact"
_LOOK_S = 0.2


@dataclass(frozen=True, slots=True)
class Compacted:
    """File sizes, and what the check of the copy found."""

    before_bytes: int
    after_bytes: int
    report: Report


def compact(options: SpoolOptions, progress: Progress = lambda *_: None) -> Compacted:
    """Rewrite the file; ConfigurationError while a relay runs, SpoolFull, SpoolError when the copy is not right."""
    if not (options.path / DATA_FILE).exists():
        raise ConfigurationError(f"there is no spool in {options.path}")
    lock = Lock.hold(options.path, IN_USE)
    copy = options.path / COPY_FOLDER
    try:
        # What a compaction that was killed left behind.
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir(mode=0o700)
        return _compact(options, copy, progress)
    finally:
        shutil.rmtree(copy, ignore_errors=True)
        lock.release()


def _compact(options: SpoolOptions, copy: Path, progress: Progress) -> Compacted:
    old, new = options.path / DATA_FILE, copy / DATA_FILE
    before = Store.open_unshared(options)
    try:
        if before.free_on_disk_bytes() < before.used_bytes():
            raise SpoolFull(f"the copy needs {before.used_bytes()} bytes beside the file")
        _copy(before, copy, progress)
        counts = before.counts()
        before_bytes = before.file_bytes()
    finally:
        before.close()
    os.chmod(new, 0o600)
    report = _checked(replace(options, path=copy), counts, progress)
    _sync(new)
    os.replace(new, old)
    _sync(options.path)
    return Compacted(before_bytes, old.stat().st_blocks * 512, report)


def _copy(store: Store, folder: Path, progress: Progress) -> None:
    total, errors = store.used_bytes(), list[SpoolError]()

    def run() -> None:
        try:
            store.copy_compacted(folder)
        except SpoolError as error:
            errors.append(error)

    thread = Thread(target=run, name="spool-copy")
    thread.start()
    while thread.is_alive():
        thread.join(_LOOK_S)
        data = folder / DATA_FILE
        progress("copy", min(total, data.stat().st_size) if data.exists() else 0, total)
    if errors:
        raise errors[0]
    progress("copy", total, total)


def _checked(options: SpoolOptions, counts: dict[str, int], progress: Progress) -> Report:
    """What is damaged in the file stays so in the copy; but nothing may be missing from it."""
    after = Store.open_unshared(options)
    try:
        if after.counts() != counts:
            raise SpoolError(
                f"the copy holds {after.counts()}, and the file {counts}: the file was left as it is"
            )
        return check_store(after, progress)
    finally:
        after.close()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
