"""Is a listener's certificate fit for use, and until when?"""

import datetime
from pathlib import Path

from relay import tls
from relay.errors import ConfigurationError
from relay.identity.expiry import Credential, of_certificate


def examine(name: str, certificate: Path, key: Path | None, now: float) -> Credential:
    """What it is called and when it ends; ConfigurationError when clients could not use it."""
    tls.server_context(str(certificate), None if key is None else str(key))
    # A light command should not load a library it may not need (30 ms).
    from cryptography import x509

    leaf = x509.load_pem_x509_certificate(certificate.read_bytes())
    begin, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    moment = datetime.datetime.fromtimestamp(now, datetime.UTC)
    if end < moment:
        raise ConfigurationError(f"the certificate {certificate} expired on {end:%Y-%m-%d}; renew it")
    if begin > moment:
        raise ConfigurationError(
            f"the certificate {certificate} is valid only from {begin:%Y-%m-%d %H:%M} UTC; compare the clock"
        )
    return of_certificate(name, begin.timestamp(), end.timestamp())
