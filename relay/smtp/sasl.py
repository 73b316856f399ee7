"""The client's side of AUTH: PLAIN (RFC 4616) and LOGIN (draft-murchison-sasl-login).

A mechanism gives its lines, already in base64, as the server asks for them; the
client state machine puts them on the wire (RFC 4954). Neither mechanism hides the
password, so the caller sees to it that TLS does.
"""

from base64 import b64encode
from collections.abc import Collection
from typing import Protocol

from relay.errors import ProtocolError


class Mechanism(Protocol):
    """One AUTH dialogue."""

    name: bytes

    def initial(self) -> bytes | None:
        """The initial response that goes with AUTH (RFC 4954 section 4), or None."""
        ...

    def answer(self) -> bytes:
        """The answer to the next challenge; ProtocolError when there is none left to give."""
        ...


class Plain:
    """Name and password in one line."""

    name = b"PLAIN"

    def __init__(self, username: str, password: str) -> None:
        self._line: bytes | None = b64encode(f"\0{username}\0{password}".encode())

    def initial(self) -> bytes | None:
        """The whole of it."""
        line, self._line = self._line, None
        return line

    def answer(self) -> bytes:
        """Nothing more is to be said."""
        raise ProtocolError("AUTH PLAIN: the server asks again after it was told all")


class Login:
    """Name, then password. Their order is fixed; what the server's prompts say differs from host to host."""

    name = b"LOGIN"

    def __init__(self, username: str, password: str) -> None:
        self._lines = [b64encode(password.encode()), b64encode(username.encode())]

    def initial(self) -> bytes | None:
        """None: several servers take no initial response with LOGIN."""
        return None

    def answer(self) -> bytes:
        """The name first, then the password."""
        if not self._lines:
            raise ProtocolError("AUTH LOGIN: the server asks a third time")
        return self._lines.pop()


def choose(offered: Collection[str], username: str, password: str) -> Mechanism | None:
    """A mechanism that the server offers: PLAIN before LOGIN, as it costs one round trip, not three."""
    if "PLAIN" in offered:
        return Plain(username, password)
    if "LOGIN" in offered:
        return Login(username, password)
    return None
