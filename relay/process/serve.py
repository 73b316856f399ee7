"""`m365-relay serve`: from a file's path to an exit status."""

import asyncio
import os
from pathlib import Path

from relay.clock import Clock, SystemClock
from relay.config.configuration import Configuration
from relay.config.read import read
from relay.process.exits import Exit
from relay.process.listen import CannotListen
from relay.process.notify import Notifier
from relay.process.plan import Sockets
from relay.process.record import InForce, SupervisorRecord
from relay.process.supervisor import ROLE, Supervisor
from relay.trace.event import ConfigurationRead, ProcessFailed, Record, Waiting
from relay.trace.log import Log
from relay.trace.tally import Tally

PORT_WAIT_S = 5.0
"""When a supervisor was killed, its receivers let go of its sockets a moment later: a service manager may be faster."""
PORT_POLL_S = 0.05


def serve(path: Path, rows: InForce) -> Exit:
    """Run the relay until a signal ends it; InvalidConfiguration when it cannot even begin.

    `rows` says what is in force, for the audit log.
    """
    # Spool, sockets and counts are nobody else's business.
    os.umask(0o077)
    configuration = read(path, SystemClock.now())
    return asyncio.run(_serve(configuration, rows))


async def _serve(configuration: Configuration, rows: InForce) -> Exit:
    clock = SystemClock()
    log = Log(ROLE, clock, level=configuration.relay.log_level)
    tally = Tally()
    sockets = Sockets()
    record: SupervisorRecord | None = None
    try:
        record = SupervisorRecord(ROLE, log, tally, clock, configuration.audit, rows)
        await _bind(sockets, configuration, record, clock)
        record(ConfigurationRead(path=str(configuration.path), warnings=configuration.warnings))
        record.in_force(configuration)
        notifier = Notifier(os.environ)
        supervisor = Supervisor(
            configuration, sockets, _reread, record, tally.counts, clock, notifier, record.in_force
        )
        return await supervisor.run()
    except CannotListen as error:
        (record or log)(ProcessFailed(role=ROLE, reason=str(error)))
        return Exit.UNAVAILABLE
    except OSError as error:
        (record or log)(ProcessFailed(role=ROLE, reason=str(error)))
        return Exit.IO
    finally:
        sockets.close()
        if record is not None:
            record.close()
        log.close()


async def _bind(sockets: Sockets, configuration: Configuration, record: Record, clock: Clock) -> None:
    """Bind; a port that is taken is waited for a little, CannotListen after that."""
    deadline, is_told = clock.monotonic() + PORT_WAIT_S, False
    while True:
        try:
            sockets.bind(configuration)
            return
        except CannotListen as error:
            if not error.is_taken or clock.monotonic() >= deadline:
                raise
            if not is_told:
                record(Waiting(role=ROLE, reason=str(error)))
                is_told = True
        await asyncio.sleep(PORT_POLL_S)


def _reread(path: Path) -> Configuration:
    return read(path, SystemClock.now())
