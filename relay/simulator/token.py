"""Access tokens: JSON Web Tokens (RFC 7519) signed with the authority's key, and what they grant.

They have the claims of Entra's app-only tokens, so that a relay that decodes a refused
one for its administrator finds what it would find there.
"""

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from msgspec import Struct

AUDIENCES = ("https://outlook.office365.com", "https://outlook.office.com")
"""Resources whose tokens SMTP takes; both are in use."""


class Claims(Struct, frozen=True):
    """What a token says. Times are the simulator's."""

    aud: str
    iss: str
    appid: str
    oid: str
    tid: str
    iat: int
    nbf: int
    exp: int
    roles: tuple[str, ...] = ()
    idtyp: str = "app"
    ver: str = "1.0"
    sub: str = ""
    """In an application's own token its object id, as `oid`."""


class TokenKey:
    """Signs and verifies."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        numbers = self._key.public_key().public_numbers()
        self._modulus = numbers.n.to_bytes(256, "big")
        self.id = encode(hashlib.sha256(self._modulus).digest()[:20])

    def sign(self, claims: Claims) -> str:
        """The token, compact serialisation (RFC 7515 section 3.1)."""
        head = encode(msgspec.json.encode({"typ": "JWT", "alg": "RS256", "kid": self.id}))
        text = f"{head}.{encode(msgspec.json.encode(claims))}"
        signature = self._key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{text}.{encode(signature)}"

    def read(self, token: str) -> Claims | None:
        """What it says; None when it is none of ours."""
        text, _, signature = token.rpartition(".")
        try:
            self._key.public_key().verify(
                decode(signature), text.encode(), padding.PKCS1v15(), hashes.SHA256()
            )
            return msgspec.json.decode(decode(text.partition(".")[2]), type=Claims)
        except (InvalidSignature, ValueError):
            return None

    def public(self) -> Mapping[str, object]:
        """The key set (RFC 7517) that the discovery document points to."""
        key = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.id, "e": "AQAB"}
        return {"keys": [key | {"n": encode(self._modulus)}]}


def encode(data: bytes) -> str:
    """Base64url without padding (RFC 7515 section 2)."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """The bytes behind it; ValueError when it is none."""
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
