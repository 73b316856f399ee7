"""A deliverer with its control socket, and clients of it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from relay.config.configuration import ControlOptions
from relay.control.office import Office
from relay.control.server import ControlServer
from relay.deliver.actions import Count
from relay.deliver.reasons import Explained
from relay.message.queue_id import format_id
from relay.route.route import Route
from tests.deliver.relaying import Relaying, relaying

NOBODY = 1
"""A port of the loopback at which nobody listens."""


class Asking:
    """One connection to the socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def ask(self, **request: object) -> list[dict[str, object]]:
        """All objects of the answer, progress too."""
        self.writer.write(json.dumps(request).encode() + b"\n")
        return await self.answer()

    async def answer(self) -> list[dict[str, object]]:
        found: list[dict[str, object]] = []
        async with asyncio.timeout(20):
            while not found or not found[-1].get("end"):
                line = await self.reader.readline()
                assert line, f"hung up after {found}"
                found.append(json.loads(line))
        return found

    async def result(self, **request: object) -> dict[str, object]:
        """What the last object has as its result."""
        last = (await self.ask(**request))[-1]
        result = last.get("result")
        assert last["version"] == 1 and isinstance(result, dict), last
        return result

    async def why(self, id: int) -> Explained:
        """What a mail waits for."""
        return msgspec.convert(await self.result(do="why", id=format_id(id)), Explained)

    async def act(self, do: str, **request: object) -> Count:
        """What came of an order."""
        return msgspec.convert(await self.result(do=do, **request), Count)


@asynccontextmanager
async def controlled(
    folder: Path, *routes: Route, **how: object
) -> AsyncIterator[tuple[Relaying, ControlServer]]:
    """A relay at work that takes commands at `folder / "control"`."""
    async with relaying(folder, *routes, **how) as relay:  # type: ignore[arg-type]  # as of `relaying`
        assert relay.deliverer is not None
        office = Office(relay.deliverer, relay.store.count, relay.record, relay.clock)
        server = ControlServer(ControlOptions(folder / "control"), office)
        await server.listen()
        try:
            yield relay, server
        finally:
            await server.close()


@asynccontextmanager
async def asking(folder: Path) -> AsyncIterator[Asking]:
    """A client."""
    reader, writer = await asyncio.open_unix_connection(str(folder / "control"), limit=1 << 24)
    try:
        yield Asking(reader, writer)
    finally:
        writer.close()
