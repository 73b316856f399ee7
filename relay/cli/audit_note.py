"""What a command does is recorded, with who did it."""

import os
import pwd
from pathlib import Path

from relay.audit.log import AuditLog
from relay.audit.row import Row, cut
from relay.clock import SystemClock
from relay.config.configuration import Configuration
from relay.errors import ConfigurationError

LOGIN_UID = Path("/proc/self/loginuid")
"""Set at the login and kept through su and sudo (audit_setuid(7)); 2**32 - 1 is nobody."""
NOBODY = 2**32 - 1


class CommandNote:
    """Of one command; does nothing where nothing is recorded."""

    def __init__(self, configuration: Configuration) -> None:
        """Before anything is changed: ConfigurationError when the log cannot be written."""
        self._log = None
        if configuration.audit is None:
            return
        self._log = AuditLog(configuration.audit, SystemClock(), owner_of(configuration))
        try:
            self._log.check()
        except OSError as error:
            raise ConfigurationError(
                f"nothing was changed: the audit log in {configuration.audit.path} cannot be written: {error.strerror}"
            ) from None

    def put(self, row: Row) -> None:
        """It is done; ConfigurationError when it could not be recorded after all."""
        if self._log is None:
            return
        fields = {key: cut(value) for key, value in row.items()}
        try:
            self._log.append([self._log.row({"process": "command", "by": who()} | fields)])
        except OSError as error:
            raise ConfigurationError(f"it was done, and could not be recorded: {error.strerror}") from None


def owner_of(configuration: Configuration) -> tuple[int, int] | None:
    """The relay's user is whose the spool is, or before there is one the folder: it must read what root writes."""
    for path in (configuration.spool.path, configuration.relay.clients_file.parent):
        try:
            found = path.stat()
        except OSError:
            continue
        return found.st_uid, found.st_gid
    return None


def who() -> str:
    """`alice as root`: who logged in, and as whom the command runs."""
    user = _name(os.geteuid())
    try:
        login = int(LOGIN_UID.read_text())
    except (OSError, ValueError):
        login = NOBODY
    by = _name(login) if login != NOBODY else os.environ.get("SUDO_USER", user)
    return user if by == user else f"{by} as {user}"


def _name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
