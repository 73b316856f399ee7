"""The demo's two processes: the commands a person would type, ended when the block ends."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from relay.cli.demo_log import Log

READY_WITHIN_S = 30.0
STOP_WITHIN_S = 45.0
"""The relay's own drain is bounded by 30 s."""
OUTPUT_MAX_BYTES = 1_048_576
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "requests_ca_bundle", "curl_ca_bundle")
"""They lead away from this machine, or to other certificates; in whatever case."""


class Facts(msgspec.Struct):
    """What the simulator says of itself, as far as the demo needs it."""

    ca_file: str
    control: str
    route_by_token: str


@asynccontextmanager
async def simulator(folder: Path, configuration: Path) -> AsyncIterator[Facts]:
    """`m365-relay simulate`: a tenant that runs."""
    options = ("--config", str(configuration), "--folder", str(folder / "tenant"), "--json")
    with open(folder / "simulator.log", "wb") as log:  # noqa: ASYNC230 (a local file, once)
        async with _child(("simulate", *options), stdout=asyncio.subprocess.PIPE, stderr=log) as process:
            assert process.stdout is not None
            async with asyncio.timeout(READY_WITHIN_S):
                line = await process.stdout.readline()
            if not line:
                raise RuntimeError(f"the simulator did not start; {folder / 'simulator.log'} may say why")
            yield msgspec.json.decode(line, type=Facts)


@asynccontextmanager
async def relay(folder: Path, configuration: Path) -> AsyncIterator[Log]:
    """`m365-relay serve`: a relay that is ready, by its log."""
    log = Log(folder / "relay.log")
    with open(log.path, "wb") as file:  # noqa: ASYNC230 (a local file, once)
        async with _child(("serve", "--config", str(configuration)), stdout=None, stderr=file) as process:
            async with asyncio.timeout(READY_WITHIN_S):
                while not (log.read().listener and log.metrics):
                    if process.returncode is not None:
                        raise RuntimeError(f"the relay ended with status {process.returncode} at its start")
                    await asyncio.sleep(0.02)
            yield log
    log.read()


async def output_of(*arguments: str) -> bytes:
    """What a command of ours prints; RuntimeError when it ends otherwise than well."""
    async with _child(arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE) as process:
        async with asyncio.timeout(READY_WITHIN_S):
            printed, said = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{' '.join(arguments)} ended with {process.returncode}: {said.decode()}")
    return printed


@asynccontextmanager
async def _child(arguments: tuple[str, ...], **streams: object) -> AsyncIterator[asyncio.subprocess.Process]:
    command = (sys.executable, "-m", "relay.cli.main", *arguments)
    environment = {name: value for name, value in os.environ.items() if name.lower() not in PROXIES}
    process = await asyncio.create_subprocess_exec(
        *command,
        env=environment,
        limit=OUTPUT_MAX_BYTES,
        # Its own group: Ctrl-C is for the demo, which ends its children in order.
        start_new_session=True,
        **streams,  # type: ignore[arg-type]  # stdout and stderr, passed on by name
    )
    try:
        yield process
    finally:
        await _stop(process)


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(STOP_WITHIN_S):
            # Not wait(): it would wait for a pipe that nobody reads.
            await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
