"""What DKIM costs: canonicalise and hash, prepare and sign, memory, a signer or not.

    python -m benchmarks.micro.dkim [body] [mail] [sign] [memory] [signer]

body     MB/s of body canonicalisation with SHA-256, beside SHA-256 alone and beside dkimpy
mail     what the hash adds to decoding a mail of 10 KiB
sign     header, signature and field of one mail, beside the library's raw signature and dkimpy's signer
memory   peak of the process while a mail of 150 MB goes through decoder and hash
signer   a uvloop that serves 20 sessions, 100 µs of Python a mail: RSA in the loop, in our thread or in a signer

Best of five; times on a machine that does other things are upper bounds.
"""

import asyncio
import base64
import hashlib
import os
import resource
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

import dkim  # type: ignore[import-untyped]  # dkimpy comes without type information
import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from dkim.canonicalization import Relaxed, Simple  # type: ignore[import-untyped]  # the same

from benchmarks import meter
from relay._fastpath import BodyHash, DataDecoder
from relay.clock import SystemClock
from relay.identity.dkim_key import SigningKey
from relay.message.dkim.canonical import Canonicalization, body_hash
from relay.message.dkim.signature import SigningOptions, prepare
from relay.message.header import Header
from relay.process.signer_seat import SignerSeat
from relay.receive.signer_thread import SignerThread
from relay.receive.signing import Done, Part, Signing, sign
from tests.identity.keys import ed25519_key, rsa_key

PIECE = 65_536
"""As a session reads."""
SIZE = 4 * 1024 * 1024
SESSIONS = 20
WORK_S = 0.0001
SECONDS = 3.0
KEY = rsa_key()
WORDS = b"Mails have lines of words, and most of the words in them are rather short. "
HEADER = (
    b"From: Alice <alice@example.com>\r\nTo: bob@example.net\r\nDate: Tue, 24 Nov 2026 00:00:00 +0000\r\n"
    b"Message-ID: <1@example.com>\r\nSubject: An ordinary mail\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n\r\n"
)
BODIES = {
    "text, lines of 72": (WORDS * 9)[:70].strip() + b"\r\n",
    "text, lines of 990": (WORDS * 14)[:988].strip() + b"\r\n",
    "lines of 20": b"A rather short line\r\n",
    "base64": base64.b64encode(bytes(range(57))) + b"\r\n",
    "indented HTML": b"        <td>" + WORDS[:60].strip() + b"</td>\r\n",
    "double spaces, trailing spaces": b"Two  spaces  after. Every full stop.  \r\n",
}


def best(work: Callable[[], object], times: int = 1) -> float:
    """Seconds that one call takes."""
    found = []
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(times):
            work()
        found.append((time.perf_counter() - began) / times)
    return min(found)


