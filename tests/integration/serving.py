"""The whole relay for a test: `serve` with a next hop, started anew as often as the test likes.

    with Serving.started(folder, configuration(sink.port)) as relay: ...

Starting again means a further `serve` in the same folder: same spool, same port. All that
was started is ended with the block, by process id.
"""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.process.relay import WITHIN_S, Relay, is_alive, parsed, wait_until

CONNECTIONS = 10
UNSETTLED_MAX = 64
"""Outcomes that may wait for their commit: the default, written down because tests reckon with it."""
TEXT = """
[relay]
hostname = "relay.example.com"
receivers = {receivers}
drain = "8s"

[spool]
path = "{path}"
free_space_floor = "16 MiB"
{spool}
[[listener]]
address = "127.0.0.1:{port}"
{listener}
[limits]
{limits}
[deliver]
unsettled_max = {unsettled_max}
lane_backoff_first = "100ms"
lane_backoff_max = "500ms"
address_backoff_first = "100ms"
address_backoff_max = "500ms"
{deliver}
[[route]]
name = "sink"
host = "127.0.0.1"
port = {next_hop}
connections = {connections}
{route}
{rest}
"""


def configuration(
    next_hop: int,
    *,
    port: int = 0,
    receivers: int = 1,
    path: str = "spool",
    spool: str = "",
    listener: str = "",
    limits: str = "",
    deliver: str = "",
    route: str = 'tls = "none"',
    connections: int = CONNECTIONS,
    rest: str = "",
) -> str:
    """A configuration that delivers to a port of the loopback and tries again soon."""
    return TEXT.format(unsettled_max=UNSETTLED_MAX, **locals())


def free_port() -> int:
    """One that nobody has; for those who must know it before they listen.

    Not one of those the kernel gives to connections: between two generations it could give this one away.
    """
    for _ in range(100):
        with socket.socket() as bound, suppress(OSError):
            port = random.randrange(20_000, 32_000)
            bound.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


class Serving(Relay):
    """One `serve`. Its log goes behind what earlier ones in the folder wrote."""

    def __init__(self, folder: Path) -> None:
        log = folder / "relay.log"
        self._offset = log.stat().st_size if log.exists() else 0
        self._lines: list[dict[str, object]] = []
        self.known: set[int] = set()
        """Every child that was ever seen."""
        super().__init__(folder, {})

    @classmethod
    @contextmanager
    def started(cls, folder: Path, text: str) -> Iterator["Generations"]:
        """A relay that is ready, and its successors."""
        (folder / "relay.toml").write_text(text)
        generations = Generations(folder)
        try:
            generations.start()
            yield generations
        finally:
            generations.end()

    def events(self, event: str) -> list[dict[str, object]]:
        """What this `serve` logged of that kind; each line of a long log is read once."""
        with open(self.log_file, "rb") as log:
            log.seek(self._offset)
            whole = log.read().rpartition(b"\n")[0]
        if whole:
            self._offset += len(whole) + 1
            self._lines += map(parsed, whole.splitlines())
        return [line for line in self._lines if line["event"] == event]

    def children(self) -> dict[str, int]:
        """Its live children: role → pid."""
        found = super().children()
        self.known.update(found.values())
        return found

    def child(self, role: str) -> int:
        """The pid of that child, once there is one: it need not be ready."""
        wait_until(lambda: role in self.children())
        return self.children()[role]

    def kill(self) -> float:
        """SIGKILL to the supervisor alone; the moment after it."""
        self.children()
        self.process.kill()
        self.process.wait(WITHIN_S)
        return time.monotonic()


class Generations:
    """One `serve` after the other in one folder; `now` is the last one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._all: list[Serving] = []

    @property
    def now(self) -> Serving:
        """The one that was started last."""
        return self._all[-1]

    @property
    def port(self) -> int:
        """Where it takes mail."""
        return self.now.address[1]

    def start(self) -> Serving:
        """A further one; returns when it is ready."""
        self._all.append(Serving(self.folder))
        wait_until(lambda: bool(self.now.events("ready")) or self.now.process.poll() is not None)
        assert self.now.events("ready"), self.now.log_file.read_text()[-2000:]
        self.now.children()
        return self.now

    def orphans(self) -> set[int]:
        """Children of earlier ones that are still alive."""
        return {pid for each in self._all[:-1] for pid in each.known if is_relay(pid)}

    def end(self) -> None:
        """Leave nothing behind, whatever happened."""
        for each in self._all:
            each.children()
            if each.process.poll() is None:
                each.process.kill()
                each.process.wait(WITHIN_S)
        for each in self._all:
            for pid in filter(is_relay, each.known):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not any(is_relay(pid) for each in self._all for pid in each.known))

    def command(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """`m365-relay WORDS --config` with this configuration."""
        command = [
            sys.executable,
            "-m",
            "relay.cli.main",
            *words,
            "--config",
            str(self.folder / "relay.toml"),
        ]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def is_relay(pid: int) -> bool:
    """Is that process one of a relay's (ids are used again)?"""
    try:
        return is_alive(pid) and b"relay.process." in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def anonymous_bytes(pid: int) -> int:
    """Memory of its own: pages of the spool's file, which all processes share and the kernel may drop, not counted."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0
