"""The load tools, driven: `Sink` stays for many runs, `send` is one run of the source.

Both are C programs (benchmarks/load) that `make` builds; what they print is read into structs.
"""

import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

FOLDER = Path(__file__).parent / "load" / "bin"
AUTHOR_DOMAIN = "load.example"
"""Of From in what the source sends."""


@dataclass(frozen=True, slots=True)
class Workload:
    """What the source sends."""

    meaning: str
    size_bytes: int = 10_240
    sessions: int = 20
    reuse: bool = True
    tls: bool = False


WORKLOADS = {
    "W1": Workload("10 KiB, 20 sessions, one mail a connection", reuse=False),
    "W2": Workload("10 KiB, 20 sessions, connections reused (the reference)"),
    "W3": Workload("100 KiB, 20 sessions, reused", size_bytes=102_400),
    "W4": Workload("2 KiB, 100 sessions, reused", size_bytes=2_048, sessions=100),
    "W6": Workload("W2 with STARTTLS in and out", tls=True),
}


class Sent(msgspec.Struct, frozen=True):
    """What the source says. Times are CLOCK_MONOTONIC."""

    mails: int
    acknowledged: int
    refused: int
    cut_off: int
    uncertain: int
    connections: int
    began: float
    last_reply: float
    seconds: float
    rate: float
    cpu_seconds: float
    accept_p50_ms: float = 0.0
    accept_p99_ms: float = 0.0
    accept_max_ms: float = 0.0
    dot_p50_ms: float = 0.0
    dot_p99_ms: float = 0.0


class Taken(msgspec.Struct, frozen=True):
    """What the sink says."""

    mails: int
    unique: int
    duplicates: int
    altered: int
    unnumbered: int
    connections: int
    most_open: int
    pipelined_behind_dot: int
    first_mail: float
    last_mail: float
    cpu_seconds: float


class Sink:
    """A sink that runs; `port` is where."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self._poll = select.poll()
        assert process.stdout is not None and process.stdin is not None
        self._from, self._to = process.stdout, process.stdin
        self._poll.register(self._from, select.POLLIN)
        self.port = int((self._line(5.0) or b"port 0").split()[1])

    def expect(self, mails: int) -> None:
        """Count from zero, and speak up when so many different mails are there."""
        self._to.write(b"expect %d\n" % mails)

    def wait(self, timeout_s: float) -> Taken:
        """The counts when all are there, or those of now when they do not come."""
        line = self._line(timeout_s)
        return self.report() if line is None else msgspec.json.decode(line, type=Taken)

    def report(self) -> Taken:
        """The counts so far."""
        self._to.write(b"report\n")
        line = self._line(5.0)
        if line is None:
            raise RuntimeError("the sink does not answer")
        return msgspec.json.decode(line, type=Taken)

    def _line(self, timeout_s: float) -> bytes | None:
        return self._from.readline() if self._poll.poll(timeout_s * 1000) else None


@contextmanager
def sink(certificate: Path | None = None) -> Iterator[Sink]:
    """A sink for the time of the block; with a certificate (chain and key in one file) it offers STARTTLS."""
    command = [str(FOLDER / "sink")]
    if certificate is not None:
        command += ["--certificate", str(certificate), "--key", str(certificate)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
        try:
            yield Sink(process)
        finally:
            process.terminate()
            process.wait(10)


def send(port: int, workload: Workload, mails: int, *, first: int = 0, timeout_s: float = 300.0) -> Sent:
    """Send `mails` mails, numbered from `first`."""
    command = [str(FOLDER / "source"), "--port", str(port), "--mails", str(mails), "--first", str(first)]
    command += ["--size", str(workload.size_bytes), "--sessions", str(workload.sessions)]
    command += ["--timeout", str(timeout_s)]
    command += ["--reuse"] * workload.reuse + ["--starttls"] * workload.tls
    done = subprocess.run(command, stdout=subprocess.PIPE, timeout=timeout_s + 10, check=False)
    return msgspec.json.decode(done.stdout, type=Sent)


def ceiling(sink_now: Sink, workload: Workload, mails: int) -> float:
    """Mails a second from source to sink with nothing between: what the tools and the machine allow just now."""
    sink_now.expect(mails)
    sent = send(sink_now.port, workload, mails, timeout_s=60.0)
    taken = sink_now.wait(10.0)
    if taken.unique != mails or taken.altered:
        raise RuntimeError(f"source and sink disagree: {taken}")
    return mails / max(taken.last_mail - sent.began, 1e-9)


def wait_until_open(port: int, timeout_s: float = 20.0) -> None:
    """Return once something listens there."""
    import socket

    end = time.monotonic() + timeout_s
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), 1.0):
                return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)
