"""The console process: metrics and health over HTTP; started by the supervisor."""

import asyncio
import socket
import sys

from relay.console.http import Site, answer
from relay.process import listen
from relay.process.life import Life, run

REQUEST_WITHIN_S = 5.0
"""A scraper sends its request at once."""
CONNECTIONS_MAX = 64
"""Scrapers and health checks, not browsers; each costs a task and 64 KiB at most."""


async def work(life: Life) -> None:
    """Answer until told to stop."""
    assert life.told.console is not None
    site = Site(life.told.run, life.clock)
    open_now = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal open_now
        open_now += 1
        try:
            if open_now <= CONNECTIONS_MAX:
                async with asyncio.timeout(REQUEST_WITHIN_S):
                    request = await reader.readuntil(b"\r\n\r\n")
                    writer.write(answer(request, site))
                    await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # The client went away, stalled or spoke no HTTP: nobody to tell.
        finally:
            open_now -= 1
            writer.close()

    bound = socket.socket(fileno=life.told.console)
    server = await asyncio.start_server(serve, sock=bound)
    life.ready(f"http://{listen.name(bound)}/metrics")
    await life.end
    server.close()


if __name__ == "__main__":
    sys.exit(run(work))
