"""What the record of who sends costs a mail, and what the learning mode does.

    python -m benchmarks.micro.seen [--mails N] [--runs N]

"client": a mail of a client that has a name. "unknown": of one without, whose recipients'
domains are looked at. "author": what reading From costs, for the first mails of those in a
batch. "learnt": whether an address is one that is learnt, asked twice a mail. "batch": a
batch of 100 senders written by a thread, synced; microseconds a sender. Best of the runs,
in microseconds a mail.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from relay.clock import SystemClock
from relay.identity.client import Clients
from relay.identity.directory import Directory
from relay.message.envelope import Envelope, Recipient
from relay.message.from_field import author_of
from relay.message.header import Header
from relay.receive.accept import Origin
from relay.receive.learning import Learning
from relay.receive.learning_options import LearningOptions
from relay.receive.seen import Seen
from relay.route.tenant import Tenant
from relay.spool.usage import OwnUsage
from relay.trace.seen.sighting import Sighting, Who
from relay.trace.seen.store import SeenStore

TENANT = Tenant(("contoso.com",))
HEADER = Header.of(
    b"From: Alice Example <alice@contoso.com>\r\nTo: bob@example.com\r\nSubject: The orders of this week\r\n"
    b"Message-ID: <1@contoso.com>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n"
)
SENDERS = 100


def main() -> None:
    """A line for each kind."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--mails", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = SeenStore(Path(folder) / "seen.db", 1e9)
        kinds: dict[str, tuple[Callable[[], object], int]] = {
            "client": (_mail(store, "erp", "PLAIN"), options.mails),
            "unknown": (_mail(store, "", "nothing"), options.mails),
            "author": (lambda: author_of(HEADER), options.mails),
            "learnt": (_learnt(), options.mails),
            "batch": (_batch(store), max(options.mails // 1_000, 1)),
        }
        for name, (work, count) in kinds.items():
            best = min(_time(work, count) for _ in range(options.runs))
            print(f"{name:>8} {best / (SENDERS if name == 'batch' else 1):7.2f} µs")
        store.close()


def _time(work: Callable[[], object], count: int) -> float:
    started = time.perf_counter()
    for _ in range(count):
        work()
    return (time.perf_counter() - started) / count * 1e6


def _mail(store: SeenStore, account: str, way: str) -> Callable[[], object]:
    seen = Seen(store, None, TENANT.is_inside, SystemClock(), lambda event: None)
    origin = Origin(
        "relay.example", "10.0.0.1", tls="TLSv1.3 TLS_AES_256_GCM_SHA384", account=account, way=way
    )
    to = (Recipient(b"bob@example.com", "world"),)
    envelope = Envelope(1, b"alice@contoso.com", to, 0.0, 5_000, 1, "10.0.0.1", b"host", account=account)

    def mail() -> None:
        seen.wants_author(origin)
        seen.mailed(origin, envelope, b"")

    return mail


def _learnt() -> Callable[[], object]:
    clock = SystemClock()
    options = LearningOptions(("10.0.0.0/16",), "world", clock.now() + 3_600, TENANT.domains)
    directory = Directory(Clients(), lambda count: b"x" * count)
    learning = Learning(options, directory, (), OwnUsage(), clock, lambda event: None)

    def mail() -> None:
        learning.client_at("10.0.0.1")
        client = learning.client_at("10.0.0.1")
        assert client is not None
        learning.admit(client, "10.0.0.1", "l")

    return mail


def _batch(store: SeenStore) -> Callable[[], object]:
    now = time.time()
    batch = {}
    for number in range(SENDERS):
        seen = batch[Who("", f"10.0.0.{number}", "nothing")] = Sighting(first=now, senders={"a@contoso.com"})
        seen.mailed(now, 5_000, 1, is_tls=True)
    return lambda: store.add(batch, now)


if __name__ == "__main__":
    main()
