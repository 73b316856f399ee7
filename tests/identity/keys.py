"""Keys for tests, and the openssl command as somebody else who makes and judges keys."""

import functools
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from relay.identity.dkim_key import SigningKey

OPENSSL = shutil.which("openssl")
needs_openssl = pytest.mark.skipif(OPENSSL is None, reason="the openssl command is not installed")


def openssl(*arguments: str | Path, stdin: bytes = b"") -> bytes:
    """What the command prints; CalledProcessError when it fails."""
    command = [OPENSSL or "openssl", *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, check=True, timeout=30).stdout


def rsa_pem(bits: int = 2048, number: int = 0) -> bytes:
    """A PKCS#8 key; the same for the same arguments, as making one takes a tenth of a second."""
    return _rsa_pem(bits, number)


@functools.cache
def _rsa_pem(bits: int, number: int) -> bytes:
    return _pem(rsa.generate_private_key(public_exponent=65537, key_size=bits))


def ed25519_pem(number: int = 0) -> bytes:
    """A PKCS#8 key made from a number."""
    return _pem(ed25519.Ed25519PrivateKey.from_private_bytes(number.to_bytes(32, "big")))


def rsa_key(number: int = 0) -> SigningKey:
    """A key as the relay holds it."""
    return SigningKey(rsa_pem(number=number), f"rsa{number}.pem")


def ed25519_key(number: int = 0) -> SigningKey:
    """A key as the relay holds it."""
    return SigningKey(ed25519_pem(number), f"ed{number}.pem")


def write_key(path: Path, pem: bytes, mode: int = 0o600) -> Path:
    """A key file with exactly this mode, whatever the umask."""
    path.write_bytes(pem)
    path.chmod(mode)
    return path


def _pem(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
