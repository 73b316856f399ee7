"""What a tree of processes uses: processor time by role, memory at its peak.

Processor time of processes that have ended is in their parents' sums (proc(5): cutime), so a
tree that starts and ends processes, as Postfix does, is counted whole. Ticks are 10 ms.
"""

import os
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
CORES = len(os.sched_getaffinity(0))
PERIOD_S = 0.25


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at all processes of the tree, and at the whole machine."""

    by_role_s: "Counter[str]"
    machine_s: float
    stolen_s: float

    @property
    def total_s(self) -> float:
        """Of the tree."""
        return self.by_role_s.total() * TICK_S


def read(root: int) -> Reading:
    """Processor time of `root` and all below it."""
    by_role: Counter[str] = Counter()
    for pid in tree(root):
        stat = _stat(pid)
        if stat:
            # utime and stime of its own, cutime and cstime of children that were waited for.
            by_role[_role(pid)] += sum(map(int, stat[11:15]))
    machine = [int(x) for x in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    busy = machine[0] + machine[1] + machine[2] + machine[5] + machine[6]
    return Reading(by_role, busy * TICK_S, machine[7] * TICK_S)


def tree(root: int) -> Iterator[int]:
    """`root` and all that it started, directly or not."""
    yield root
    for task in Path(f"/proc/{root}/task").glob("*/children"):
        try:
            children = task.read_text().split()
        except OSError:
            continue
        for child in children:
            yield from tree(int(child))


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _role(pid: int) -> str:
    """`receiver` for `python -m relay.process.receiver`, else the program's name."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return "ended"
    module = next((word for word in words if word.startswith("relay.")), "")
    if module == "relay.cli.main":
        return "supervisor"
    if module:
        return module.removeprefix("relay.process.").removesuffix(".main").removeprefix("relay.")
    return os.path.basename(words[0]) or "ended"


class Peak:
    """The largest memory of the tree while the block runs."""

    def __init__(self, root: int) -> None:
        self.rss_bytes = self.pss_bytes = self.processes = 0
        self._root = root
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Peak":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._look(with_pss=True)

    def _watch(self) -> None:
        looks = 0
        while not self._over.wait(PERIOD_S):
            # PSS walks page tables: a look in eight.
            self._look(with_pss=looks % 8 == 4)
            looks += 1

    def _look(self, *, with_pss: bool) -> None:
        rss = pss = processes = 0
        for pid in tree(self._root):
            try:
                rss += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES
                processes += 1
                pss += _pss(pid) if with_pss else 0
            except OSError:
                continue
        self.rss_bytes, self.pss_bytes = max(self.rss_bytes, rss), max(self.pss_bytes, pss)
        self.processes = max(self.processes, processes)


def _pss(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0
