"""Damaged records: what the disk has spoilt is moved aside with its reason, everything else is delivered."""

from pathlib import Path

import pytest

from tests.integration.recording import recording
from tests.integration.serving import Serving, configuration, free_port
from tests.integration.wire import Wire
from tests.process.relay import wait_until

MAILS = 20
SPOILT = 7


def spoil(file: Path, needle: bytes) -> int:
    """Flip one bit in every copy of these bytes: pages LMDB has freed may hold old ones."""
    data = bytearray(file.read_bytes())
    at, count = data.find(needle), 0
    while at >= 0:
        data[at + len(needle) // 2] ^= 0x01
        count += 1
        at = data.find(needle, at + 1)
    file.write_bytes(data)
    return count


@pytest.mark.parametrize(
    ("needle", "table"),
    [(b"the body of mail number 7 is here", "content"), (b"recipient-7@example.net", "envelope")],
)
def test_a_spoilt_record_is_moved_aside_and_the_rest_delivered(
    tmp_path: Path, needle: bytes, table: str
) -> None:
    hop_port = free_port()
    with Serving.started(tmp_path, configuration(hop_port)) as relay:
        with Wire(relay.port) as wire:
            for number in range(MAILS):
                wire.open(recipient=b"recipient-%d@example.net" % number)
                assert wire.say(b"DATA").startswith(b"354")
                body = b"the body of mail number %d is here" % number
                assert wire.say(b"Subject: x\r\n\r\n" + body + b"\r\n.").startswith(b"250")
        assert relay.now.stop() == 0
        assert spoil(tmp_path / "spool" / "data.mdb", needle) > 0
        found = relay.command("spool", "check")
        assert found.returncode == 1 and "1 problems" in found.stdout, found.stdout
    with recording() as hop, Serving.started(tmp_path, configuration(hop.port)) as relay:
        arrived = {mail.rcpts[0] for mail in hop.received(MAILS - 1)}
        wait_until(lambda: len(relay.now.events("record_quarantined")) > 0)
        (aside,) = relay.now.events("record_quarantined")
        assert table in str(aside["table"]) and aside["reason"]
        assert relay.now.stop() == 0
        assert len(hop.sink.mails) == MAILS - 1
        assert arrived == {b"RCPT TO:<recipient-%d@example.net>" % n for n in range(MAILS) if n != SPOILT}
        after = relay.command("spool", "check")
        assert after.returncode == 0 and "0 mails" in after.stdout and "1 moved aside" in after.stdout
