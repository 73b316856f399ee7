"""Load with a record: the project's source and sink in C, which number every mail and note when it was answered.

Times are CLOCK_MONOTONIC, which is `time.monotonic()`: one clock for source, sink and test.
"""

import subprocess
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from benchmarks.tools import Sent, Sink
from tests.integration import needs


class Source:
    """One run of the source, in a process of its own."""

    def __init__(
        self,
        port: int,
        mails: int,
        *,
        first: int = 0,
        sessions: int = 20,
        size: int = 10_240,
        timeout_s: float = 60.0,
        record: Path | None = None,
        more: tuple[str, ...] = ("--reuse",),
    ) -> None:
        """`first` is the number of the first mail; mails refused or cut off are sent again until the time is over."""
        command = [str(needs.load_tool("source")), "--port", str(port), "--mails", str(mails)]
        command += ["--first", str(first), "--sessions", str(sessions), "--size", str(size)]
        command += ["--timeout", str(timeout_s), *more]
        command += ["--record", str(record)] if record else []
        self._timeout_s = timeout_s
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def sent(self) -> Sent:
        """What it says, once it has ended."""
        out, _ = self.process.communicate(timeout=self._timeout_s + 10)
        return msgspec.json.decode(out, type=Sent)


@contextmanager
def sink(
    *, port: int = 0, record: Path | None = None, delay_ms: int = 0, certificate: Path | None = None
) -> Iterator[Sink]:
    """A sink for the time of the block; with a certificate (chain and key in one file) it offers STARTTLS."""
    command = [str(needs.load_tool("sink")), "--port", str(port), "--delay", str(delay_ms)]
    command += ["--record", str(record)] if record else []
    command += ["--certificate", str(certificate), "--key", str(certificate)] if certificate else []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
        try:
            yield Sink(process)
        finally:
            process.terminate()
            process.wait(10)


@dataclass
class Ledger:
    """What the source was promised, and what the sink took: number of the mail → when."""

    acknowledged: dict[int, float] = field(default_factory=dict)
    uncertain: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Cut off between the final dot and its reply, and sent again: the relay may have both."""
    taken: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))

    def read_source(self, record: Path) -> None:
        """Add the record of a source that has ended."""
        for line in record.read_text().splitlines():
            kind, number, at = line.split()
            if kind == "A":
                self.acknowledged[int(number)] = float(at)
            else:
                self.uncertain[int(number)].append(float(at))

    def read_sink(self, record: Path) -> None:
        """The record of a sink that has reported or ended."""
        for line in record.read_text().splitlines():
            number, at = line.split()
            self.taken[int(number)].append(float(at))

    @property
    def lost(self) -> set[int]:
        """Acknowledged and never arrived."""
        return self.acknowledged.keys() - self.taken.keys()

    @property
    def repeated(self) -> dict[int, int]:
        """Mails that arrived more often than the relay may have accepted them, and how much more often."""
        extra = {n: len(times) - 1 - len(self.uncertain.get(n, ())) for n, times in self.taken.items()}
        return {number: count for number, count in extra.items() if count > 0}

    @property
    def sent_twice(self) -> int:
        """Arrivals that the client's own second sending explains."""
        copies = sum(len(times) - 1 for times in self.taken.values())
        return copies - sum(self.repeated.values())
