"""Mails for the tests of the spool."""

from pathlib import Path

from relay.message.envelope import Envelope, Recipient
from relay.spool.change import Accept
from relay.spool.options import MIB, SpoolOptions


def options(path: Path, map_size_bytes: int = 256 * MIB, floor: int = 0) -> SpoolOptions:
    return SpoolOptions(
        path, map_size_bytes=map_size_bytes, free_space_floor_bytes=floor, check_interval_s=0.02
    )


def envelope(id: int, size: int = 5, chunks: int = 1, routes: tuple[str, ...] = ("smarthost",)) -> Envelope:
    recipients = tuple(Recipient(b"b%d@example.com" % at, route) for at, route in enumerate(routes))
    return Envelope(id, b"a@example.org", recipients, 1_800_000_000.0, size, chunks, "127.0.0.1")


def accept(id: int, head: bytes = b"hello", chunks: int = 1) -> Accept:
    return Accept(envelope(id, len(head), chunks), head)
