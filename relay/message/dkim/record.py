"""A DKIM key in the DNS: `v=DKIM1; k=rsa; p=…` (RFC 6376 section 3.6, RFC 8463 section 4).

Written for zone files and for the web forms of DNS providers, and read as verifiers
read it. Nothing is looked up here and no key is computed with: `public_key` is the
bytes of p=.
"""

import base64
import binascii
from dataclasses import dataclass
from typing import Self

from relay.message.dkim import tags

STRING_MAX = 255
"""A character-string of a TXT record has one byte for its length (RFC 1035 section 3.3)."""
TTL_S = 3600
"""How long resolvers keep a record: long enough to be cheap, short enough to mend a slip within the hour."""


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What a published record says; defaults are those of RFC 6376 section 3.6.1."""

    public_key: bytes
    """RSA: DER; Ed25519: 32 bytes; empty: this key has been revoked."""
    key_type: str = "rsa"
    hashes: tuple[str, ...] = ()
    """Accepted hashes (h=); empty: all."""
    services: tuple[str, ...] = ("*",)
    flags: tuple[str, ...] = ()
    notes: str = ""

    @classmethod
    def parse(cls, text: bytes) -> Self:
        """Read a record whose strings have been put together; ValueError says what is wrong."""
        found = tags.parse(text)
        _check_version(found)
        if b"p" not in found:
            raise ValueError("the tag p= with the public key is missing")
        return cls(
            public_key=_key_bytes(found[b"p"]),
            key_type=found.get(b"k", b"rsa").decode("ascii", "backslashreplace").lower(),
            hashes=tags.colon_list(found.get(b"h", b"")),
            services=tags.colon_list(found.get(b"s", b"*")) or ("*",),
            flags=tags.colon_list(found.get(b"t", b"")),
            notes=found.get(b"n", b"").decode("utf-8", "backslashreplace"),
        )

    @property
    def is_revoked(self) -> bool:
        """ "An empty value means that this public key has been revoked." """
        return not self.public_key

    @property
    def is_testing(self) -> bool:
        """t=y: verifiers treat a mail whose signature fails as one without."""
        return "y" in self.flags

    @property
    def is_strict(self) -> bool:
        """t=s: the domain of i= must be d= itself, no subdomain."""
        return "s" in self.flags

    @property
    def takes_sha256(self) -> bool:
        """Whether h= lets our hash pass."""
        return not self.hashes or "sha256" in self.hashes

    @property
    def takes_email(self) -> bool:
        """Whether s= lets mail pass."""
        return "*" in self.services or "email" in self.services

    def text(self) -> str:
        """The plain value, as a web form wants it: no quotes, no splitting."""
        parts = ["v=DKIM1"]
        if self.hashes:
            parts.append(f"h={':'.join(self.hashes)}")
        parts.append(f"k={self.key_type}")
        if self.notes:
            parts.append(f"n={self.notes}")
        if self.services != ("*",):
            parts.append(f"s={':'.join(self.services)}")
        if self.flags:
            parts.append(f"t={':'.join(self.flags)}")
        parts.append(f"p={base64.b64encode(self.public_key).decode()}")
        return "; ".join(parts)


def record_name(domain: str, selector: str) -> str:
    """Where the record stands, without the final dot (RFC 6376 section 3.6.2.1)."""
    return f"{selector}._domainkey.{domain}"


def zone_text(name: str, value: str, ttl_s: int = TTL_S) -> str:
    """The record as lines for a zone file, split so that each string fits."""
    strings = [f'"{value[at : at + STRING_MAX]}"' for at in range(0, len(value), STRING_MAX)]
    if len(strings) == 1:
        return f"{name}. {ttl_s} IN TXT {strings[0]}"
    # One record of several strings: verifiers put them together without anything between them
    # (RFC 6376 section 3.6.2.2). Several records would be several keys.
    lines = "\n".join(f"    {string}" for string in strings)
    return f"{name}. {ttl_s} IN TXT (\n{lines}\n)"


def _check_version(found: dict[bytes, bytes]) -> None:
    version = found.get(b"v")
    if version is None:
        return
    if version != b"DKIM1":
        raise ValueError(f'v= must be DKIM1; found "{version.decode("ascii", "backslashreplace")[:30]}"')
    # "If specified, this tag MUST be the first tag in the record."
    if next(iter(found)) != b"v":
        raise ValueError("v=DKIM1 must be the first tag")


def _key_bytes(value: bytes) -> bytes:
    try:
        return base64.b64decode(tags.joined(value), validate=True)
    except binascii.Error:
        raise ValueError("p= is no base64; was all of the key copied, and nothing else?") from None
