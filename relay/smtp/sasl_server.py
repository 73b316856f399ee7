"""The server's side of AUTH (RFC 4954): PLAIN (RFC 4616), LOGIN (draft-murchison-sasl-login), SCRAM-SHA-256, tokens.

A dialogue takes lines of the client and gives steps: a reply, of which 334 asks for
the next line and any other ends the dialogue, or a `Login` that somebody else judges.
Nothing here knows which users there are: what a reply says depends on syntax alone.
"""

import binascii
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec import Struct

from relay.smtp import bearer, scram
from relay.smtp.reply import Reply
from relay.smtp.scram import ScramError, ScramServer

PLAIN, LOGIN = "PLAIN", "LOGIN"
NAME_MAX_BYTES = 255
"""Of a user name or a password: what RFC 4616 section 2 asks servers to take at least."""

CANCELLED = Reply(501, "5.7.0", "The login was cancelled")
NOT_BASE64 = Reply(501, "5.5.2", "That is not base64")
MALFORMED = Reply(501, "5.5.2", "That is no answer of this mechanism")
WRONG = Reply(535, "5.7.8", "Name or password is wrong")
"""The one reply, whatever is wrong: it tells nobody which names there are."""
WRONG_TOKEN = Reply(535, "5.7.8", "The token is not taken here")
"""Likewise: nobody learns which applications there are."""
UNKNOWN_MECHANISM = Reply(504, "5.5.4", "The mechanism is not known here")


class Login(Struct, frozen=True):
    """Somebody says who it is: an event that wants an answer."""

    mechanism: str
    username: str
    password: bytes = b""
    """Or the token. To be checked; empty when the mechanism has none."""
    is_proved: bool = False
    """The mechanism has checked it."""

    def __repr__(self) -> str:
        return f"Login({self.mechanism}, {self.username!r}, …)"


Step = Reply | Login


class Doorkeeper(Protocol):
    """What the mechanisms must be given."""

    @property
    def mechanisms(self) -> Sequence[str]:
        """Those to offer, the best first."""
        ...

    def verifiers(self, username: str) -> Sequence[scram.Verifier]:
        """For SCRAM, of a name that is known or not; never none."""
        ...

    def nonce(self) -> str:
        """Printable, without a comma, never the same again."""
        ...


class Dialogue(Protocol):
    """One AUTH command to its end."""

    def first(self) -> Step:
        """To a client that sends no initial response."""
        ...

    def take(self, data: bytes) -> Step:
        """To what the client said, decoded."""
        ...


def mechanism_of(text: bytes) -> str:
    """What follows `AUTH ` up to an initial response."""
    return text.partition(b" ")[0].upper().decode("ascii", "replace")


def complaint(login: Login) -> Reply | None:
    """What a mechanism says before the refusal follows (RFC 7628 section 3.2.2); None: it says nothing."""
    text = bearer.COMPLAINTS.get(login.mechanism)
    return None if text is None else _challenge(text)


def begin(text: bytes, doorkeeper: Doorkeeper) -> tuple[Dialogue | None, Step]:
    """What follows `AUTH `: the dialogue, which goes on when the step is a 334."""
    mechanism = mechanism_of(text)
    _, space, initial = text.partition(b" ")
    if mechanism not in doorkeeper.mechanisms:
        return None, UNKNOWN_MECHANISM
    dialogue = _MECHANISMS[mechanism](doorkeeper)
    if not space:
        return dialogue, dialogue.first()
    # RFC 4954 section 4: "=" stands for an initial response of no bytes.
    return dialogue, dialogue.take(b"") if initial == b"=" else go_on(dialogue, initial)


def go_on(dialogue: Dialogue, line: bytes) -> Step:
    """The step after a line of the client's, which is base64 or `*`."""
    if line == b"*":
        return CANCELLED
    try:
        data = b64decode(line, validate=True)
    except (binascii.Error, ValueError):
        return NOT_BASE64
    return dialogue.take(data)


class _Plain:
    """`authzid NUL authcid NUL password`."""

    def __init__(self, doorkeeper: Doorkeeper) -> None:
        pass

    def first(self) -> Step:
        return Reply(334, "", "")

    def take(self, data: bytes) -> Step:
        parts = data.split(b"\0")
        if len(parts) != 3:
            return MALFORMED
        identity, name, password = parts
        # Nobody may act as somebody else; that is answered as a wrong password, not as a fault of syntax.
        return _login(PLAIN, name, password if identity in (b"", name) else b"")


class _LoginInTurn:
    """The name, then the password; the prompts are what clients look for."""

    def __init__(self, doorkeeper: Doorkeeper) -> None:
        self._name: bytes | None = None

    def first(self) -> Step:
        return _challenge(b"Username:")

    def take(self, data: bytes) -> Step:
        if self._name is None:
            self._name = data
            return _challenge(b"Password:")
        return _login(LOGIN, self._name, data)


class _Scram:
    """Three lines of the client, of which the last is empty: 235 has no room for the server's last (RFC 4954 section 4)."""

    def __init__(self, doorkeeper: Doorkeeper) -> None:
        self._server = ScramServer(doorkeeper.verifiers, doorkeeper.nonce())
        self._next: Callable[[bytes], Step] = self._first

    def first(self) -> Step:
        return Reply(334, "", "")

    def take(self, data: bytes) -> Step:
        try:
            return self._next(data)
        except ScramError:
            return MALFORMED

    def _first(self, data: bytes) -> Step:
        answer = self._server.first(data)
        if len(self._server.username.encode()) > NAME_MAX_BYTES:
            return MALFORMED
        self._next = self._final
        return _challenge(answer)

    def _final(self, data: bytes) -> Step:
        answer = self._server.final(data)
        if answer is None:
            return Login(scram.NAME, self._server.username)
        self._next = self._end
        return _challenge(answer)

    def _end(self, data: bytes) -> Step:
        return MALFORMED if data else Login(scram.NAME, self._server.username, is_proved=True)


class _Bearer:
    """One message, with which the client may begin (RFC 7628 section 3.1)."""

    def __init__(self, mechanism: str) -> None:
        self._mechanism = mechanism

    def first(self) -> Step:
        return Reply(334, "", "")

    def take(self, data: bytes) -> Step:
        found = bearer.read(self._mechanism, data)
        if found is None or len(found[0]) > NAME_MAX_BYTES:
            return MALFORMED
        name, token = found
        return Login(self._mechanism, name.decode("utf-8", "replace"), token)


def _login(mechanism: str, name: bytes, password: bytes) -> Step:
    if len(name) > NAME_MAX_BYTES or len(password) > NAME_MAX_BYTES:
        return MALFORMED
    # No name of ours holds what stands for bytes that are not UTF-8.
    return Login(mechanism, name.decode("utf-8", "replace"), password)


def _challenge(data: bytes) -> Reply:
    return Reply(334, "", b64encode(data).decode())


_MECHANISMS: dict[str, Callable[[Doorkeeper], Dialogue]] = {
    scram.NAME: _Scram,
    PLAIN: _Plain,
    LOGIN: _LoginInTurn,
    bearer.OAUTHBEARER: lambda doorkeeper: _Bearer(bearer.OAUTHBEARER),
    bearer.XOAUTH2: lambda doorkeeper: _Bearer(bearer.XOAUTH2),
}
