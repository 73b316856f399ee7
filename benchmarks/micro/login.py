"""What logins cost a receiver: processor time each, and how late its loop is meanwhile.

    python -m benchmarks.micro.login [--rate N] [--seconds N]

A client of another process opens a connection for each login, as an application does
that logs in for every mail: EHLO, AUTH PLAIN and QUIT in one write. "none" is the same
without AUTH, to compare with. "remembered" is one client again and again. "wrong" guesses,
at a twentieth of the rate: each guess is 20 ms of argon2, in the thread beside the loop.
Lateness is that of a timer of 1 ms in the receiver's loop.
"""

import argparse
import asyncio
import multiprocessing
import secrets
import socket
import time
from base64 import b64encode
from collections.abc import Callable, Coroutine
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median, quantiles
from typing import TypeVar

import uvloop

from relay.clock import SystemClock
from relay.identity.client import Client, Clients, Password
from relay.identity.password import hash_password
from relay.receive import options as receive
from relay.receive.brake_options import BrakeOptions
from relay.receive.options import Limits, ListenerOptions, ReceiverOptions
from relay.receive.receiver import Receiver
from relay.route.table import RouteTable
from relay.spool.commit import Committer
from relay.spool.handover import Queued
from relay.spool.memory import MemoryStore
from relay.spool.options import SpoolOptions

Result = TypeVar("Result")
Auth = Callable[[int], bytes]
"""The command of a login, by its number."""

PASSWORD = "sesame"
PROBE_S = 0.001
WITHIN_S = 30.0


class _Nobody:
    def announce(self, queued: Queued) -> None:
        """No mail is sent here."""


def main() -> None:
    """A line for each kind of login."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()
    print(
        f"{'login':>10} {'a second':>8} {'CPU µs':>7} {'p50 ms':>7} {'p99 ms':>7}   loop late ms: p50 p99 most"
    )
    for kind, auth, rate in (("none", _none, 1.0), ("remembered", _right, 1.0), ("wrong", _wrong, 0.05)):
        near, far = multiprocessing.Pipe()
        child = multiprocessing.get_context("spawn").Process(target=_receive, args=(far,))
        child.start()
        far.close()
        port = near.recv()
        _run(_load(port, auth, 50, 1.0))
        near.send("measure")
        near.recv()
        waits, seconds = _run(_load(port, auth, max(1, int(options.rate * rate)), options.seconds))
        near.send("stop")
        cpu_s, late = near.recv()
        child.join(WITHIN_S)
        print(
            f"{kind:>10} {len(waits) / seconds:>8.0f} {cpu_s / len(waits) * 1e6:>7.0f} {median(waits) * 1e3:>7.2f} "
            f"{quantiles(waits, n=100)[98] * 1e3:>7.2f}   "
            f"{median(late) * 1e3:.2f} {quantiles(late, n=100)[98] * 1e3:.2f} {max(late) * 1e3:.2f}"
        )


def _run(work: Coroutine[None, None, Result]) -> Result:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def _none(number: int) -> bytes:
    return b""


def _right(number: int) -> bytes:
    return b"AUTH PLAIN %b\r\n" % b64encode(b"\0erp\0" + PASSWORD.encode())


def _wrong(number: int) -> bytes:
    return b"AUTH PLAIN %b\r\n" % b64encode(b"\0erp\0%d" % number)


async def _load(port: int, auth: Auth, rate: int, seconds: float) -> tuple[list[float], float]:
    """How long each login took, and all of them."""
    waits: list[float] = []
    loop = asyncio.get_running_loop()
    started = loop.time()
    async with asyncio.TaskGroup() as group:
        for number in range(int(rate * seconds)):
            await asyncio.sleep(started + number / rate - loop.time())
            group.create_task(_login(port, auth(number), waits))
    return waits, loop.time() - started


async def _login(port: int, auth: bytes, waits: list[float]) -> None:
    started = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await reader.readline()
    writer.write(b"EHLO bench.example\r\n%bQUIT\r\n" % auth)
    said = await asyncio.wait_for(reader.read(), WITHIN_S)
    assert said.endswith(b"closes the connection\r\n"), said
    writer.close()
    waits.append(time.perf_counter() - started)


def _receive(line: Connection) -> None:
    _run(_serve(line))


async def _serve(line: Connection) -> None:
    """A receiver that measures itself, until it is told to stop."""
    loop = asyncio.get_running_loop()
    sock = socket.create_server(("127.0.0.1", 0))
    clock = SystemClock()
    listener = ListenerOptions("bench", auth=receive.Auth.REQUIRED, auth_without_tls=True)
    word = Password(hash_password(PASSWORD, secrets.token_bytes))
    options = ReceiverOptions(
        "relay.example",
        0,
        (listener,),
        Limits(),
        clients=Clients((Client("erp", "erp", (word,)),)),
        # The wrong guesses come from this machine too.
        brakes=BrakeOptions(exempt=("127.0.0.0/8",)),
    )
    store = MemoryStore(SpoolOptions(Path("/nowhere")))
    committer = Committer(store, loop, lambda event: None, clock)
    receiver = Receiver(
        options, [sock], RouteTable(()), store, committer, _Nobody(), lambda event: None, clock, [None]
    )
    await receiver.start()
    told: asyncio.Queue[object] = asyncio.Queue()
    loop.add_reader(line.fileno(), lambda: told.put_nowait(line.recv()))
    line.send(sock.getsockname()[1])
    await told.get()
    late: list[float] = []
    due = time.monotonic() + PROBE_S

    def probe() -> None:
        nonlocal due
        # Not the loop's own clock, which counts in milliseconds.
        now = time.monotonic()
        late.append(max(0.0, now - due))
        due = now + PROBE_S
        loop.call_later(PROBE_S, probe)

    loop.call_later(PROBE_S, probe)
    started = time.process_time()
    line.send("measuring")
    await told.get()
    line.send((time.process_time() - started, late))
    loop.remove_reader(line.fileno())
    await receiver.drain(1.0)
    await committer.close()


if __name__ == "__main__":
    main()
