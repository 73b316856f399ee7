"""The control socket: where it is, and who may use it."""

import grp
import os
from dataclasses import replace
from pathlib import Path

from relay.config.configuration import ControlOptions
from relay.config.findings import Findings
from relay.config.model import ControlTable

CONTROL_SOCKET = "control.sock"
SOCKET_PATH_MAX = 107
"""sun_path has 108 bytes with its NUL (unix(7))."""
EVERYBODY = 0o007


def build_control(found: Findings, table: ControlTable, spool: Path) -> ControlOptions:
    """Its options."""
    path = spool / CONTROL_SOCKET if table.path is None else found.file(table.path)
    if len(os.fsencode(path)) > SOCKET_PATH_MAX:
        found.problem("control.path", f"is too long for a Unix socket ({SOCKET_PATH_MAX} bytes)")
    options = ControlOptions(path)
    mode = options.mode if table.mode is None else int(table.mode, 8)
    if mode & EVERYBODY:
        found.problem(
            "control.mode", f'"{mode:04o}" lets everybody on this machine cancel mail; write "0600" or "0660"'
        )
    group = None if table.group is None else _group(found, table.group)
    if (group is not None or mode & 0o070) and path.parent == spool:
        found.warning(
            "control.path",
            "the spool's folder lets nobody in but the relay's user; name a path where the group may go, "
            'such as "/run/m365-relay/control.sock"',
        )
    return replace(options, mode=mode, group=group)


def _group(found: Findings, name: str) -> int | None:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        found.problem(
            "control.group", f'there is no group "{name}" on this machine; make it (groupadd {name})'
        )
        return None
