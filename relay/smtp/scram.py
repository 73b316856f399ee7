"""SCRAM-SHA-256, the server's side (RFC 5802, RFC 7677): the client proves that it knows a password we do not keep.

What is kept is a verifier. Several may be given, of which any will do (an old password
that is still good beside the new one): they share salt and iterations, of which a
client is told one each. Channel binding is not offered, so a client that asks for it
is refused, and one that says that it could goes on (section 6).

The caller gives verifiers for unknown names too, ones that nothing fits; the dialogue
is then the same until its end.
"""

import binascii
import hmac
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from hashlib import pbkdf2_hmac, sha256

from msgspec import Struct

NAME = "SCRAM-SHA-256"
ITERATIONS = 4096
"""RFC 7677 section 4: at least 4096. Passwords of ours are 160 random bits: more would keep nobody from guessing
them, and cost the clients' processors."""
KEY_BYTES = 32
Verifiers = Callable[[str], Sequence["Verifier"]]
"""The verifiers of a user name, known or not; never none."""


class ScramError(ValueError):
    """What the client said is no message of the dialogue."""


class Verifier(Struct, frozen=True):
    """What proves a password without telling it (RFC 5802 section 3)."""

    salt: bytes
    iterations: int
    stored_key: bytes
    server_key: bytes

    def __repr__(self) -> str:
        return f"Verifier(iterations={self.iterations}, …)"

    def __str__(self) -> str:
        """`SCRAM-SHA-256$4096:salt$stored key:server key`, as PostgreSQL writes it."""
        salt, stored, server = map(_encode, (self.salt, self.stored_key, self.server_key))
        return f"{NAME}${self.iterations}:{salt}${stored}:{server}"


def verifier_of(password: str, salt: bytes, iterations: int = ITERATIONS) -> Verifier:
    """The verifier of a password. RFC 5802 section 2.2 prepares it with SASLprep, which leaves ASCII as it is."""
    salted = pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    return Verifier(salt, iterations, sha256(client_key).digest(), server_key)


def read_verifier(text: str) -> Verifier:
    """What `str` of a verifier wrote; ValueError for anything else."""
    match = _VERIFIER.fullmatch(text)
    if match is None:
        raise ValueError(f"is no {NAME} verifier")
    salt, stored, server = (_decode(match[name].encode()) for name in ("salt", "stored", "server"))
    if len(stored) != KEY_BYTES or len(server) != KEY_BYTES or not salt:
        raise ValueError(f"is no {NAME} verifier: a key has {KEY_BYTES} bytes")
    return Verifier(salt, int(match["iterations"]), stored, server)


class ScramServer:
    """One dialogue: `first` and then `final`."""

    def __init__(self, verifiers: Verifiers, nonce: str) -> None:
        """`nonce`: printable, without a comma, never used before."""
        self._verifiers_of = verifiers
        self._verifiers: Sequence[Verifier] = ()
        self._nonce = nonce
        self._gs2_header = b""
        self._said = b""
        self.username = ""

    def first(self, message: bytes) -> bytes:
        """client-first-message → server-first-message; ScramError."""
        match = _CLIENT_FIRST.fullmatch(message)
        if match is None:
            raise ScramError("not a client-first-message, or one that wants channel binding")
        self._gs2_header = match["gs2"]
        self.username = _saslname(match["name"])
        if match["authzid"] is not None and _saslname(match["authzid"]) != self.username:
            raise ScramError("nobody may act as somebody else")
        first, *rest = self._verifiers_of(self.username)
        self._verifiers = [first, *(each for each in rest if _has_same_salt(each, first))]
        self._nonce = match["nonce"].decode() + self._nonce
        answer = f"r={self._nonce},s={_encode(first.salt)},i={first.iterations}".encode()
        self._said = b"%b,%b" % (match["bare"], answer)
        return answer

    def final(self, message: bytes) -> bytes | None:
        """client-final-message → server-final-message, or None: the proof is wrong; ScramError."""
        match = _CLIENT_FINAL.fullmatch(message)
        if match is None or _decode(match["binding"]) != self._gs2_header:
            raise ScramError("not a client-final-message, or one for another connection")
        proof = _decode(match["proof"])
        if match["nonce"].decode() != self._nonce or len(proof) != KEY_BYTES:
            raise ScramError("another nonce, or no proof")
        auth_message = b"%b,%b" % (self._said, match["bare"])
        # All of them, whichever fits: the time says nothing.
        signatures = [_signature(each, auth_message, proof) for each in self._verifiers]
        return next((b"v=" + _encode(each).encode() for each in signatures if each is not None), None)


def _signature(verifier: Verifier, auth_message: bytes, proof: bytes) -> bytes | None:
    """The server's signature, when the proof fits the verifier (RFC 5802 section 3)."""
    client_signature = hmac.digest(verifier.stored_key, auth_message, "sha256")
    client_key = bytes(a ^ b for a, b in zip(proof, client_signature, strict=True))
    signature = hmac.digest(verifier.server_key, auth_message, "sha256")
    return signature if hmac.compare_digest(sha256(client_key).digest(), verifier.stored_key) else None


def _has_same_salt(one: Verifier, other: Verifier) -> bool:
    return (one.salt, one.iterations) == (other.salt, other.iterations)


def _saslname(text: bytes) -> str:
    """RFC 5802 section 5.1: `=2C` is a comma, `=3D` an equals sign, and no other stands in a name."""
    name = text.replace(b"=2C", b",").replace(b"=3D", b"\0")
    if b"=" in name or b"\0" in text:
        raise ScramError("a name with a bare equals sign, or a NUL")
    try:
        return name.replace(b"\0", b"=").decode()
    except UnicodeDecodeError:
        raise ScramError("a name that is not UTF-8") from None


def _encode(data: bytes) -> str:
    return b64encode(data).decode()


def _decode(text: bytes) -> bytes:
    try:
        return b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ScramError("not base64") from None


# RFC 5802 section 7. A reserved `m=` at the beginning is an extension that must be understood: it fits nothing here.
_CLIENT_FIRST = re.compile(
    rb"(?P<gs2>[ny],(?:a=(?P<authzid>[^,]+))?,)"
    rb"(?P<bare>n=(?P<name>[^,]+),r=(?P<nonce>[\x21-\x2b\x2d-\x7e]+)(?:,[A-Za-z]=[^,\0]+)*)"
)
_CLIENT_FINAL = re.compile(
    rb"(?P<bare>c=(?P<binding>[A-Za-z0-9+/=]+),r=(?P<nonce>[\x21-\x2b\x2d-\x7e]+)(?:,[A-Za-z]=[^,\0]+)*?)"
    rb",p=(?P<proof>[A-Za-z0-9+/=]+)"
)
_BASE64 = r"[A-Za-z0-9+/]+={0,2}"
_VERIFIER = re.compile(
    rf"{NAME}\$(?P<iterations>[1-9][0-9]{{3,6}}):(?P<salt>{_BASE64})\$(?P<stored>{_BASE64}):(?P<server>{_BASE64})"
)
