"""A mail of 150 MB, by DATA and by BDAT, on both sides: unaltered, and in flat memory."""

import hashlib
import socket
from pathlib import Path

import pytest

from tests.integration.hashing import WITHIN_S, hashing
from tests.integration.memory import Growth
from tests.integration.serving import Serving, configuration
from tests.integration.wire import Wire

SIZE_BYTES = 150_000_000
BLOCK = b"".join(b"%075d\r\n" % number for number in range(1_000))
HEADER = (
    b"From: a@example.com\r\nDate: Tue, 24 Nov 2026 03:00:00 +0000\r\nMessage-ID: <large@example.com>\r\n\r\n"
)
GROWTH_MAX_MIB = 16
"""A receiver holds what it decodes (256 KiB), two records of 256 KiB that wait for the disk, and the dirty pages of a
commit (8 MiB at most); a deliverer one record and what the socket has not taken. What the allocators keep comes
on top. 2 MiB were measured; a tenth of the mail, so that one copy of it anywhere would show."""


@pytest.mark.parametrize("by", ["DATA", "BDAT"])
def test_a_mail_of_150_mb_passes_unaltered_in_flat_memory(tmp_path: Path, by: str) -> None:
    blocks = SIZE_BYTES // len(BLOCK)
    expected = hashlib.sha256()
    for _ in range(blocks):
        expected.update(BLOCK)
    route = f'tls = "none"\nuse_bdat = {str(by == "BDAT").lower()}'
    with (
        hashing(chunking=by == "BDAT") as hop,
        Serving.started(tmp_path, configuration(hop.port, route=route)) as relay,
    ):
        with Growth(relay.now.children()) as growth:
            with Wire(relay.port) as wire:
                wire.open()
                (send_data if by == "DATA" else send_chunks)(wire, blocks)
            assert hop.arrived.wait(WITHIN_S)
            relay.now.wait_for("delivered")
        assert relay.now.stop() == 0
        assert relay.command("spool", "check").returncode == 0
    print(f"{by}: growth in MiB: {growth.mib}")
    assert hop.digests == [(expected.hexdigest(), blocks * len(BLOCK))]
    assert max(growth.mib.values()) < GROWTH_MAX_MIB, growth.mib


def send_data(wire: Wire, blocks: int) -> None:
    assert wire.say(b"DATA").startswith(b"354")
    wire.socket.sendall(HEADER)
    for _ in range(blocks):
        wire.socket.sendall(BLOCK)
    answer = wire.say(b".")
    assert answer.startswith(b"250"), answer


def send_chunks(wire: Wire, blocks: int) -> None:
    """Chunks of some MB, as clients send them, each with its reply."""
    wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    assert wire.say(b"BDAT %d\r\n" % len(HEADER) + HEADER[:-2]).startswith(b"250")
    per_chunk = 50
    for first in range(0, blocks, per_chunk):
        chunk = BLOCK * min(per_chunk, blocks - first)
        wire.socket.sendall(b"BDAT %d\r\n" % len(chunk))
        wire.socket.sendall(chunk)
        answer = wire.reply()
        assert answer.startswith(b"250"), answer
    assert wire.say(b"BDAT 0 LAST").startswith(b"250")
