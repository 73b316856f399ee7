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


def examine_authorities(authorities: Path, revoked: Path | None, now: float) -> str | None:
    """None, or a warning; ConfigurationError when no client's certificate could be verified with these."""
    # A light command should not load a library it may not need (30 ms).
    from cryptography import x509

    try:
        if not x509.load_pem_x509_certificates(authorities.read_bytes()):
            raise ValueError
    except OSError as error:
        raise ConfigurationError(f"cannot read {authorities}: {error.strerror}") from None
    except ValueError:
        raise ConfigurationError(f"{authorities} holds no usable PEM certificate") from None
    if revoked is None:
        return None
    try:
        listed = x509.load_pem_x509_crl(revoked.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"cannot read {revoked}: {error.strerror}") from None
    except ValueError:
        raise ConfigurationError(f"{revoked} holds no usable PEM revocation list") from None
    end = listed.next_update_utc
    if end is not None and end < datetime.datetime.fromtimestamp(now, datetime.UTC):
        return f"the revocation list {revoked} ended on {end:%Y-%m-%d}: every client certificate is refused until it is renewed"
    return None
