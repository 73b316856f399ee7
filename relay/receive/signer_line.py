"""Signatures made by a process beside this one: the receiver's end of the line.

A thread that signs waits for the interpreter before and after each signature, and the
loop for the thread; a process does neither. What is asked in one turn of the loop
leaves in one write, and what comes back in one read goes into one commit. Keys and
starting are not ours: `relay.process.signer_seat`.

While there is no signer, the thread signs. When one dies or stands still, what it has
not answered is signed by the thread too: no mail is lost with it, refused for it, or
leaves unsigned.
"""

import asyncio
import socket
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import cast

from relay.identity.dkim_key import SigningKey
from relay.identity.dkim_line import QUESTION, Answers, SigningRefused
from relay.receive.signing import Done, Part, Signing

LOOK_S = 1.0
PATIENCE = 5
"""Looks without an answer, while one is due, before a signer counts as stuck. A signature takes 0.26 ms, with the
longest key that verifiers must take 1.7; seconds mean that it is stopped or swapped out."""


@dataclass(frozen=True, slots=True)
class _Mail:
    """The signatures of one mail, under way."""

    parts: Sequence[Part]
    done: Done


class SignerLine:
    """All methods are for the loop. Implements `Signing`."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        keys: Sequence[SigningKey],
        instead: Signing,
        on_stuck: Callable[[], None],
        *,
        look_s: float = LOOK_S,
    ) -> None:
        """`keys` as the signer was told them; `instead` signs while there is none; `on_stuck` should end it."""
        self._loop = loop
        self._numbers = {key: number for number, key in enumerate(keys)}
        self._instead = instead
        self._on_stuck = on_stuck
        self._look_s = look_s
        self._line: _Line | None = None
        self._is_closed = False

    @property
    def is_connected(self) -> bool:
        """A signer is there."""
        return self._line is not None

    async def connect(self, sock: socket.socket) -> None:
        """A signer listens at the other end; used up."""
        line = _Line(self._loop, self._numbers, self._lost)
        await self._loop.create_connection(lambda: line, sock=sock)
        if self._is_closed:
            line.hang_up()
        elif line.is_open:
            self._line = line
            self._loop.call_later(self._look_s, self._look, line, 0, 0)

    def submit(self, parts: Sequence[Part], done: Done) -> None:
        """Have one mail signed."""
        if self._line is None:
            self._instead.submit(parts, done)
        else:
            self._line.ask(_Mail(parts, done))

    def close(self) -> None:
        """Hang up; a signer ends by that. What waits is signed still."""
        self._is_closed = True
        if self._line is not None:
            self._line.hang_up()
        self._instead.close()

    def _lost(self, line: "_Line", unanswered: Sequence[_Mail]) -> None:
        if self._line is line:
            self._line = None
        for mail in unanswered:
            self._instead.submit(mail.parts, mail.done)

    def _look(self, line: "_Line", seen: int, looks: int) -> None:
        if not line.is_open:
            return
        looks = looks + 1 if line.is_waiting and line.answered == seen else 0
        if looks < PATIENCE:
            self._loop.call_later(self._look_s, self._look, line, line.answered, looks)
            return
        line.hang_up()
        self._on_stuck()


class _Line(asyncio.Protocol):
    """To one signer, until it ends."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        numbers: dict[SigningKey, int],
        on_lost: "Callable[[_Line, Sequence[_Mail]], None]",
    ) -> None:
        self.is_open = False
        self.answered = 0
        self._loop = loop
        self._numbers = numbers
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._pending: deque[_Mail] = deque()
        self._questions: list[bytes] = []
        self._ear = Answers()
        self._answers: list[bytes | SigningRefused] = []
        """To the first mail that waits, while further ones are due."""

    @property
    def is_waiting(self) -> bool:
        """An answer is due."""
        return bool(self._pending)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ready."""
        self._transport = cast(asyncio.Transport, transport)  # a stream's is one; uvloop's is no subclass
        self.is_open = True

    def connection_lost(self, exc: Exception | None) -> None:
        """The signer has ended."""
        self.hang_up()

    def hang_up(self) -> None:
        """It is asked nothing any more, and what it says is not heard."""
        if self.is_open and self._transport is not None:
            self.is_open = False
            self._transport.abort()
            unanswered = tuple(self._pending)
            self._pending.clear()
            self._questions.clear()
            self._on_lost(self, unanswered)

    def ask(self, mail: _Mail) -> None:
        """Have it signed."""
        if not self._questions:
            self._loop.call_soon(self._flush)
        self._questions += [
            QUESTION.pack(self._numbers[key], sha256(prepared.data).digest()) for prepared, key in mail.parts
        ]
        self._pending.append(mail)

    def data_received(self, data: bytes) -> None:
        """Signatures."""
        for answer in self._ear.feed(data):
            self.answered += 1
            if not self._pending:
                # Not asked for: whatever speaks there, it is no signer of ours. Also what a hung-up line still says.
                self.hang_up()
                return
            self._answers.append(answer)
            if len(self._answers) == len(self._pending[0].parts):
                answers, self._answers = self._answers, []
                self._tell(self._pending.popleft(), answers)

    def _flush(self) -> None:
        questions, self._questions = self._questions, []
        if questions and self._transport is not None:
            self._transport.write(b"".join(questions))

    def _tell(self, mail: _Mail, answers: Sequence[bytes | SigningRefused]) -> None:
        try:
            mail.done(_fields(mail.parts, answers))
        except Exception as problem:
            # One session's fault must not lose the mails of the others.
            self._loop.call_exception_handler({"message": "a mail was signed", "exception": problem})


def _fields(parts: Sequence[Part], answers: Sequence[bytes | SigningRefused]) -> bytes | SigningRefused:
    fields = []
    for (prepared, _), answer in zip(parts, answers, strict=True):
        if isinstance(answer, SigningRefused):
            return answer
        fields.append(prepared.field(answer))
    return b"".join(fields)
