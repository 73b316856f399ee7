"""What an idempotency key costs a mail, and what mail without one pays for there being such keys.

    python -m benchmarks.micro.idempotency [--keys N] [--mails N]

Processor time, in a spool that holds so many keys already (default 1,000,000, the bound), in
batches as a busy receiver commits them. The sync is the same with and without and is not
counted; pages that keys touch beside it are.
"""

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from relay.message.envelope import Envelope, Recipient
from relay.message.header import Header
from relay.receive.once import Body
from relay.spool.change import Accept
from relay.spool.claim import Claim, marks_of, name_of
from relay.spool.options import SpoolOptions
from relay.spool.prepared import Prepared, prepare
from relay.spool.store import Store

SIZE = 10_240
BATCH = 64
HEADER = b"Subject: Your invoice\r\nX-Relay-Idempotency-Key: invoice-2026-00417/mail-1\r\n\r\n"


def _envelope(id: int) -> Envelope:
    recipients = (Recipient(b"recipient@example.com", "smarthost"),)
    return Envelope(id, b"sender@example.org", recipients, 1.8e9, SIZE, 1, "10.0.0.1", account="erp")


def _claim(id: int, most: int) -> Claim:
    return Claim(name_of("erp", "", str(id)), bytes(16), marks_of([b"recipient@example.com"]), 0, most)


def make(mails: int) -> float:
    """Seconds a mail for making its claim: what the receiver's loop pays."""
    content = bytearray(HEADER + b"x" * (SIZE - len(HEADER)))
    header = Header.of(content)
    began = time.process_time()
    for id in range(mails):
        Body.of(content, header).fingerprint(b"sender@example.org", header.get(b"Subject") or b"")
        _claim(id, 1)
    return (time.process_time() - began) / mails


def commit(
    store: Store, first: int, mails: int, most: int, *, with_key: bool, is_repeat: bool = False
) -> float:
    """Seconds a mail for its commit, in the thread that commits."""
    content = b"x" * SIZE
    batches: list[list[Prepared]] = []
    for start in range(first, first + mails, BATCH):
        changes = [Accept(_envelope(id), content) for id in range(start, start + BATCH)]
        if with_key:
            # A repeat has the key of one that is there.
            changes = [
                replace(
                    c, claim=_claim(c.envelope.id - first + most // 2 if is_repeat else c.envelope.id, most)
                )
                for c in changes
            ]
        batches.append([prepare(change) for change in changes])
    began = time.process_time()
    for batch in batches:
        store.commit(batch)
    return (time.process_time() - began) / mails


def fill(store: Store, keys: int) -> None:
    """So many keys, each of a mail that has left."""
    for start in range(1, keys + 1, 10_000):
        batch = []
        for id in range(start, min(start + 10_000, keys + 1)):
            row = prepare(Accept(_envelope(id), b"", _claim(id, keys)))
            row.content, row.envelope = (), None
            batch.append(row)
        store.commit(batch)


def main() -> None:
    """Print what was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--mails", type=int, default=64 * 60)
    options = parser.parse_args()
    print(f"making a claim, {SIZE} bytes: {min(make(2_000) for _ in range(5)) * 1e6:.1f} µs")
    with tempfile.TemporaryDirectory(prefix="idempotency-") as folder:
        store = Store.open(SpoolOptions(Path(folder) / "spool"))
        fill(store, options.keys)
        print(f"{store.count_keys():,} keys take {store.used_bytes() / 2**20:.0f} MiB")
        first, found = options.keys + 1, dict[str, list[float]]()
        for _ in range(3):
            for name, with_key, is_repeat in (
                ("without a key", False, False),
                ("with a new key", True, False),
                ("a repeat", True, True),
            ):
                seconds = commit(
                    store, first, options.mails, options.keys, with_key=with_key, is_repeat=is_repeat
                )
                found.setdefault(name, []).append(seconds)
                first += options.mails
        for name, times in found.items():
            print(f"commit of a mail {name}: {min(times) * 1e6:.1f} µs")
        store.close()


if __name__ == "__main__":
    main()
