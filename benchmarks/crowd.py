"""Clients that a relay would rather not have: idle ones, and hostile ones of six kinds, from many addresses of the loopback.

    python -m benchmarks.crowd PORT IDLE HOSTILE [KIND ...]

A process of its own, with a loop of its own. It says `ready` when the idle ones are connected
and the hostile ones at work, and what they did, as JSON, when its standard input ends.
Each hostile client does something every PACE_S, so that the crowd does not take the
processors that are to be measured; what it takes is told.
"""

import asyncio
import json
import resource
import sys
from base64 import b64encode
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

PER_ADDRESS = 250
"""Idle clients of one address: below the default of `limits.connections_per_address`."""
HOSTILE_PER_ADDRESS = 10
PACE_S = 0.25
PATIENCE_S = 30.0
AT_ONCE = 200
"""Connections that are being opened at a time: the kernel's backlog is not what is measured."""

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Act = Callable[["Crowd", asyncio.StreamReader, asyncio.StreamWriter, int], Awaitable[None]]


class Crowd:
    """Counts what came of it."""

    def __init__(self, port: int, kinds: Sequence[str]) -> None:
        self.port = port
        self.kinds = kinds
        self.counts: Counter[str] = Counter()

    async def connect(self, address: str) -> Streams:
        """From that address; OSError."""
        opening = asyncio.open_connection("127.0.0.1", self.port, local_addr=(address, 0))
        return await asyncio.wait_for(opening, PATIENCE_S)

    async def ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, said: bytes) -> bytes:
        """A command and its reply; ConnectionError when there is none."""
        writer.write(said)
        while line := await asyncio.wait_for(reader.readline(), PATIENCE_S):
            if line[3:4] == b" ":
                self.counts[line[:3].decode("latin-1")] += 1
                return line
        raise ConnectionError


async def _guess(
    crowd: Crowd, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
) -> None:
    await crowd.ask(reader, writer, b"EHLO guess\r\n")
    for guess in range(1_000):
        word = b64encode(b"\0erp\0guess %d of %d" % (guess, number))
        await crowd.ask(reader, writer, b"AUTH PLAIN " + word + b"\r\n")
        await asyncio.sleep(PACE_S)


async def _harvest(
    crowd: Crowd, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
) -> None:
    await crowd.ask(reader, writer, b"EHLO harvest\r\n")
    await crowd.ask(reader, writer, b"MAIL FROM:<a@load.example>\r\n")
    for guess in range(1_000):
        await crowd.ask(reader, writer, b"RCPT TO:<user%d@elsewhere.test>\r\n" % guess)
        await asyncio.sleep(PACE_S)


async def _babble(
    crowd: Crowd, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
) -> None:
    for _ in range(1_000):
        await crowd.ask(reader, writer, b"\x16\x03\x01 GET / HTTP/1.1\r\n")
        await asyncio.sleep(PACE_S)


async def _dribble(
    crowd: Crowd, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
) -> None:
    while not (reader.at_eof() or writer.transport.is_closing()):
        writer.write(b"x")
        await asyncio.sleep(PACE_S)


async def _never_read(
    crowd: Crowd, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
) -> None:
    writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket's transport has it
    while not writer.transport.is_closing():
        if writer.transport.get_write_buffer_size() < 65_536:
            writer.write(b"EHLO never-read\r\n" * 100)
        await asyncio.sleep(PACE_S)


async def _knock(
    crowd: Crowd, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
) -> None:
    await asyncio.sleep(PACE_S / 5)


KINDS: dict[str, Act] = {
    "guess": _guess,
    "harvest": _harvest,
    "babble": _babble,
    "dribble": _dribble,
    "never-read": _never_read,
    "knock": _knock,
}


async def _misbehave(crowd: Crowd, number: int) -> None:
    act = KINDS[crowd.kinds[number % len(crowd.kinds)]]
    place = number // HOSTILE_PER_ADDRESS
    address = f"127.0.{2 + place // 250}.{1 + place % 250}"
    while True:
        writer: asyncio.StreamWriter | None = None
        with suppress(OSError, TimeoutError):
            reader, writer = await crowd.connect(address)
            crowd.counts["connections"] += 1
            banner = await asyncio.wait_for(reader.readline(), PATIENCE_S)
            crowd.counts[f"banner {banner[:3].decode('latin-1')}"] += 1
            if banner.startswith(b"220"):
                await act(crowd, reader, writer, number)
        if writer is not None:
            writer.close()
        await asyncio.sleep(PACE_S)


async def _idle(crowd: Crowd, number: int, gate: asyncio.Semaphore) -> Streams:
    place = number // PER_ADDRESS
    async with gate:
        reader, writer = await crowd.connect(f"127.0.1.{1 + place}")
        await asyncio.wait_for(reader.readline(), PATIENCE_S)
        return reader, writer


async def main(port: int, idle: int, hostile: int, kinds: Sequence[str]) -> None:
    """Until standard input ends."""
    crowd, gate, loop = Crowd(port, kinds), asyncio.Semaphore(AT_ONCE), asyncio.get_running_loop()
    kept = await asyncio.gather(*(_idle(crowd, number, gate) for number in range(idle)))
    tasks = [loop.create_task(_misbehave(crowd, number)) for number in range(hostile)]
    await asyncio.sleep(2.0)
    print("ready", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    alive = sum(not reader.at_eof() for reader, _ in kept)
    for task in tasks:
        task.cancel()
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = round(used.ru_utime + used.ru_stime, 1)
    print(json.dumps({"idle_alive": alive, "cpu_s": cpu_s, **crowd.counts}), flush=True)
    for _, writer in kept:
        writer.transport.abort()


if __name__ == "__main__":
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    port, idle, hostile = map(int, sys.argv[1:4])
    asyncio.run(main(port, idle, hostile, sys.argv[4:] or list(KINDS)))
