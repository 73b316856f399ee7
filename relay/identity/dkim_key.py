"""A private key that signs mail (RFC 6376 section 3.3, RFC 8463 section 3).

PEM, PKCS#8 or PKCS#1, without a passphrase: a relay must start without a person. The
file is looked at once; afterwards the key lives in memory. `sign` may be called
from any thread and lets others run while it computes.
"""

import base64
import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from relay.errors import ConfigurationError
from relay.message.dkim.record import KeyRecord
from relay.message.dkim.signature import Algorithm

if TYPE_CHECKING:
    # Loaded where a key is: a relay or a command that has none saves the time to load it (30 ms).
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

RSA_BITS_MIN = 1024
"""RFC 8301 section 3.2: "Signers MUST use RSA keys of at least 1024 bits for all keys." """
RSA_BITS_GOOD = 2048
"""RFC 8301 section 3.2: "Signers SHOULD use RSA keys of at least 2048 bits." """
RSA_BITS_MAX = 4096
"""RFC 8301 section 3.2: verifiers must take up to 4096 bits; what they do with more is theirs."""
FILE_MAX_BYTES = 65_536
"""A key of 16,384 bits takes 13 KiB; more is a file named by mistake."""


class SigningKey:
    """One private key and what is public of it."""

    def __init__(self, pem: bytes, source: str, warnings: tuple[str, ...] = ()) -> None:
        """Read `pem`, which came from the file `source`; ConfigurationError says why it is of no use."""
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        key = _parse(pem, source)
        self.pem = pem
        """The private key, for a process that hands it to another."""
        self.source = source
        """The file it came from."""
        self.algorithm: Algorithm
        self.bits: int
        self._sign: Callable[[bytes], bytes]
        if isinstance(key, RSAPrivateKey):
            self.algorithm, self.bits, self._sign = Algorithm.RSA_SHA256, key.key_size, _rsa_signer(key)
            # RFC 6376 section 3.6.1 says RSAPublicKey; its appendix C makes a SubjectPublicKeyInfo, and so
            # does everybody.
            form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        else:
            self.algorithm, self.bits, self._sign = Algorithm.ED25519_SHA256, 256, _ed25519_signer(key)
            # RFC 8463 section 4.2: the 32 bytes alone, without ASN.1.
            form = Encoding.Raw, PublicFormat.Raw
        self.public_key: bytes = key.public_key().public_bytes(*form)
        """What p= of the published record holds, before base64."""
        self.warnings = warnings + _size_warnings(self.bits, self.algorithm, source)
        """Sentences for the administrator; the key is used all the same."""

    def sign(self, data: bytes) -> bytes:
        """The signature over the canonical header `data`, before base64."""
        return self.sign_digest(hashlib.sha256(data).digest())

    def sign_digest(self, digest: bytes) -> bytes:
        """`sign` for whoever has the SHA-256 of the data already: both algorithms sign no more than that."""
        return self._sign(digest)

    @property
    def key_type(self) -> str:
        """k= of the record."""
        return "rsa" if self.algorithm is Algorithm.RSA_SHA256 else "ed25519"

    def record(self) -> KeyRecord:
        """What to publish."""
        return KeyRecord(public_key=self.public_key, key_type=self.key_type)

    def public_record_value(self) -> str:
        """The TXT record's value on one line: `v=DKIM1; k=rsa; p=…`."""
        return self.record().text()

    @property
    def fingerprint(self) -> str:
        """Names the key in a table or a log line; says nothing of its private part."""
        return base64.b32encode(hashlib.sha256(self.public_key).digest())[:12].decode().lower()

    def __repr__(self) -> str:
        return f"SigningKey({self.key_type}, {self.bits} bits, {self.source})"


def load_key(path: Path) -> SigningKey:
    """Read a key file; ConfigurationError names the file and what to do."""
    pem, mode = _read(path)
    return SigningKey(pem, str(path), _permission_warnings(path, mode))


