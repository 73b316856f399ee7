"""Disks that fail: a small file system, and files whose writes go wrong at a chosen step.

The faults are real errors of the kernel: the file descriptors that LMDB writes
through are put on something that refuses. No code of ours, nor LMDB's, is replaced.
"""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)


def mount_trouble() -> str | None:
    """Why this process cannot mount a tmpfs, or None."""
    return None if os.geteuid() == 0 else "mounting a tmpfs needs root"


@contextmanager
def small_tmpfs(folder: Path, size_bytes: int) -> Iterator[Path]:
    """A file system of its own in `folder`; OSError when the system does not allow it."""
    folder.mkdir(parents=True, exist_ok=True)
    target = os.fsencode(folder)
    if _libc.mount(b"tmpfs", target, b"tmpfs", 0, b"size=%d" % size_bytes) != 0:
        raise OSError(ctypes.get_errno(), f"mounting a tmpfs: {os.strerror(ctypes.get_errno())}")
    try:
        yield folder
    finally:
        # MNT_DETACH: a test that failed may still have the spool open.
        assert _libc.umount2(target, 2) == 0


def fill(folder: Path, leave_bytes: int = 0) -> Path:
    """Use up the file system, but for some bytes; the file that does it."""
    path = folder / "filler"
    disk = os.statvfs(folder)
    size = max(0, disk.f_bavail * disk.f_frsize - leave_bytes)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, size) if size else None
    finally:
        os.close(descriptor)
    return path


class Step(Enum):
    """Where a commit fails."""

    WRITE_NO_SPACE = "the pages: ENOSPC"
    WRITE_ERROR = "the pages: an error other than a lack of space"
    SYNC = "the sync of the pages"
    META = "the write of the meta page"


@contextmanager
def failing(data_file: Path, step: Step) -> Iterator[None]:
    """Let LMDB's writes to this file fail at one step while the context lasts."""
    pages, meta = _descriptors(data_file)
    victim = meta if step is Step.META else pages
    saved = os.dup(victim)
    with _refusing(step) as refusing:
        os.dup2(refusing, victim, inheritable=False)
        try:
            yield
        finally:
            os.dup2(saved, victim, inheritable=False)
            os.close(saved)


@contextmanager
def _refusing(step: Step) -> Iterator[int]:
    match step:
        case Step.WRITE_NO_SPACE:
            descriptor = os.open("/dev/full", os.O_RDWR)
        case Step.SYNC:
            # Takes every write, and has nothing to sync: EINVAL.
            descriptor = os.open("/dev/null", os.O_RDWR)
        case Step.WRITE_ERROR | Step.META:
            # Not open for writing: EBADF.
            descriptor = os.open("/dev/null", os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _descriptors(data_file: Path) -> tuple[int, int]:
    """LMDB's two: pages are written through the one, the meta page through the other, with O_DSYNC."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            if os.path.samefile(f"/proc/self/fd/{name}", data_file):
                flags = int(Path(f"/proc/self/fdinfo/{name}").read_text().split("flags:")[1].split()[0], 8)
                found[bool(flags & os.O_DSYNC)] = int(name)
        except OSError:
            continue
    return found[False], found[True]
