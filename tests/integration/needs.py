"""What a test needs of the machine: it skips with the reason, but fails where CI promised to have it."""

import os
import shutil
from pathlib import Path

import pytest

from benchmarks.tools import FOLDER

SEARCH = os.environ.get("PATH", "") + ":/usr/sbin:/usr/lib/postfix/sbin"


def program(name: str, package: str) -> str:
    """The program's path, or the test ends here."""
    found = shutil.which(name, path=SEARCH)
    if found is None:
        missing(f"{name} is not installed (Debian: {package})")
    return str(found)


def load_tool(name: str) -> Path:
    """One of benchmarks/load, which `make test` builds."""
    path = FOLDER / name
    if not path.exists():
        missing(f"{path} is not built; `make test` does it")
    return path


def root(what: str) -> None:
    """Only root may do what the test does."""
    if os.geteuid() != 0:
        missing(f"{what} takes root")


def missing(reason: str) -> None:
    """Skip; in CI fail, for there nothing may be missing."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"in CI nothing may be skipped: {reason}")
    pytest.skip(reason)
