"""What encryption at rest costs a mail: its records made and read, plain and encrypted.

    python -m benchmarks.micro.spool_cipher [--mails N]

Processor time of what a receiver does (envelope and content to records) and what the
deliverer does (records back), without the disk, which is the same for both but for 32
bytes a record. Each mail has an id of its own, so that keying is paid for each.
"""

import argparse
import time
from collections.abc import Callable

from relay.message.envelope import Envelope, Recipient
from relay.spool.change import Accept, Stream
from relay.spool.cipher import Cipher, SpoolKey
from relay.spool.codec import join_content, unseal_envelope
from relay.spool.prepared import prepare

KEY = SpoolKey(bytes(range(32)))
SIZES = {"2 KiB": 2_048, "10 KiB": 10_240, "256 KiB": 262_144}


def _envelope(id: int, size: int) -> Envelope:
    recipients = (Recipient(b"recipient@example.com", "smarthost"),)
    return Envelope(id, b"sender@example.org", recipients, 1.8e9, size, 1, "10.0.0.1")


def _write(mails: int, content: bytes, cipher: Cipher | None) -> float:
    began = time.process_time()
    for id in range(1, mails + 1):
        prepare(Accept(_envelope(id, len(content)), content), cipher)
    return (time.process_time() - began) / mails


def _read(mails: int, content: bytes, cipher: Cipher | None) -> float:
    prepared = [prepare(Accept(_envelope(id, len(content)), content), cipher) for id in range(1, mails + 1)]
    rows = [(each.id, each.envelope, dict(each.content)) for each in prepared]
    # As the deliverer, which did not write them: it must key each mail anew.
    cipher = None if cipher is None else Cipher((KEY,))
    began = time.process_time()
    for id, envelope, content_rows in rows:
        assert envelope is not None
        unseal_envelope(*envelope, cipher)
        join_content(id, 0, content_rows.get, cipher)
    return (time.process_time() - began) / mails


def _stream(mails: int, content: bytes, cipher: Cipher | None) -> float:
    began = time.process_time()
    for index in range(1, mails + 1):
        prepare(Stream(7, index, content), cipher)
    return (time.process_time() - began) / mails


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mails", type=int, default=2_000)
    mails = parser.parse_args().mails
    work: dict[str, Callable[[int, bytes, Cipher | None], float]] = {"write": _write, "read": _read}
    work["a record of a large mail"] = _stream
    print(f"{'':26}{'content':>10}{'plain':>10}{'encrypted':>12}  µs of the processor, best of 5")
    for name, measure in work.items():
        for size, count in SIZES.items():
            content = bytes(range(256)) * (count // 256)
            runs = mails if count < 100_000 else mails // 10
            best = [
                min(measure(runs, content, Cipher((KEY,)) if encrypt else None) for _ in range(5)) * 1e6
                for encrypt in (False, True)
            ]
            print(f"{name:26}{size:>10}{best[0]:10.1f}{best[1]:12.1f}")


if __name__ == "__main__":
    main()
