"""A signer process: `python -m relay.process.signer`, started by its receiver (`signer_seat`).

It reads hashes and writes signatures, and nothing else: no loop, no files, no log. Keys
come over the channel. It ends when the receiver hangs up, however that ended, and only
then: signals meant for a whole group must not take it away from a receiver that drains.
"""

import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

import msgspec

from relay.identity.dkim_key import SigningKey
from relay.identity.dkim_line import QUESTION, Questions, refusal, signature
from relay.process import channel
from relay.process.exits import Exit

READ_BYTES = QUESTION.size * 64
BATCH_S = 0.004
"""Signatures go back together when nothing more waits, or after this: some fifteen RSA-2048 ones. Each way back wakes
the receiver, and each wake-up makes a commit smaller; measured in docs/decisions/0003-dkim-signer.md."""


class Told(msgspec.Struct, frozen=True):
    """What a signer is told."""

    descriptor: int
    """Of its end of the line on which it is asked."""
    keys: tuple[tuple[str, str], ...]
    """PEM and file of each, in the order of their numbers."""


def encode(descriptor: int, keys: Iterable[SigningKey]) -> bytes:
    """As it goes over the channel."""
    pems = tuple((key.pem.decode("latin-1"), key.source) for key in keys)
    return msgspec.json.encode(Told(descriptor, pems))


def main() -> int:
    """The whole life of a signer; its exit status."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    line = socket.socket(fileno=0)
    try:
        told = msgspec.json.decode(channel.receive_assignment(line), type=Told)
        keys = [SigningKey(pem.encode("latin-1"), source) for pem, source in told.keys]
        asked = socket.socket(fileno=told.descriptor)
        line.send(channel.READY)
    except (EOFError, OSError):
        return Exit.UNAVAILABLE  # No receiver, nothing to do.
    # OSError: the receiver died while an answer was on its way.
    with suppress(OSError):
        serve(asked, keys, time.monotonic)
    return Exit.OK


def serve(asked: socket.socket, keys: Sequence[SigningKey], monotonic: Callable[[], float]) -> None:
    """Answer until the other end hangs up."""
    questions = Questions()
    while data := asked.recv(READ_BYTES):
        answers: list[bytes] = []
        since = monotonic()
        for number, digest in questions.feed(data):
            answers.append(_answer(keys, number, digest))
            if monotonic() - since >= BATCH_S:
                asked.sendall(b"".join(answers))
                answers.clear()
                since = monotonic()
        if answers:
            asked.sendall(b"".join(answers))


def _answer(keys: Sequence[SigningKey], number: int, digest: bytes) -> bytes:
    try:
        return signature(keys[number].sign_digest(digest))
    except Exception as problem:
        # Whatever it is: this mail has no signature, and the receiver's policy says what that means.
        return refusal(problem)


if __name__ == "__main__":
    sys.exit(main())