def _read(path: Path) -> tuple[bytes, int]:
    try:
        # Not blocking, so that a FIFO named by mistake is told of rather than waited for.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise ConfigurationError(f"{path} is no regular file; name the PEM file with the private key")
            pem = file.read(FILE_MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigurationError(
            f"the key file {path} does not exist; make one with: m365-relay dkim new"
        ) from None
    except PermissionError:
        raise ConfigurationError(
            f"may not read the key file {path}; give it to the user the relay runs as: chown"
        ) from None
    except OSError as error:
        raise ConfigurationError(f"cannot read the key file {path}: {error.strerror}") from None
    if len(pem) > FILE_MAX_BYTES:
        raise ConfigurationError(f"{path} holds more than {FILE_MAX_BYTES} bytes; that is no private key")
    return pem, mode


def _permission_warnings(path: Path, mode: int) -> tuple[str, ...]:
    if mode & stat.S_IWOTH:
        raise ConfigurationError(
            f"every user of this machine can replace the key {path}; run: chmod 600 {path}, "
            "and make a new key if somebody may have done so"
        )
    if mode & stat.S_IROTH:
        # A warning, not a refusal: secrets mounted into containers often have mode 0644.
        return (f"every user of this machine can read the key {path} and sign as you; run: chmod o= {path}",)
    return ()


def _parse(pem: bytes, path: str) -> "RSAPrivateKey | Ed25519PrivateKey":
    _check_kind(pem, path)
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        reason = str(error).splitlines()[0].rstrip(".") if str(error) else "damaged"
        raise ConfigurationError(
            f"cannot use the key {path}: {reason}; a copy may be cut short, or make one with: m365-relay dkim new"
        ) from None
    if not isinstance(key, RSAPrivateKey | Ed25519PrivateKey):
        raise ConfigurationError(f"{path} is neither an RSA nor an Ed25519 key; DKIM knows no other")
    if isinstance(key, RSAPrivateKey) and key.key_size < RSA_BITS_MIN:
        raise ConfigurationError(
            f"the key {path} has {key.key_size} bits; verifiers refuse less than {RSA_BITS_MIN} "
            "(RFC 8301); make one with: m365-relay dkim new"
        )
    return key


def _check_kind(pem: bytes, path: str) -> None:
    if b"-----BEGIN " not in pem:
        raise ConfigurationError(f'{path} is no PEM file: it has no line "-----BEGIN PRIVATE KEY-----"')
    if b"PRIVATE KEY-----" not in pem:
        raise ConfigurationError(f"{path} holds no private key, but a public one or a certificate")
    if b"ENCRYPTED" in pem:
        raise ConfigurationError(
            f"the key {path} is encrypted, and a relay starts without a person who knows the passphrase; "
            f"write it without: openssl pkey -in {path} -out NEWFILE"
        )
    if b"OPENSSH PRIVATE KEY" in pem:
        raise ConfigurationError(f"{path} is a key for SSH; make one for mail with: m365-relay dkim new")


def _size_warnings(bits: int, algorithm: Algorithm, path: str) -> tuple[str, ...]:
    if algorithm is Algorithm.ED25519_SHA256 or RSA_BITS_GOOD <= bits <= RSA_BITS_MAX:
        return ()
    if bits < RSA_BITS_GOOD:
        return (f"the key {path} has {bits} bits; {RSA_BITS_GOOD} are usual today (RFC 8301)",)
    return (f"the key {path} has {bits} bits; verifiers need not take more than {RSA_BITS_MAX} (RFC 8301)",)


def _rsa_signer(key: "RSAPrivateKey") -> Callable[[bytes], bytes]:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

    padding, sha256 = PKCS1v15(), Prehashed(hashes.SHA256())
    return lambda digest: key.sign(digest, padding, sha256)


def _ed25519_signer(key: "Ed25519PrivateKey") -> Callable[[bytes], bytes]:
    # RFC 8463 section 3: "The Ed25519-SHA256 signing algorithm computes a message hash [...] using SHA-256
    # [...]. It then signs the hash with the PureEdDSA variant".
    return key.sign
