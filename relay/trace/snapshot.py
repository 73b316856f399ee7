"""Counts on their way from every process to the one that is asked for metrics.

Each process writes its own file in the run folder, whole and by rename, once a second;
a scrape reads and adds them. What a dead process had counted moves to one file, so that
sums never go back while the relay runs. Losing a second of counts in a crash is allowed.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from relay.trace.tally import Counts, Histogram

PERIOD_S = 1.0
RETIRED = "retired.json"


class Snapshot(Struct):
    """What one process had counted when it last wrote."""

    role: str
    pid: int
    counts: Counts
    cpu_seconds: float = 0.0
    resident_bytes: int = 0


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Snapshot)


def write(folder: Path, role: str, counts: Counts) -> None:
    """Replace this process's file. A full disk costs a snapshot, nothing else."""
    used = os.times()
    snapshot = Snapshot(role, os.getpid(), counts, used.user + used.system, _resident_bytes())
    _replace(folder / f"{role}.{snapshot.pid}.json", snapshot)


def read(folder: Path) -> list[Snapshot]:
    """Every snapshot there is; `pid` 0 is the sum of the dead."""
    return [snapshot for _, snapshot in _each(folder)]


def ages(folder: Path, now: float) -> dict[str, float]:
    """For each role, how many seconds ago its process last wrote."""
    written: dict[str, float] = {}
    for path, snapshot in _each(folder):
        try:
            age = now - path.stat().st_mtime
        except OSError:
            continue
        if snapshot.pid:
            written[snapshot.role] = min(age, written.get(snapshot.role, age))
    return written


def retire(folder: Path, pid: int) -> None:
    """A process has ended: keep its sums, forget its gauges and its file."""
    for path, snapshot in _each(folder):
        if snapshot.pid == pid:
            _add_to_retired(folder / RETIRED, snapshot.counts)
            path.unlink(missing_ok=True)


def clear(folder: Path) -> None:
    """Make the folder, and forget what an earlier relay left in it."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for pattern in ("*.json", "*.json.new"):
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)


def add(total: Counts, more: Counts) -> None:
    """Add the counters and histograms of `more`; gauges are nobody's sum."""
    _add_numbers(total.counters, more.counters)
    for name, values in more.labelled.items():
        _add_numbers(total.labelled.setdefault(name, {}), values)
    for name, histogram in more.histograms.items():
        into = total.histograms.setdefault(name, Histogram.empty(histogram.bounds))
        into.places = [a + b for a, b in zip(into.places, histogram.places, strict=True)]
        into.total += histogram.total


def _add_numbers(total: dict[str, float], more: dict[str, float]) -> None:
    for name, value in more.items():
        total[name] = total.get(name, 0) + value


def _add_to_retired(path: Path, counts: Counts) -> None:
    try:
        retired = _decoder.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError):
        retired = Snapshot("retired", 0, Counts())
    add(retired.counts, counts)
    _replace(path, retired)


def _each(folder: Path) -> Iterator[tuple[Path, Snapshot]]:
    for path in sorted(folder.glob("*.json")):
        try:
            yield path, _decoder.decode(path.read_bytes())
        except (OSError, msgspec.DecodeError):
            continue  # A process ended between the listing and the look.


def _replace(path: Path, snapshot: Snapshot) -> None:
    new = path.with_suffix(".json.new")
    try:
        new.write_bytes(_encoder.encode(snapshot))
        new.rename(path)
    except OSError:
        new.unlink(missing_ok=True)


def _resident_bytes() -> int:
    with open("/proc/self/statm", "rb") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
