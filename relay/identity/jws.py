"""Signatures of tokens: the one door to PyJWT (RFC 7515, RFC 7517).

Only RS256, whatever a token says of itself: no `none`, no HMAC with a public key for its
secret. Which key is asked for is the caller's to say; `jku`, `x5u`, `jwk` and `x5c` in a
token's header are never looked at. What stands in the payload is not judged here.
"""

from collections.abc import Mapping

from jwt import PyJWK, PyJWS, PyJWTError

ALGORITHM = "RS256"
"""What Entra signs with, and nothing else."""
MODULUS_BITS = (2_048, 8_192)
"""Entra's keys have 2,048 bits. A larger one costs more at each login: with 8,192 bits some 0.3 ms."""

_jws = PyJWS(algorithms=[ALGORITHM])


class PublicKey:
    """One key of a set."""

    def __init__(self, key: PyJWK, bits: int) -> None:
        self._key = key
        self.bits = bits

    def payload(self, token: bytes) -> bytes | None:
        """What was signed, when it was with this key; None: it was not, or it is no token."""
        try:
            found = _jws.decode_complete(token, self._key.key, algorithms=[ALGORITHM])
        except (PyJWTError, ValueError, TypeError):
            return None
        payload: bytes = found["payload"]
        return payload


def public_key(jwk: Mapping[str, object]) -> PublicKey | None:
    """The key behind a JSON Web Key; None: it is none for signatures that are taken here."""
    if jwk.get("kty") != "RSA" or jwk.get("use", "sig") != "sig" or jwk.get("alg", ALGORITHM) != ALGORITHM:
        return None
    try:
        # Only what a public key is made of: a set that told private parts would make a private key of it.
        key = PyJWK({name: jwk[name] for name in ("kty", "n", "e")}, ALGORITHM)
    except (PyJWTError, KeyError, ValueError, TypeError):
        return None
    bits = int(getattr(key.key, "key_size", 0))
    least, most = MODULUS_BITS
    return PublicKey(key, bits) if least <= bits <= most else None
