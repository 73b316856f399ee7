"""Is a listener's certificate fit for use, and for how long?"""

import datetime
from pathlib import Path

from relay import tls
from relay.errors import ConfigurationError

SOON = datetime.timedelta(days=14)
"""Renewal robots renew with 30 days left; at 14 one of them has failed."""


def examine(certificate: Path, key: Path | None, now: float) -> str | None:
    """None, or a warning; ConfigurationError when clients could not use it."""
    tls.server_context(str(certificate), None if key is None else str(key))
    # A light command should not load a library it may not need (30 ms).
    from cryptography import x509

    leaf = x509.load_pem_x509_certificate(certificate.read_bytes())
    moment = datetime.datetime.fromtimestamp(now, datetime.UTC)
    end = leaf.not_valid_after_utc
    if end < moment:
        raise ConfigurationError(f"the certificate {certificate} expired on {end:%Y-%m-%d}; renew it")
    if leaf.not_valid_before_utc > moment:
        start = leaf.not_valid_before_utc
        raise ConfigurationError(
            f"the certificate {certificate} is valid only from {start:%Y-%m-%d %H:%M} UTC; compare the clock"
        )
    if end - moment < SOON:
        return f"the certificate {certificate} expires on {end:%Y-%m-%d}; renew it"
    return None
