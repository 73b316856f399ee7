"""The authority's sockets: requests in, responses out, one a connection."""

import asyncio
from collections.abc import Callable

from relay.simulator.http import (
    BODY_MAX_BYTES,
    HEAD_MAX_BYTES,
    Request,
    Response,
    encode,
    parse_head,
    request_of,
)

REQUEST_WITHIN_S = 10.0
CONNECTIONS_MAX = 256
"""Requests under way; each costs a task and some 64 KiB. More are hung up on."""
STALL_S = 3600.0
"""A stalled request is answered by nobody; its client gives up before."""


class Web:
    """`serve` is for asyncio.start_server."""

    def __init__(self, answer: Callable[[Request], Response | str]) -> None:
        """`answer` gives `stall` or `reset` for a request that is not to be answered."""
        self._answer = answer
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        if len(self._tasks) >= CONNECTIONS_MAX:
            writer.close()
            return
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            response = await self._respond(reader)
            writer.write(encode(response))
            await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # The client went away, stalled or spoke no HTTP: nobody to tell.
        finally:
            self._tasks.discard(task)
            writer.close()

    async def close(self) -> None:
        """End those that are open."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _respond(self, reader: asyncio.StreamReader) -> Response:
        async with asyncio.timeout(REQUEST_WITHIN_S):
            text = await reader.readuntil(b"\r\n\r\n")
            head = parse_head(text) if len(text) <= HEAD_MAX_BYTES else None
            if head is None:
                return Response(400, {"error": "no HTTP/1.1 request with a Content-Length"})
            if head.length > BODY_MAX_BYTES:
                return Response(413, {"error": f"a body may have {BODY_MAX_BYTES} bytes"})
            body = await reader.readexactly(head.length)
        response = self._answer(request_of(head, body))
        if isinstance(response, Response):
            return response
        if response == "stall":
            await asyncio.sleep(STALL_S)
        raise ConnectionResetError
