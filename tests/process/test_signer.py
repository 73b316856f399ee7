"""What a signer does with its line: it answers in order, in batches, until the other end hangs up."""

import hashlib
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from relay.identity.dkim_line import QUESTION, Answers, SigningRefused
from relay.process.signer import serve
from tests.identity.keys import ed25519_key, rsa_key

KEYS = (rsa_key(), ed25519_key(), rsa_key(1))
TEXTS = [b"text %d" % number for number in range(100)]


@contextmanager
def serving(
    monotonic: Callable[[], float] = time.monotonic, kind: socket.SocketKind = socket.SOCK_STREAM
) -> Iterator[socket.socket]:
    """The receiver's end; the signer must end when it is closed."""
    near, far = socket.socketpair(type=kind)
    thread = threading.Thread(target=serve, args=(far, KEYS, monotonic), daemon=True)
    thread.start()
    near.settimeout(10)
    try:
        yield near
    finally:
        near.close()
        thread.join(10)
        far.close()
    assert not thread.is_alive()


def ask(near: socket.socket, questions: list[tuple[int, bytes]]) -> list[bytes | SigningRefused]:
    near.sendall(
        b"".join([QUESTION.pack(number, hashlib.sha256(text).digest()) for number, text in questions])
    )
    ear = Answers()
    found: list[bytes | SigningRefused] = []
    while len(found) < len(questions):
        data = near.recv(4096)
        assert data
        found += ear.feed(data)
    return found


def test_answers_come_in_order_each_by_the_key_that_was_asked() -> None:
    asked = [(number % 3, text) for number, text in enumerate(TEXTS)]
    with serving() as near:
        answers = ask(near, asked)
    for (number, text), answer in zip(asked, answers, strict=True):
        assert isinstance(answer, bytes)
        if number == 1:
            assert answer == KEYS[1].sign(text)
        else:
            public = load_der_public_key(KEYS[number].public_key)
            assert isinstance(public, RSAPublicKey)
            public.verify(answer, text, PKCS1v15(), SHA256())


def test_a_key_that_is_not_there_is_a_refusal_and_the_next_question_is_answered() -> None:
    with serving() as near:
        refused, answered = ask(near, [(3, b"x"), (1, b"y")])
    assert isinstance(refused, SigningRefused)
    assert answered == KEYS[1].sign(b"y")


def test_who_waits_for_one_signature_does_not_wait_for_all_that_were_asked() -> None:
    # A clock on which each look takes 3 ms, and a socket that shows what was sent at once.
    ticks = itertools.count()
    with serving(lambda: next(ticks) * 0.003, socket.SOCK_SEQPACKET) as near:
        near.sendall(b"".join([QUESTION.pack(1, hashlib.sha256(text).digest()) for text in TEXTS[:60]]))
        sizes: list[int] = []
        while sum(sizes) < 60:
            sizes.append(len(Answers().feed(near.recv(65_536))))
    assert sizes == [2] * 30
