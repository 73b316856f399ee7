"""New key files: readable by their owner alone, never over another file."""

import contextlib
import os
from enum import Enum
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from relay.errors import ConfigurationError
from relay.identity.dkim_key import SigningKey, load_key


class KeyKind(Enum):
    """What can be made. RSA with 2048 bits is what every verifier takes and one TXT record holds."""

    RSA2048 = "rsa2048"
    RSA3072 = "rsa3072"
    RSA4096 = "rsa4096"
    ED25519 = "ed25519"


def create_key(path: Path, kind: KeyKind) -> SigningKey:
    """Make a key and its file (mode 0600); ConfigurationError when the file exists or cannot be written."""
    pem = _generate(kind)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise ConfigurationError(
            f"{path} exists and is left as it is: a key that signs cannot be had again; name another file"
        ) from None
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {error.strerror}") from None
    try:
        with open(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(descriptor)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(path)
        raise ConfigurationError(f"cannot write {path}: {error.strerror}") from None
    return load_key(path)


def _generate(kind: KeyKind) -> bytes:
    key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
    if kind is KeyKind.ED25519:
        key = ed25519.Ed25519PrivateKey.generate()
    else:
        key = rsa.generate_private_key(public_exponent=65537, key_size=int(kind.value.removeprefix("rsa")))
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
