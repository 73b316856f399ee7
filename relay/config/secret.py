"""Secrets: from a file or the environment, never from the configuration itself.

A configuration is copied into tickets and version control; a secret's file is not.
The value is never part of a text this project writes.
"""

import os
import stat
from pathlib import Path

SECRET_MAX_BYTES = 4096
"""A password; more is a file named by mistake."""


def from_file(path: Path) -> tuple[str, str | None]:
    """The secret, and a warning when others may read it; ValueError says why there is none."""
    try:
        with open(path, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(SECRET_MAX_BYTES + 1)
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from None
    if len(data) > SECRET_MAX_BYTES:
        raise ValueError(f"{path} holds more than {SECRET_MAX_BYTES} bytes; that is no password")
    warning = None
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        warning = f"every user of this machine can read {path}; run: chmod o= {path}"
    return _checked(data, str(path)), warning


def from_environment(name: str) -> str:
    """The secret; ValueError says why there is none."""
    value = os.environ.get(name)
    if value is None:
        raise ValueError(f"the environment variable {name} is not set")
    return _checked(value.encode("utf-8", "surrogateescape"), f"the environment variable {name}")


def _checked(data: bytes, source: str) -> str:
    # Editors and `echo` end a file with a newline; a password that ends with one does not exist.
    data = data.removesuffix(b"\n").removesuffix(b"\r")
    if not data:
        raise ValueError(f"{source} is empty")
    if b"\0" in data or b"\n" in data:
        raise ValueError(f"{source} holds more than one line, or a NUL")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ValueError(f"{source} is not UTF-8") from None
