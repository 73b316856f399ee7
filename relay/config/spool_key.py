"""The keys that mail is encrypted with in the spool, from `spool.key_file`: one a line, the newest first."""

import os
import re
import stat
from pathlib import Path

from relay.config.findings import Findings
from relay.spool.cipher import KEY_BYTES, SpoolKey

KEYS_MAX = 100
FILE_MAX_BYTES = 65_536
LINE = re.compile(r"[0-9a-fA-F]{64}")
FORBIDDEN = stat.S_IWGRP | stat.S_IRWXO
HOW = "one key a line, the newest first; make one: openssl rand -hex 32"


def build_keys(found: Findings, name: str | None, spool: Path) -> tuple[SpoolKey, ...]:
    """The keys; none when there is no file, or a problem was found."""
    if name is None:
        return ()
    path = found.file(name)
    if path.resolve().is_relative_to(spool.resolve()):
        found.problem(
            "spool.key_file", f"{path} lies in the spool: who takes the one has the other; keep it elsewhere"
        )
    try:
        with open(path, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            lines = file.read(FILE_MAX_BYTES).decode("ascii", "replace").split()
    except OSError as error:
        found.problem("spool.key_file", f"cannot read {path}: {error.strerror}")
        return ()
    if mode & FORBIDDEN:
        found.problem("spool.key_file", f"others may read or change {path}; run: chmod 600 {path}")
    if not lines or len(lines) > KEYS_MAX or not all(map(LINE.fullmatch, lines)):
        found.problem("spool.key_file", f"{path} must hold {KEY_BYTES} bytes as 64 hexadecimal digits: {HOW}")
        return ()
    if len({line.lower() for line in lines}) < len(lines):
        found.problem("spool.key_file", f"{path} holds a key twice; {HOW}")
    return tuple(SpoolKey(bytes.fromhex(line)) for line in lines)
