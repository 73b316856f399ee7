"""Is a listener's certificate fit for use, and until when?"""

from pathlib import Path

from msgspec.structs import replace

from relay import tls
from relay.errors import ConfigurationError
from relay.identity.certificate import good_now, read_file
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
    found = good_now(certificate, now)
    credential = of_certificate(name, found.begins_at, found.expires_at)
    return replace(credential, remedy="put a new one into its file", file=str(certificate))


def examine_authorities(where: str, authorities: Path, revoked: Path | None) -> list[Credential]:
    """When they end; ConfigurationError when no client's certificate could be verified with them.

    `where` says whose they are: `the listener 0.0.0.0:465`.
    """
    # A light command should not load a library it may not need (30 ms).
    from cryptography import x509

    try:
        certificates = x509.load_pem_x509_certificates(read_file(authorities))
    except ValueError:
        raise ConfigurationError(f"{authorities} holds no usable PEM certificate") from None
    first = min(certificates, key=lambda each: each.not_valid_after_utc)
    begin, end = first.not_valid_before_utc.timestamp(), first.not_valid_after_utc.timestamp()
    ends = [of_certificate(f"authority of the clients of {where}", begin, end)]
    if revoked is None:
        return ends
    try:
        listed = x509.load_pem_x509_crl(read_file(revoked))
    except ValueError:
        raise ConfigurationError(f"{revoked} holds no usable PEM revocation list") from None
    if (until := listed.next_update_utc) is not None:
        remedy = "after that every client's certificate is refused; put a new one into its file"
        # Such lists live for days: a day before its end the robot that renews it has failed.
        name = f"revocation list of {where}"
        ends.append(Credential(name, until.timestamp(), remedy, first_days=1, file=str(revoked)))
    return ends
