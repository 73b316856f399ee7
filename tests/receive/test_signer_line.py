"""The receiver's end of the line to its signer: in order, and nothing lost when the signer is."""

import asyncio
import hashlib
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType

from relay.identity.dkim_key import SigningKey
from relay.identity.dkim_line import QUESTION, SigningRefused, refusal, signature
from relay.message.dkim.signature import Prepared
from relay.receive.signer_line import SignerLine
from relay.receive.signing import Done, Part
from tests.fakes.loop import in_loop
from tests.identity.keys import ed25519_key, rsa_key
from tests.receive.harness import until

RSA, ED25519 = rsa_key(), ed25519_key()
Heard = bytes | Exception


def part(text: bytes, key: SigningKey = RSA) -> Part:
    return Prepared(text, b"%b " % text), key


def digest(text: bytes) -> bytes:
    return hashlib.sha256(text).digest()


def written(text: bytes, made: bytes) -> bytes:
    """The field of `part(text)` with that signature."""
    return part(text)[0].field(made)


@dataclass
class Instead:
    """Takes what the line cannot have signed."""

    mails: list[tuple[Sequence[Part], Done]] = field(default_factory=list)
    is_closed: bool = False

    def submit(self, parts: Sequence[Part], done: Done) -> None:
        assert not self.is_closed
        self.mails.append((parts, done))

    def close(self) -> None:
        self.is_closed = True

    @property
    def texts(self) -> list[list[bytes]]:
        return [[prepared.data for prepared, _ in parts] for parts, _ in self.mails]


class Wire:
    """A line and the signer's end of it, which the test plays."""

    def __init__(self, look_s: float = 1.0) -> None:
        self.instead = Instead()
        self.stuck = 0
        self.heard: list[Heard] = []
        loop = asyncio.get_running_loop()
        self.line = SignerLine(loop, (RSA, ED25519), self.instead, self._on_stuck, look_s=look_s)
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter

    async def __aenter__(self) -> "Wire":
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.line.close()
        self.writer.close()

    async def connect(self) -> None:
        near, far = socket.socketpair()
        near.setblocking(False)
        self.reader, self.writer = await asyncio.open_connection(sock=far)
        await self.line.connect(near)

    def submit(self, *parts: Part) -> None:
        self.line.submit(parts, self.heard.append)

    async def asked(self, count: int) -> list[tuple[int, bytes]]:
        return list(QUESTION.iter_unpack(await self.reader.readexactly(QUESTION.size * count)))

    def _on_stuck(self) -> None:
        self.stuck += 1


@in_loop
async def test_each_mail_gets_the_signature_that_was_made_for_it() -> None:
    async with Wire() as wire:
        for text in (b"a", b"b", b"c"):
            wire.submit(part(text))
        assert await wire.asked(3) == [(0, digest(text)) for text in (b"a", b"b", b"c")]
        said = signature(b"1") + signature(b"2") + signature(b"3")
        for octet in said:
            wire.writer.write(bytes((octet,)))
            await asyncio.sleep(0)
        await until(lambda: len(wire.heard) == 3)
        assert wire.heard == [written(b"a", b"1"), written(b"b", b"2"), written(b"c", b"3")]
        assert wire.instead.mails == []


@in_loop
async def test_a_mail_with_two_signatures_waits_for_both() -> None:
    async with Wire() as wire:
        wire.submit(part(b"a"), part(b"A", ED25519))
        wire.submit(part(b"b"))
        assert await wire.asked(3) == [(0, digest(b"a")), (1, digest(b"A")), (0, digest(b"b"))]
        wire.writer.write(signature(b"1"))
        await asyncio.sleep(0.01)
        assert wire.heard == []
        wire.writer.write(signature(b"2") + signature(b"3"))
        await until(lambda: len(wire.heard) == 2)
        assert wire.heard == [written(b"a", b"1") + written(b"A", b"2"), written(b"b", b"3")]


