"""Does the spool grow slower or larger with age?

    python -m benchmarks.spool_churn [--folder DIR] [--queued 300000] [--rounds 10]

A fresh spool is measured in steady state: commits that add 32 mails and remove 32, of
2, 10 and 100 KiB, one mail in ten staying longer. Then a backlog is filled and drained,
which leaves a long list of free pages, and the same steady state is measured again.
"""

import argparse
import json
import random
import shutil
import tempfile
import time
from collections import deque
from pathlib import Path

from relay.message.envelope import Envelope, Recipient
from relay.spool.change import Accept, Change, Remove
from relay.spool.options import MIB, SpoolOptions
from relay.spool.store import Store

BATCH = 32
DEPTH = 2_000
COMMITS = 1_000
SIZES = (2_048, 10_240, 10_240, 102_400)
RECIPIENTS = (Recipient(b"someone@customer.example.com", "smarthost"),)


class Churn:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.rng = random.Random(1)
        self.last = 0
        self.queue: deque[int] = deque()
        self.late: deque[int] = deque()

    def accept(self, size: int) -> Accept:
        self.last += 1
        self.queue.append(self.last)
        envelope = Envelope(
            self.last, b"a@example.org", RECIPIENTS, 1.8e9, size, 1, "192.0.2.1", message_id=b"<x@y>" * 8
        )
        return Accept(envelope, b"x" * size)

    def removal(self) -> Remove:
        while self.rng.random() < 0.1:
            self.late.append(self.queue.popleft())
        if len(self.late) > DEPTH:
            return Remove(self.late.popleft(), 1)
        return Remove(self.queue.popleft(), 1)

    def steady(self, label: str) -> None:
        while len(self.queue) < DEPTH:
            self.store.apply([self.accept(self.rng.choice(SIZES)) for _ in range(BATCH)])
        times = []
        for _ in range(COMMITS):
            changes: list[Change] = [self.accept(self.rng.choice(SIZES)) for _ in range(BATCH)]
            changes += [self.removal() for _ in range(BATCH)]
            began = time.perf_counter()
            self.store.apply(changes)
            times.append(time.perf_counter() - began)
        self.report(label, times)

    def report(self, label: str, times: list[float]) -> None:
        times.sort()
        print(
            json.dumps(
                {
                    "phase": label,
                    "commit_ms_p50": round(1000 * times[len(times) // 2], 2),
                    "commit_ms_p99": round(1000 * times[len(times) * 99 // 100], 2),
                    "commit_ms_max": round(1000 * times[-1], 2),
                    "queued": self.store.count(),
                    "file_mib": self.store.file_bytes() // MIB,
                    "used_mib": self.store.used_bytes() // MIB,
                }
            ),
            flush=True,
        )

    def fill(self, mails: int, size: int) -> None:
        times = []
        for _ in range(mails // BATCH):
            changes = [self.accept(size) for _ in range(BATCH)]
            began = time.perf_counter()
            self.store.apply(changes)
            times.append(time.perf_counter() - began)
        self.report(f"filling {mails} of {size}", times)

    def drain(self) -> None:
        """In a random order, as a smarthost's answers make it: the free pages lie scattered."""
        ids = list(self.queue) + list(self.late)
        self.queue.clear()
        self.late.clear()
        for start in range(0, len(ids), 5000):
            ids[start : start + 5000] = self.rng.sample(
                ids[start : start + 5000], len(ids[start : start + 5000])
            )
        times = []
        for start in range(0, len(ids), BATCH):
            began = time.perf_counter()
            self.store.apply([Remove(id, 1) for id in ids[start : start + BATCH]])
            times.append(time.perf_counter() - began)
        self.report("draining", times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--queued", type=int, default=300_000)
    parser.add_argument("--size", type=int, default=10_240)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=options.folder))
    try:
        store = Store.open(SpoolOptions(folder / "spool"))
        churn = Churn(store)
        for number in range(options.rounds):
            churn.steady(f"fresh {number}")
        churn.fill(options.queued, options.size)
        churn.drain()
        for number in range(options.rounds):
            churn.steady(f"after the backlog {number}")
        store.close()
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
