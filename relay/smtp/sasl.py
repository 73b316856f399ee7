"""The client's side of AUTH: PLAIN (RFC 4616), LOGIN (draft-murchison-sasl-login) and XOAUTH2.

A mechanism gives its lines, already in base64, as the server asks for them; the
client state machine puts them on the wire (RFC 4954). No mechanism hides password
or token, so the caller sees to it that TLS does.

XOAUTH2 has no RFC; Microsoft and Google document it. It goes in two steps, as in
Microsoft's example: a token has 1.5 to 3 KB, and RFC 5321 section 4.5.3.1.4 promises
512 octets for a command line.
"""

import binascii
from base64 import b64decode, b64encode
from collections.abc import Collection
from typing import Protocol

from relay.errors import ProtocolError

COMPLAINT_MAX = 500
"""Of what a server says about a token; Google's has some 100 characters."""


class Mechanism(Protocol):
    """One AUTH dialogue."""

    name: bytes

    def initial(self) -> bytes | None:
        """The initial response that goes with AUTH (RFC 4954 section 4), or None."""
        ...

    def answer(self, challenge: str) -> bytes:
        """The answer to the next challenge; ProtocolError when there is none left to give."""
        ...

    @property
    def complaint(self) -> str:
        """What the server said, between the lines, against the login; mostly empty."""
        ...


class Plain:
    """Name and password in one line."""

    name = b"PLAIN"
    complaint = ""

    def __init__(self, username: str, password: str) -> None:
        self._line: bytes | None = b64encode(f"\0{username}\0{password}".encode())

    def initial(self) -> bytes | None:
        """The whole of it."""
        line, self._line = self._line, None
        return line

    def answer(self, challenge: str = "") -> bytes:
        """Nothing more is to be said."""
        raise ProtocolError("AUTH PLAIN: the server asks again after it was told all")


class Login:
    """Name, then password. Their order is fixed; what the server's prompts say differs from host to host."""

    name = b"LOGIN"
    complaint = ""

    def __init__(self, username: str, password: str) -> None:
        self._lines = [b64encode(password.encode()), b64encode(username.encode())]

    def initial(self) -> bytes | None:
        """None: several servers take no initial response with LOGIN."""
        return None

    def answer(self, challenge: str = "") -> bytes:
        """The name first, then the password."""
        if not self._lines:
            raise ProtocolError("AUTH LOGIN: the server asks a third time")
        return self._lines.pop()


class XOAuth2:
    """Mailbox and token in one line, once the server has asked for it."""

    name = b"XOAUTH2"

    def __init__(self, username: str, token: str) -> None:
        self.complaint = ""
        self._line: bytes | None = b64encode(f"user={username}\x01auth=Bearer {token}\x01\x01".encode())

    def initial(self) -> bytes | None:
        """None: in two steps."""
        return None

    def answer(self, challenge: str) -> bytes:
        """The line; then an empty one to what the server has against it, which it follows with its refusal."""
        if self._line is not None:
            line, self._line = self._line, None
            return line
        if self.complaint:
            raise ProtocolError("AUTH XOAUTH2: the server asks a third time")
        self.complaint = _complaint(challenge)
        return b""


def _complaint(challenge: str) -> str:
    """The JSON behind the base64, as it stands: servers differ in what is in it."""
    try:
        text = b64decode(challenge, validate=True).decode()
    except (binascii.Error, UnicodeError, ValueError):
        text = challenge
    return " ".join(text.split())[:COMPLAINT_MAX] or "no reason"


def choose(offered: Collection[str], username: str, password: str) -> Mechanism | None:
    """A mechanism that the server offers: PLAIN before LOGIN, as it costs one round trip, not three."""
    if "PLAIN" in offered:
        return Plain(username, password)
    if "LOGIN" in offered:
        return Login(username, password)
    return None
