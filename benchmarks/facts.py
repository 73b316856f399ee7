"""What a result depends on besides the code: machine, file system, versions, commit."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("lmdb", "uvloop", "msgspec", "cryptography")


def facts(spool: Path) -> dict[str, str | int]:
    """For people who compare results later."""
    return {
        "cpu": _field("/proc/cpuinfo", "model name"),
        "cores": len(os.sched_getaffinity(0)),
        "memory": _field("/proc/meminfo", "MemTotal"),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "file_system": file_system(spool),
        "commit": _output("git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"),
        "postfix": _output("postconf", "-d", "-h", "mail_version"),
        **{package: version(package) for package in PACKAGES},
    }


def file_system(path: Path) -> str:
    """Type and options of the file system that holds `path`; the longest mount point above it wins."""
    path = path.resolve()
    best = ("", "")
    for line in Path("/proc/mounts").read_text().splitlines():
        _, point, kind, options, *_ = line.split()
        if path.is_relative_to(point) and len(point) >= len(best[0]):
            best = (point, f"{kind} ({options})")
    return best[1]


def _field(file: str, name: str) -> str:
    for line in Path(file).read_text().splitlines():
        if line.startswith(name):
            return line.partition(":")[2].strip()
    return "?"


def _output(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "?"
