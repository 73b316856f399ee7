"""A simulator on real sockets, in the test's own loop, and what clients need to reach it."""

import asyncio
import json
import smtplib
import ssl
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import uvloop

from relay.clock import SystemClock
from relay.simulator.folder import Folder
from relay.simulator.options import File
from relay.simulator.simulator import Simulator
from tests.simulator.office import ORDERS

Result = TypeVar("Result")
EPHEMERAL = {
    "submission": "127.0.0.1:0", "mx": "127.0.0.1:0", "high_volume": "127.0.0.1:0", "authority": "127.0.0.1:0",
}  # fmt: skip


@asynccontextmanager
async def running(folder: Path, **tables: object) -> AsyncIterator[Simulator]:
    """A simulator that listens."""
    file = File.model_validate({"listen": EPHEMERAL} | tables)
    made = Folder(folder, file.listen.names, "relay.contoso.example")
    simulator = Simulator(made.completed(file), made, SystemClock(), lambda: 0.0)
    await simulator.start()
    try:
        yield simulator
    finally:
        await simulator.close()


def run(folder: Path, work: Callable[[Simulator], Result], **tables: object) -> tuple[Result, Simulator]:
    """Blocking `work` in a thread, while the simulator runs in a loop as the command's."""

    async def both() -> tuple[Result, Simulator]:
        async with running(folder, **tables) as simulator, asyncio.timeout(30):
            return await asyncio.to_thread(work, simulator), simulator

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(both())


def trusting(simulator: Simulator) -> ssl.SSLContext:
    """A context that trusts the simulator's authority only."""
    return ssl.create_default_context(cafile=str(simulator.folder.ca_file))


def client(simulator: Simulator, service: str = "submission") -> smtplib.SMTP:
    """Connected."""
    host, _, port = simulator.addresses[service].rpartition(":")
    return smtplib.SMTP(host, int(port), timeout=10)


def logged_in(simulator: Simulator, mailbox: str = ORDERS) -> smtplib.SMTP:
    """With TLS and AUTH LOGIN."""
    smtp = client(simulator)
    smtp.starttls(context=trusting(simulator))
    smtp.login(mailbox, simulator.folder.password)
    return smtp


def mail(number: int = 1, author: str = ORDERS) -> bytes:
    """A small mail."""
    return f"From: {author}\r\nMessage-ID: <{number}@client.example>\r\n\r\nHello\r\n".encode()


def ask(
    simulator: Simulator, path: str, body: object = None, method: str | None = None, within_s: float = 10.0
) -> dict[str, object]:
    """A request to the authority or the control; its JSON, with the status."""
    data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{simulator.authority.base}{path}", data, method=method)
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trusting(simulator))
    )
    try:
        with opener.open(request, timeout=within_s) as response:
            return {"status": response.status, "body": json.loads(response.read())}
    except urllib.error.HTTPError as error:
        with error:
            return {"status": error.code, "body": json.loads(error.read())}
