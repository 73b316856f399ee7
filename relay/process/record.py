"""Where the supervisor's events go: the log, the counts, and what is to be recorded into the audit log."""

import asyncio
import os
from collections.abc import Callable, Sequence

from relay.audit import settings
from relay.audit.log import AuditLog
from relay.audit.options import AuditOptions
from relay.audit.writer import AuditWriter
from relay.clock import Clock
from relay.config import marks
from relay.config.configuration import Configuration
from relay.trace.event import AuditTrouble, Event
from relay.trace.log import Log
from relay.trace.tally import Tally

InForce = Callable[[Configuration], Sequence[tuple[str, str]]]
"""Every key with its value, secrets not."""


class SupervisorRecord:
    """A `Record`."""

    def __init__(
        self, role: str, log: Log, tally: Tally, clock: Clock, options: AuditOptions | None, rows: InForce
    ) -> None:
        """OSError and ConfigurationError when the audit log cannot be written: somebody is there to mend it."""
        self._log = log
        self._tally = tally
        self._options = options
        self._rows = rows
        self._audit: AuditWriter | None = None
        if options is None:
            return
        audit = AuditLog(options, clock)
        audit.check()
        loop = asyncio.get_running_loop()
        self._audit = AuditWriter(
            audit, role, options, clock, lambda event: self._tell(loop, event), tells_head=True
        )

    def __call__(self, event: Event) -> None:
        """Log and count it, and record what is to be recorded."""
        self._log(event)
        self._tally(event)
        if self._audit is not None:
            self._audit.note(event)

    def in_force(self, configuration: Configuration) -> None:
        """Record what changed with this configuration."""
        if self._audit is None or self._options is None:
            return
        values = dict(self._rows(configuration)) | marks.fingerprints(configuration)
        try:
            rows = settings.settle(self._options.path, values, marks.secrets(configuration), os.urandom)
        except OSError as error:
            self(AuditTrouble(reason=f"cannot compare the settings: {error}", waiting=0))
            return
        for row in rows:
            self._audit.put(row)

    def close(self) -> None:
        """The last words."""
        if self._audit is not None:
            self._audit.close()

    def _tell(self, loop: asyncio.AbstractEventLoop, event: Event) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(self, event)
