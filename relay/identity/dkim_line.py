"""What a receiver and its signer say to each other: hashes one way, signatures the other.

    question   key number, 2 bytes; SHA-256 of what is to be signed, 32 bytes
    answer     length, 2 bytes, highest bit set when it failed; the signature, or why it failed

Answers come in the order of the questions, so nothing is numbered. A number is a key's
place in the list that the signer was told. The hash is made where the mail is, so that
34 bytes go over and not a header. Bytes only; sockets are elsewhere.
"""

from collections.abc import Iterator
from struct import Struct

QUESTION = Struct(">H32s")
_LENGTH = Struct(">H")
_FAILED = 0x8000
_MAX_BYTES = 0x7FFF
"""Of an answer: a signature of 16,384 bits has 2,048."""
MAX_KEYS = 0xFFFF


class SigningRefused(Exception):
    """The signer could not sign; the text is the library's."""


class Questions:
    """The signer's ear: takes bytes as they come, gives whole questions."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Key number and hash of each question that is whole now."""
        data = self._rest + data
        whole = len(data) // QUESTION.size * QUESTION.size
        self._rest = data[whole:]
        return QUESTION.iter_unpack(memoryview(data)[:whole])


class Answers:
    """The receiver's ear."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes | SigningRefused]:
        """Each answer that is whole now."""
        data, start, found = self._rest + data, 0, []
        while len(data) - start >= _LENGTH.size:
            (said,) = _LENGTH.unpack_from(data, start)
            first = start + _LENGTH.size
            end = first + (said & _MAX_BYTES)
            if len(data) < end:
                break
            found.append(_heard(said, data[first:end]))
            start = end
        self._rest = data[start:]
        return found


def _heard(said: int, text: bytes) -> bytes | SigningRefused:
    return SigningRefused(text.decode("utf-8", "replace")) if said & _FAILED else text


def signature(signature: bytes) -> bytes:
    """The answer that brings it."""
    return _LENGTH.pack(len(signature)) + signature


def refusal(problem: Exception) -> bytes:
    """The answer that there is none, and why."""
    text = (str(problem) or repr(problem)).encode("utf-8", "replace")[:_MAX_BYTES]
    return _LENGTH.pack(_FAILED | len(text)) + text
