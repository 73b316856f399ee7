"""From when until when a certificate in a file is good, and when a revocation list ends."""

import datetime
from dataclasses import dataclass
from pathlib import Path

from relay.errors import ConfigurationError

CRL_MARK = b"-----BEGIN X509 CRL-----"


@dataclass(frozen=True, slots=True)
class Validity:
    """Seconds since the epoch."""

    begins_at: float
    expires_at: float


def validity(path: Path) -> Validity:
    """Of the first certificate in a PEM file; ConfigurationError names the file."""
    # A relay or a command that needs none saves the time to load it (30 ms).
    from cryptography import x509

    try:
        leaf = x509.load_pem_x509_certificate(read_file(path))
    except ValueError:
        raise ConfigurationError(f"{path} holds no usable PEM certificate") from None
    return Validity(leaf.not_valid_before_utc.timestamp(), leaf.not_valid_after_utc.timestamp())


def good_now(path: Path, now: float) -> Validity:
    """The same; ConfigurationError when no client would take it now."""
    found = validity(path)
    begin = datetime.datetime.fromtimestamp(found.begins_at, datetime.UTC)
    end = datetime.datetime.fromtimestamp(found.expires_at, datetime.UTC)
    if found.expires_at < now:
        raise ConfigurationError(f"the certificate {path} expired on {end:%Y-%m-%d}; renew it")
    if found.begins_at > now:
        raise ConfigurationError(
            f"the certificate {path} is valid only from {begin:%Y-%m-%d %H:%M} UTC; compare the clock"
        )
    return found


def ends_at(path: Path) -> float | None:
    """When a certificate or a revocation list in a file ends; None: it never does. ConfigurationError."""
    data = read_file(path)
    if CRL_MARK not in data:
        return validity(path).expires_at
    from cryptography import x509

    try:
        end = x509.load_pem_x509_crl(data).next_update_utc
    except ValueError:
        raise ConfigurationError(f"{path} holds no usable PEM revocation list") from None
    return None if end is None else end.timestamp()


def read_file(path: Path) -> bytes:
    """Its bytes; ConfigurationError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}") from None
