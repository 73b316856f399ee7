"""A relay that runs for a test: `serve` in a process of its own."""

import json
import os
import signal
import smtplib
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LEAST = """
[relay]
hostname = "relay.example.com"
receivers = 1
drain = "10s"
{relay}
[spool]
path = "spool"
free_space_floor = 0
{spool}
[[listener]]
address = "127.0.0.1:0"
{listener}
[[route]]
name = "smarthost"
host = "127.0.0.1"
port = 9
tls = "none"
{route}
{rest}
"""
WITHIN_S = 20.0


def configuration(
    *,
    relay: str = "",
    spool: str = "",
    listener: str = "",
    route: str = "",
    rest: str = '[console]\naddress = "127.0.0.1:0"',
) -> str:
    """A configuration; nothing listens at its smarthost, so mail waits in the spool."""
    return LEAST.format(relay=relay, spool=spool, listener=listener, route=route, rest=rest)


class Relay:
    """A running `serve` and its log."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.log_file = folder / "relay.log"
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "relay.cli.main", "serve", "-c", str(folder / "relay.toml")],
                stderr=log,
                env=os.environ | environment,
            )

    def events(self, event: str) -> list[dict[str, object]]:
        """What the log says of that kind."""
        whole = self.log_file.read_bytes().rpartition(b"\n")[0]
        return [line for line in map(parsed, whole.splitlines()) if line["event"] == event]

    def wait_for(self, event: str, count: int = 1) -> dict[str, object]:
        """The `count`th event of that kind, once it is there."""
        wait_until(lambda: len(self.events(event)) >= count or self.process.poll() is not None)
        return self.events(event)[count - 1]

    @property
    def address(self) -> tuple[str, int]:
        """Where it takes mail."""
        listeners = self.wait_for("ready")["listeners"]
        assert isinstance(listeners, list)
        host, _, port = str(listeners[0]).rpartition(":")
        return host, int(port)

    @property
    def console(self) -> str:
        """Where its metrics are."""
        self.wait_for("ready")
        return next(str(line["detail"]) for line in self.events("process_started") if line["detail"])

    def children(self) -> dict[str, int]:
        """Its live children: role → pid."""
        return _children({self.process.pid})

    def signers(self) -> dict[str, int]:
        """The live children of its receivers: role → pid."""
        return _children(self.children().values())

    def send(self, count: int = 1) -> None:
        """Hand it mails."""
        with smtplib.SMTP(*self.address, timeout=WITHIN_S) as client:
            for number in range(count):
                client.sendmail("a@example.com", ["b@example.net"], f"Subject: {number}\r\n\r\nHello\r\n")

    def stop(self) -> int:
        """End it as an administrator does; its status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(WITHIN_S)


@contextmanager
def running(folder: Path, text: str, environment: dict[str, str] | None = None) -> Iterator[Relay]:
    """A relay that is ready; ended with the block, whatever happens."""
    (folder / "relay.toml").write_text(text)
    relay = Relay(folder, environment or {})
    try:
        yield relay
    finally:
        children = [*relay.children().values(), *relay.signers().values()]
        if relay.process.poll() is None:
            relay.process.kill()
            relay.process.wait(WITHIN_S)
        # Orphans drain by themselves; a test that fails must not wait for that.
        wait_until(lambda: not any(map(is_alive, children)))


def parsed(line: bytes) -> dict[str, object]:
    """A line of the log. Whom SIGKILL met as it wrote left the beginning of one, and the next one goes on behind it."""
    try:
        found: dict[str, object] = json.loads(line)
    except json.JSONDecodeError:
        begin = line.rfind(b'{"time":')
        if begin <= 0:
            raise
        found = json.loads(line[begin:])
    return found


def wait_until(is_so: Callable[[], bool]) -> None:
    """Look until it is so, within bounds."""
    deadline = time.monotonic() + WITHIN_S
    while not is_so():
        assert time.monotonic() < deadline, "it did not become so in time"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Does a process with that id run (and is no zombie)?"""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _children(parents: Collection[int]) -> dict[str, int]:
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and _parent(entry) in parents:
                # python -P -m module role; a zombie has none, a child before its exec its parent's.
                arguments = (entry / "cmdline").read_bytes().decode().split("\0")
                if "-P" in arguments:
                    found[arguments[-2]] = int(entry.name)
        except OSError:
            continue
    return found


def descendants(pid: int) -> list[int]:
    """Its children, and theirs."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit():
                parents.setdefault(_parent(entry), []).append(int(entry.name))
    found = [pid]
    for each in found:
        found += parents.get(each, [])
    return found[1:]


def _parent(entry: Path) -> int:
    return int((entry / "stat").read_text().rpartition(")")[2].split()[1])
