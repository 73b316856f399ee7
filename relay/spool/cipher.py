"""Records of mail, encrypted at rest: AES-256-GCM (NIST SP 800-38D), each mail under a key of its own.

A box is the mark of the key, a nonce, and what AES-GCM makes of the payload; the record's
key in the spool is authenticated with it, so that no box opens under another mail's key.
Mails have keys of their own (HMAC-SHA256 of the id) because a random nonce of 96 bits is
good for 2**32 messages under one key (section 8.3): a busy relay writes those in a year, a
mail never.

The first key seals, the others open what was sealed before they were replaced.
"""

import hmac
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from relay.errors import ConfigurationError, RecordDamaged

if TYPE_CHECKING:
    # Loaded where a key is: a relay that has none saves the time to load it (30 ms).
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
MARK_BYTES = 4
NONCE_BYTES = 12
TAG_BYTES = 16
OVERHEAD_BYTES = MARK_BYTES + NONCE_BYTES + TAG_BYTES
ID_BYTES = 8
"""What every key of a mail's records begins with."""
MAILS_REMEMBERED = 256
"""Ciphers made; making one costs 4 µs, and a mail has three records and more."""


@dataclass(frozen=True, slots=True)
class SpoolKey:
    """Never shows in a repr."""

    secret: bytes

    def __repr__(self) -> str:
        return f"SpoolKey({self.mark.hex()})"

    @property
    def mark(self) -> bytes:
        """Names the key in each record; tells nothing of it."""
        return hmac.digest(self.secret, b"m365-relay spool key", "sha256")[:MARK_BYTES]


class Cipher:
    """Any thread may use it."""

    def __init__(self, keys: Sequence[SpoolKey], chance: Callable[[int], bytes] = os.urandom) -> None:
        """At least one key."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._secrets = {key.mark: key.secret for key in keys}
        self._mark = keys[0].mark
        self._chance = chance
        self._invalid = InvalidTag
        self.opened: Counter[str] = Counter()
        """Records by the mark of their key; `plain` for those that were never encrypted."""

        def of_mail(mark: bytes, id: bytes) -> "AESGCM":
            return AESGCM(hmac.digest(self._secrets[mark], id, "sha256"))

        self._of_mail = lru_cache(MAILS_REMEMBERED)(of_mail)

    def encrypt(self, key: bytes, payload: bytes | bytearray) -> bytes:
        """The box of what lies under `key`."""
        nonce = self._chance(NONCE_BYTES)
        sealed = self._of_mail(self._mark, key[:ID_BYTES]).encrypt(nonce, payload, key)
        return b"".join((self._mark, nonce, sealed))

    def decrypt(self, key: bytes, box: bytes | memoryview) -> bytes:
        """What is in it; RecordDamaged, and ConfigurationError for a key that is not there."""
        mark = bytes(box[:MARK_BYTES])
        if mark not in self._secrets:
            raise missing(mark)
        nonce, sealed = bytes(box[MARK_BYTES : MARK_BYTES + NONCE_BYTES]), box[MARK_BYTES + NONCE_BYTES :]
        try:
            payload = self._of_mail(mark, key[:ID_BYTES]).decrypt(nonce, sealed, key)
        except (self._invalid, ValueError):
            raise RecordDamaged(
                "its check sum fits and its seal does not: it was changed on purpose"
            ) from None
        self.opened[mark.hex()] += 1
        return payload


def missing(mark: bytes) -> ConfigurationError:
    """No damage: moving the mail aside would lose what the key brings back."""
    return ConfigurationError(
        f"the spool holds mail that is encrypted with the key {mark.hex()}, which spool.key_file lacks; "
        "put it back behind the first one"
    )