@in_loop
async def test_what_the_signer_could_not_sign_is_a_failure_and_no_field() -> None:
    async with Wire() as wire:
        wire.submit(part(b"a"), part(b"A", ED25519))
        wire.submit(part(b"b"))
        wire.writer.write(signature(b"1") + refusal(ValueError("no entropy")) + signature(b"3"))
        await until(lambda: len(wire.heard) == 2)
        failed, fine = wire.heard
        assert isinstance(failed, SigningRefused) and str(failed) == "no entropy"
        assert fine == written(b"b", b"3")


@in_loop
async def test_while_there_is_no_signer_somebody_else_signs() -> None:
    wire = Wire()
    wire.submit(part(b"a"))
    assert not wire.line.is_connected and wire.instead.texts == [[b"a"]]
    await wire.connect()
    wire.submit(part(b"b"))
    assert await wire.asked(1) == [(0, digest(b"b"))]
    wire.line.close()
    wire.writer.close()


@in_loop
async def test_what_a_signer_had_not_answered_when_it_died_is_signed_in_order_by_somebody_else() -> None:
    async with Wire() as wire:
        wire.submit(part(b"a"))
        wire.submit(part(b"b"), part(b"B", ED25519))
        wire.submit(part(b"c"))
        wire.writer.write(signature(b"1") + signature(b"half of two"))
        await until(lambda: len(wire.heard) == 1)
        wire.writer.close()
        await until(lambda: not wire.line.is_connected)
        assert wire.instead.texts == [[b"b", b"B"], [b"c"]]
        assert wire.heard == [written(b"a", b"1")]
        # The half that a dead signer said belongs to nobody else's mail.
        await wire.connect()
        wire.submit(part(b"d"))
        wire.writer.write(signature(b"4"))
        await until(lambda: len(wire.heard) == 2)
        assert wire.heard[1] == written(b"d", b"4")


@in_loop
async def test_a_signer_that_stands_still_is_given_up() -> None:
    async with Wire(look_s=0.005) as wire:
        wire.submit(part(b"a"))
        await until(lambda: wire.stuck == 1)
        assert wire.instead.texts == [[b"a"]]
        assert not wire.line.is_connected


@in_loop
async def test_a_signer_that_gets_on_or_is_asked_nothing_is_not_given_up() -> None:
    async with Wire(look_s=0.01) as wire:
        await asyncio.sleep(0.1)
        for number in range(40):
            wire.submit(part(b"%d" % number))
        for _ in range(40):
            await asyncio.sleep(0.005)
            wire.writer.write(signature(b"s"))
        await until(lambda: len(wire.heard) == 40)
        assert wire.stuck == 0 and wire.line.is_connected


@in_loop
async def test_an_answer_to_no_question_ends_the_line() -> None:
    async with Wire() as wire:
        wire.writer.write(signature(b"1"))
        await until(lambda: not wire.line.is_connected)
        wire.submit(part(b"a"))
        assert wire.instead.texts == [[b"a"]] and wire.heard == []


@in_loop
async def test_a_line_that_is_closed_lets_others_sign_what_waits_and_says_so_to_the_signer() -> None:
    async with Wire() as wire:
        wire.submit(part(b"a"))
        wire.line.close()
        assert wire.instead.texts == [[b"a"]] and wire.instead.is_closed
        # The question had not left yet: nobody signs it twice.
        assert await wire.reader.read() == b""


@in_loop
async def test_a_signer_that_comes_when_all_is_over_is_sent_home() -> None:
    wire = Wire()
    wire.line.close()
    await wire.connect()
    assert await wire.reader.read() == b""
    assert not wire.line.is_connected
    wire.writer.close()


def test_a_session_that_fails_does_not_take_the_others_with_it() -> None:
    troubles: list[dict[str, object]] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: troubles.append(context))
        async with Wire() as wire:
            wire.line.submit((part(b"a"),), lambda _: next(iter(())))
            wire.submit(part(b"b"))
            wire.writer.write(signature(b"1") + signature(b"2"))
            await until(lambda: len(wire.heard) == 1)
            assert wire.heard == [written(b"b", b"2")] and wire.line.is_connected

    asyncio.run(main())
    assert [type(each["exception"]) for each in troubles] == [StopIteration]
