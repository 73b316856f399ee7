"""How long the deliverer takes to learn what the spool holds.

    python -m benchmarks.queue_rebuild [--folder DIR] [--mails 1000000] [--states 0.1]

Fills a spool, drops it from the page cache (as far as the system lets us), and scans it
as the deliverer does at its start: ids, times, sizes and routes, and the states of the
mails that were tried before. Content is not touched by a scan, so it is small here.
"""

import argparse
import gc
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from relay.message.envelope import Envelope, Recipient
from relay.spool.change import Accept, Change, RecipientState, Record, Status
from relay.spool.entry import Damaged
from relay.spool.options import MIB, SpoolOptions
from relay.spool.store import Store

COMMIT = 500
SLICE = 10_000


def options(folder: Path) -> SpoolOptions:
    return SpoolOptions(folder / "spool", map_size_bytes=16 * 1024 * MIB)


def fill(folder: Path, mails: int, states: float, content_bytes: int) -> None:
    store, head = Store.open(options(folder)), b"x" * content_bytes
    every = round(1 / states) if states else mails + 1
    tried = (RecipientState(Status.QUEUED, 3, 1.8e9, "451 4.7.500 Server busy. Please try again later"),)
    for start in range(1, mails + 1, COMMIT):
        changes: list[Change] = []
        for id in range(start, min(start + COMMIT, mails + 1)):
            changes.append(Accept(_envelope(id, content_bytes), head))
            if id % every == 0:
                changes.append(Record(id, tried))
        store.apply(changes)
    store.close()


def _envelope(id: int, size: int) -> Envelope:
    recipients = (Recipient(b"someone.%d@customer.example.com" % id, "smarthost"),)
    return Envelope(
        id,
        b"bounces@campaigns.example.org",
        recipients,
        1.8e9,
        size,
        1,
        "192.0.2.17",
        b"app17.example.org",
        message_id=b"<%d.campaign@example.org>" % id,
    )


def scan(folder: Path) -> None:
    """Run in a process of its own, so that its memory is its own."""
    # As the deliverer should: nothing here is garbage, and looking for it takes longer than the scan.
    gc.disable()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began, cpu = time.perf_counter(), time.process_time()
    store = Store.open(options(folder), read_only=True)
    found, damaged, after = 0, 0, 0
    jobs = []
    while entries := store.scan(after, SLICE):
        for entry in entries:
            if isinstance(entry, Damaged):
                damaged += 1
                after = entry.id
            else:
                jobs.append(entry.queued)
                after = entry.queued.id
        found += len(entries)
    seconds = time.perf_counter() - began
    print(
        json.dumps(
            {
                "mails": found,
                "damaged": damaged,
                "seconds": round(seconds, 2),
                "mails_per_s": round(found / seconds),
                "cpu_s": round(time.process_time() - cpu, 2),
                "rss_growth_mib": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024,
                "note": "RSS counts the mapped file's pages and the list of all Queued",
            }
        )
    )
    store.close()


def forget(folder: Path) -> None:
    """Drop the file from the page cache."""
    descriptor = os.open(folder / "spool" / "data.mdb", os.O_RDONLY)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--mails", type=int, default=1_000_000)
    parser.add_argument("--states", type=float, default=0.1)
    parser.add_argument("--content", type=int, default=512)
    parser.add_argument("--scan", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.scan:
        scan(options.scan)
        return
    folder = Path(tempfile.mkdtemp(dir=options.folder))
    try:
        began = time.perf_counter()
        fill(folder, options.mails, options.states, options.content)
        print(json.dumps({"filled_s": round(time.perf_counter() - began, 1)}), flush=True)
        for cache in ("cold", "warm"):
            if cache == "cold":
                forget(folder)
            print(cache, end=" ", flush=True)
            subprocess.run(
                [sys.executable, "-m", "benchmarks.queue_rebuild", "--scan", str(folder)], check=True
            )
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