def body() -> None:
    for name, line in BODIES.items():
        text = line * (SIZE // len(line))
        pieces = [memoryview(text)[at : at + PIECE] for at in range(0, len(text), PIECE)]
        alone = best(partial(sha256, pieces))
        print(f"{name:32} SHA-256 alone {len(text) / alone / 1e6:6.0f} MB/s", end="")
        for mode, theirs in ((Canonicalization.SIMPLE, Simple), (Canonicalization.RELAXED, Relaxed)):
            ours = best(partial(hashed, mode, pieces))
            other = best(partial(by_dkimpy, theirs.canonicalize_body, text))
            print(
                f" | {mode.value} {len(text) / ours / 1e6:5.0f} MB/s, {ours / alone:4.2f} times its time;"
                f" dkimpy {len(text) / other / 1e6:4.0f}",
                end="",
            )
        print()


def by_dkimpy(canonicalize: Callable[[bytes], bytes], text: bytes) -> bytes:
    return hashlib.sha256(canonicalize(text)).digest()


def sha256(pieces: list[memoryview]) -> bytes:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.digest()


def hashed(mode: Canonicalization, pieces: list[memoryview]) -> bytes:
    is_relaxed = mode is Canonicalization.RELAXED
    hashing = BodyHash(simple=not is_relaxed, relaxed=is_relaxed)
    for piece in pieces:
        hashing.feed_body(piece)
    return hashing.relaxed_digest() if is_relaxed else hashing.simple_digest()


def mail() -> None:
    wire = HEADER + BODIES["text, lines of 72"] * 140 + b".\r\n"
    hashes: dict[str, BodyHash | None] = {
        "no hash": None,
        "simple": BodyHash(simple=True),
        "relaxed": BodyHash(relaxed=True),
        "both": BodyHash(simple=True, relaxed=True),
    }
    for name, hashing in hashes.items():
        decoder = DataDecoder()
        decoder.hash_body(hashing)
        print(
            f"decode {len(wire)} bytes, {name:8} {best(partial(decode, decoder, wire), 2000) * 1e6:6.1f} µs"
        )


def decode(decoder: DataDecoder, wire: bytes) -> None:
    decoder.reset()
    decoder.feed(wire, 0, len(wire), bytearray())


def signing() -> None:
    text = BODIES["text, lines of 72"] * 140
    for key in (rsa_key(), ed25519_key()):
        options = SigningOptions(b"example.com", b"s", key.algorithm)
        header, digest = Header.of(HEADER), body_hash(text, options.body)
        prepared = prepare(header, digest, options, 1.8e9)
        raw = best(raw_signer(key, prepared.data), 300)
        both = best(partial(sign_mail, key, options, header, digest), 300)
        print(
            f"{key.key_type:8} raw {raw * 1e6:6.1f} µs, with header and field {both * 1e6:6.1f} µs, {both / raw:4.2f} times"
        )
    arguments = HEADER + text, b"s", b"example.com", rsa_key().pem
    print(f"dkimpy, rsa, body and all {best(lambda: dkim.sign(*arguments), 20) * 1e6:6.1f} µs")


def sign_mail(key: SigningKey, options: SigningOptions, header: Header, digest: bytes) -> bytes | Exception:
    return sign([(prepare(header, digest, options, 1.8e9), key)])


def raw_signer(key: SigningKey, data: bytes) -> Callable[[], bytes]:
    """The library's signature and nothing of ours."""
    loaded = load_pem_private_key(key.pem, None)
    if isinstance(loaded, RSAPrivateKey):
        return partial(loaded.sign, data, PKCS1v15(), SHA256())
    assert isinstance(loaded, Ed25519PrivateKey)
    return partial(loaded.sign, hashlib.sha256(data).digest())


def memory() -> None:
    decoder, hashing = DataDecoder(), BodyHash(simple=True, relaxed=True)
    decoder.hash_body(hashing)
    content = bytearray()
    piece = BODIES["double spaces, trailing spaces"] * 1600
    decoder.feed(HEADER, 0, len(HEADER), content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(150_000_000 // len(piece)):
        decoder.feed(piece, 0, len(piece), content)
        del content[: len(content) // PIECE * PIECE]
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"150 MB through decoder and both hashes: peak {after - before} KiB above {before} KiB")


def signer() -> None:
    for where in (*PLACES, *PLACES):
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(where))


class InTheLoop:
    """At once, while everything waits."""

    def submit(self, parts: Sequence[Part], done: Done) -> None:
        done(sign(parts))

    def close(self) -> None:
        pass


@asynccontextmanager
async def in_the_loop() -> AsyncIterator[Signing]:
    yield InTheLoop()


@asynccontextmanager
async def in_a_thread() -> AsyncIterator[Signing]:
    signing = SignerThread(asyncio.get_running_loop())
    yield signing
    signing.close()


@asynccontextmanager
async def in_a_signer() -> AsyncIterator[Signing]:
    ready = asyncio.Event()
    seat = SignerSeat(0, [KEY], lambda event: ready.set(), SystemClock())
    seat.start()
    await asyncio.wait_for(ready.wait(), 10)
    yield seat
    seat.close()
    await seat.stop()


PLACES = {"the loop": in_the_loop, "a thread": in_a_thread, "a signer": in_a_signer}


def cpu_seconds() -> float:
    """Of this process and its children; a child's own clock is in its stat file as long as it lives."""
    return meter.read(os.getpid()).total_s


async def serve(where: str) -> None:
    """Sessions in a closed loop: each works, has its mail signed, and begins again."""
    async with PLACES[where]() as signing:
        await measure(where, signing)


async def measure(where: str, signing: Signing) -> None:
    loop = asyncio.get_running_loop()
    parts = [(prepare(HEADER, bytes(32), SigningOptions(b"example.com", b"s"), 1.8e9), KEY)]
    late: list[float] = []
    mails = 0
    is_over = False

    def work() -> None:
        until = time.perf_counter() + WORK_S
        while time.perf_counter() < until:
            pass
        signing.submit(parts, done)

    def done(result: bytes | Exception) -> None:
        nonlocal mails
        assert isinstance(result, bytes)
        mails += 1
        if not is_over:
            loop.call_soon(work)

    for _ in range(SESSIONS):
        loop.call_soon(work)
    began, cpu = time.perf_counter(), cpu_seconds()
    while time.perf_counter() < began + SECONDS:
        before = time.perf_counter()
        await asyncio.sleep(0.002)
        late.append(time.perf_counter() - before - 0.002)
    is_over = True
    seconds, cpu = time.perf_counter() - began, cpu_seconds() - cpu
    late.sort()
    print(
        f"RSA-2048 in {where:8} {mails / seconds:5.0f} mails/s,"
        f" {cpu / mails * 1e6:4.0f} µs CPU a mail, loop late p50 {late[len(late) // 2] * 1e3:5.2f} ms,"
        f" p99 {late[len(late) * 99 // 100] * 1e3:5.2f} ms"
    )


SCENES = {"memory": memory, "body": body, "mail": mail, "sign": signing, "signer": signer}
"""Memory first: the others raise the peak."""


def main() -> None:
    for name in sys.argv[1:] or SCENES:
        SCENES[name]()


if __name__ == "__main__":
    main()
