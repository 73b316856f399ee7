"""Passwords of clients: made here, kept as argon2id hashes (RFC 9106), checked against them.

The only importer of argon2. A check takes some 20 ms, without the interpreter's lock:
it belongs into a thread.
"""

import base64
from collections.abc import Callable

from argon2 import PasswordHasher, Type, extract_parameters
from argon2.exceptions import Argon2Error, InvalidHashError

Entropy = Callable[[int], bytes]
"""`secrets.token_bytes`."""

NEW_BYTES = 20
"""160 random bits: no dictionary holds them. 32 letters and digits, which a printer's panel takes."""
SALT_BYTES = 16
TIME_COST, MEMORY_KIB, PARALLELISM = 2, 19_456, 1
"""OWASP's least (Password Storage Cheat Sheet): 20 ms. RFC 9106's larger choices are for passwords that people think up."""
TIME_COST_MAX, MEMORY_KIB_MAX, PARALLELISM_MAX = 10, 262_144, 16
"""Of hashes from elsewhere: with more, one login takes seconds and a quarter of a gigabyte."""
HASH_MAX_CHARS = 256

_hasher = PasswordHasher(TIME_COST, MEMORY_KIB, PARALLELISM)


def new_password(entropy: Entropy) -> str:
    """Random, in lower-case letters and digits."""
    return base64.b32encode(entropy(NEW_BYTES)).decode().lower()


def hash_password(password: str, entropy: Entropy) -> str:
    """A PHC string, `$argon2id$v=19$m=…,t=…,p=…$salt$hash`."""
    return _hasher.hash(password, salt=entropy(SALT_BYTES))


def check_hash(text: str) -> str:
    """The text, when it is an argon2id hash of reasonable cost; ValueError says what is wrong."""
    try:
        parameters = extract_parameters(text)
    except InvalidHashError:
        parameters = None
    if parameters is None or parameters.type is not Type.ID or len(text) > HASH_MAX_CHARS:
        raise ValueError('is no argon2id hash; one looks like "$argon2id$v=19$m=19456,t=2,p=1$salt$hash"')
    if (
        parameters.time_cost > TIME_COST_MAX
        or parameters.memory_cost > MEMORY_KIB_MAX
        or parameters.parallelism > PARALLELISM_MAX
    ):
        raise ValueError(
            f"costs too much for each login; at most m={MEMORY_KIB_MAX}, t={TIME_COST_MAX}, p={PARALLELISM_MAX}"
        )
    return text


def matches(text: str, password: bytes) -> bool:
    """Is the hash this password's?"""
    try:
        return _hasher.verify(text, password)
    except (Argon2Error, InvalidHashError):
        return False


def decoy(text: str, entropy: Entropy) -> str:
    """A hash that costs as much as this one to check and that no password fits."""
    head, salt, digest = text.rsplit("$", 2)
    return f"{head}${_random_like(salt, entropy)}${_random_like(digest, entropy)}"


def _random_like(text: str, entropy: Entropy) -> str:
    """Base64 without padding, as long as `text`."""
    size = len(text) * 3 // 4
    return base64.b64encode(entropy(size)).decode().rstrip("=")
