"""Nasty mails: each passes unaltered, or is refused for good. M365_RELAY_CORPUS may name a folder with more."""

import re
from pathlib import Path

import pytest

from tests.integration.corpus import MAILS, folder
from tests.integration.recording import added, recording
from tests.integration.serving import Serving, configuration
from tests.integration.wire import Wire

OURS = {b"Received", b"Message-ID", b"Date"}
HAS_FIELD = re.compile(rb"[!-9;-~]+[ \t]*:|\r\n")
"""Begins with a field, or with the empty line that ends a header of none."""


@pytest.mark.parametrize("with_bdat", [False, True], ids=["data", "bdat"])
def test_nasty_mails_pass_unaltered_or_are_refused(tmp_path: Path, with_bdat: bool) -> None:
    mails = MAILS | folder()
    taken: dict[str, bytes] = {}
    refused: dict[str, bytes] = {}
    route = f'tls = "none"\nuse_bdat = {str(with_bdat).lower()}'
    with recording() as hop, Serving.started(tmp_path, configuration(hop.port, route=route)) as relay:
        for number, (name, content) in enumerate(mails.items()):
            reply = send(relay.port, number, content, with_bdat=with_bdat)
            if reply.startswith(b"250"):
                taken[name] = b"<%d@example.net>" % number
            else:
                refused[name] = reply
        arrived = {mail.rcpts[0][8:]: mail.content for mail in hop.received(len(taken))}
    for name, recipient in taken.items():
        fields = added(arrived[recipient], mails[name])
        if fields[-1:] == [b""]:
            # Where a mail has no header, ours ends with an empty line; else its text would belong to it.
            assert not HAS_FIELD.match(mails[name]), name
            fields.pop()
        assert set(fields) <= OURS and fields.count(b"Received") == 1, (name, fields)
    assert len(arrived) == len(taken)
    assert all(reply.startswith(b"5") for reply in refused.values()), refused
    print(f"{len(taken)} passed, {len(refused)} refused: {refused}")
    assert len(taken) > len(refused), "most of them are ugly, not forbidden"


def send(port: int, number: int, content: bytes, *, with_bdat: bool) -> bytes:
    """The reply to the mail, to a recipient of its own."""
    with Wire(port) as wire:
        wire.open(recipient=b"%d@example.net" % number, parameters=b" BODY=8BITMIME")
        if with_bdat:
            wire.socket.sendall(b"BDAT %d LAST\r\n" % len(content) + content)
            return wire.reply()
        assert wire.say(b"DATA").startswith(b"354")
        stuffed = (b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:]
        return wire.say(stuffed + b".")
