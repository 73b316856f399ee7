"""Is a listener's certificate fit for use, and until when?"""

import datetime
from pathlib import Path

from relay import tls
from relay.errors import ConfigurationError
from relay.identity.expiry import Credential, of_certificate


def examine(
    name: str,
    certificate: Path,
    key: Path | None,
    now: float,
    minimum: tls.TlsVersion = tls.TlsVersion.TLS_1_2,
) -> Credential:
    """What it is called and when it ends; ConfigurationError when clients could not use it."""
    tls.server_context(str(certificate), None if key is None else str(key), minimum=minimum)
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


def examine_authorities(where: str, authorities: Path, revoked: Path | None) -> list[Credential]:
    """When they end; ConfigurationError when no client's certificate could be verified with them.

    `where` says whose they are: `the listener 0.0.0.0:465`.
    """
    # A light command should not load a library it may not need (30 ms).
    from cryptography import x509

    try:
        certificates = x509.load_pem_x509_certificates(_read(authorities))
    except ValueError:
        raise ConfigurationError(f"{authorities} holds no usable PEM certificate") from None
    first = min(certificates, key=lambda each: each.not_valid_after_utc)
    begin, end = first.not_valid_before_utc.timestamp(), first.not_valid_after_utc.timestamp()
    ends = [of_certificate(f"authority of the clients of {where}", begin, end)]
    if revoked is None:
        return ends
    try:
        listed = x509.load_pem_x509_crl(_read(revoked))
    except ValueError:
        raise ConfigurationError(f"{revoked} holds no usable PEM revocation list") from None
    if (until := listed.next_update_utc) is not None:
        remedy = "after that every client's certificate is refused; put a new one into its file, then reload"
        # Such lists live for days: a day before its end the robot that renews it has failed.
        ends.append(Credential(f"revocation list of {where}", until.timestamp(), remedy, first_days=1))
    return ends


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}") from None
