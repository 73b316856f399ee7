"""TLS contexts, and TLS trouble in words.

The only importer of ssl: others annotate with `ServerContext` and `ClientContext`
and ask here what a connection speaks or why a handshake failed. TLS 1.2 is the
least (RFC 8996), but for a listener that old machines need. Names and certificates are
verified unless a caller asks not to.
"""

import re
import ssl
import warnings
from enum import Enum
from hashlib import sha256
from typing import NamedTuple, Protocol, cast

from relay.errors import ConfigurationError

ServerContext = ssl.SSLContext
"""What a listener needs."""
ClientContext = ssl.SSLContext
"""What a connection to a next hop needs."""
TlsError = ssl.SSLError
"""What a failed handshake raises."""


class TlsVersion(Enum):
    """The least that a listener takes."""

    TLS_1_0 = "1.0"
    TLS_1_1 = "1.1"
    TLS_1_2 = "1.2"
    TLS_1_3 = "1.3"

    @property
    def is_weak(self) -> bool:
        """RFC 8996: "TLS 1.0 MUST NOT be used", and 1.1 alike."""
        return self in (TlsVersion.TLS_1_0, TlsVersion.TLS_1_1)


CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES:!aNULL:!SHA1:!AESCCM:@SECLEVEL=2"
"""Of TLS 1.2, in our order (those of 1.3 are all good): forward secrecy always (RFC 9325 section 4.1), AEAD first.
CBC with SHA-2 comes last, for Windows Server 2012 R2 and Java 7, which have no ECDHE with GCM for RSA keys."""
WEAK_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES:kRSA+AES:!aNULL:!eNULL:!kPSK:!AESCCM:@SECLEVEL=0"
"""What machines that stopped at TLS 1.0 have too: CBC with SHA-1, key exchange by RSA. OpenSSL 3 has MD5 with SHA-1, the
signature of TLS 1.0, at level 0 only (SSL_CTX_set_security_level(3)). No RC4, DES or 3DES."""


class HasExtraInfo(Protocol):
    """An asyncio transport, as far as TLS is concerned."""

    def get_extra_info(self, name: str, default: object = None) -> object:
        """As asyncio.BaseTransport.get_extra_info."""
        ...


def server_context(
    certificate: str,
    key: str | None = None,
    *,
    client_ca_file: str | None = None,
    client_crl_file: str | None = None,
    minimum: TlsVersion = TlsVersion.TLS_1_2,
    tickets: bool = True,
) -> ServerContext:
    """A context for a listener; `key` None: the key stands in the certificate's file.

    `minimum` below 1.2 lowers the demands on ciphers and keys too. `tickets` False: no session is resumed by one.

    With `client_ca_file` clients are asked for a certificate and may have none; one that
    this authority did not sign, or that stands in `client_crl_file`, ends the handshake. So
    does any when that list is out of date.
    ConfigurationError, naming the file and what to do, when they cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _harden(context)
    context.set_ciphers(WEAK_CIPHERS if minimum.is_weak else CIPHERS)
    with warnings.catch_warnings():
        # That these versions are of another time is what their name here says.
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = _VERSIONS[minimum]
    # A client that resumes saves a signature; more than one ticket would cost another write a session.
    context.num_tickets = 1
    if not tickets:
        _refuse_tickets(context)
    _load_chain(context, certificate, key)
    if client_ca_file is not None:
        _load_authorities(context, client_ca_file)
        context.verify_mode = ssl.CERT_OPTIONAL
        # A session that is resumed shows no certificate again: a ticket would outlive what revokes it.
        _refuse_tickets(context)
    if client_crl_file is not None:
        _load_authorities(context, client_crl_file)
        context.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF
    return context


def client_context(
    *,
    verify: bool = True,
    ca_file: str | None = None,
    certificate: str | None = None,
    key: str | None = None,
) -> ClientContext:
    """A context for a route; ConfigurationError when its files cannot be used.

    `verify` False takes any certificate and name: opportunistic TLS (RFC 7435), where
    encryption to an unknown peer is better than none. `ca_file` replaces the system's.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _harden(context)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif ca_file is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        _load_authorities(context, ca_file)
    if certificate is not None:
        _load_chain(context, certificate, key)
    return context


def describe(transport: HasExtraInfo) -> str:
    """`TLSv1.3 TLS_AES_256_GCM_SHA384` for a connection with TLS, "" for one without."""
    tls = transport.get_extra_info("ssl_object")
    if not isinstance(tls, ssl.SSLObject | ssl.SSLSocket):
        return ""
    cipher = tls.cipher()
    return f"{tls.version()} {cipher[0]}" if cipher else str(tls.version())


class PeerCertificate(NamedTuple):
    """What a peer has shown, and we have verified."""

    names: tuple[str, ...]
    """DNS names and e-mail addresses of subjectAltName; nothing that stands in the subject."""
    fingerprint: str
    """SHA-256 of the certificate, 64 hexadecimal digits."""


def peer_certificate(transport: HasExtraInfo) -> PeerCertificate | None:
    """The peer's certificate, None when it has shown none."""
    tls = transport.get_extra_info("ssl_object")
    if not isinstance(tls, ssl.SSLObject | ssl.SSLSocket):
        return None
    certificate, encoded = tls.getpeercert(), tls.getpeercert(binary_form=True)
    if not certificate or not encoded:
        return None
    others = cast("tuple[tuple[str, str], ...]", certificate.get("subjectAltName", ()))
    names = tuple(value for kind, value in others if kind in ("DNS", "email"))
    return PeerCertificate(names, sha256(encoded).hexdigest())


def fingerprint(pem: str) -> str:
    """SHA-256 of the first certificate in a PEM text, 64 hexadecimal digits; ConfigurationError when there is none."""
    found = _CERTIFICATE.search(pem)
    if found is None:
        raise ConfigurationError("there is no PEM certificate")
    return sha256(ssl.PEM_cert_to_DER_cert(found[0])).hexdigest()


def certificate_names(transport: HasExtraInfo) -> tuple[str, ...]:
    """The host names in the certificate that the peer has shown and we have verified; CN first, then SAN."""
    tls = transport.get_extra_info("ssl_object")
    certificate = tls.getpeercert() if isinstance(tls, ssl.SSLObject | ssl.SSLSocket) else None
    if not certificate:
        return ()
    # The ssl module's documentation gives these shapes; its stubs give unions of everything.
    subject = cast("tuple[tuple[tuple[str, str], ...], ...]", certificate.get("subject", ()))
    others = cast("tuple[tuple[str, str], ...]", certificate.get("subjectAltName", ()))
    names = [value for part in subject for key, value in part if key == "commonName"]
    return (*names, *(value for kind, value in others if kind == "DNS"))


def is_verification_failure(error: BaseException) -> bool:
    """Did we refuse the peer's certificate? Then waiting mends nothing; somebody must."""
    return isinstance(error, ssl.SSLCertVerificationError)


def explain(error: BaseException, host: str = "the peer") -> str:
    """One plain sentence on a failed handshake, for an administrator."""
    match error:
        case ssl.SSLCertVerificationError():
            known = _VERIFICATION.get(error.verify_code)
            detail = known.format(host=host) if known else error.verify_message
            return f"the certificate of {host} was refused: {detail}"
        case ssl.SSLError():
            # uvloop and asyncio raise some without OpenSSL's reason.
            reason = getattr(error, "reason", None) or ""
            known = _HANDSHAKE.get(reason)
            return known.format(host=host) if known else f"TLS with {host} failed ({reason or error})"
        case ConnectionError() | EOFError():
            return f"{host} closed the connection during the TLS handshake"
        case TimeoutError():
            return f"{host} did not finish the TLS handshake in time"
        case _:
            return f"TLS with {host} failed: {error or type(error).__name__}"


# Codes of X509_verify_cert_error_string(3); Python gives the code and OpenSSL's terse text.
_VERIFICATION = {
    2: "the certificate of its issuer is missing; its server must send the whole chain",
    7: "its signature is not that of the issuer known here; compare the route's ca_file",
    9: "it is not valid yet; compare the clocks",
    10: "it has expired; its owner must renew it",
    18: "it is self-signed; name it in the route's ca_file if it is to be trusted",
    19: "its chain ends in a self-signed certificate that is not trusted here; name that one in the route's ca_file",
    20: "its issuer is not trusted here; name the issuer's certificate in the route's ca_file",
    21: "its issuer cannot be found; its server must send the whole chain",
    23: "it was revoked",
    62: "it is not made out for the name {host}; write the name it is made out for as the route's host",
    64: "it is not made out for the address {host}; write the name it is made out for as the route's host",
}

_HANDSHAKE = {
    "WRONG_VERSION_NUMBER": "{host} does not speak TLS here; compare the port and the tls setting",
    "UNSUPPORTED_PROTOCOL": "{host} speaks no TLS version that is still safe (1.2 or 1.3)",
    "TLSV1_ALERT_PROTOCOL_VERSION": "{host} speaks no TLS version that we speak (1.2 or 1.3)",
    "NO_SHARED_CIPHER": "{host} and we have no cipher in common",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "{host} refused the TLS handshake: no cipher in common, or it wants a client certificate",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "{host} wants a client certificate; set client_certificate and client_key",
    "TLSV1_ALERT_UNKNOWN_CA": "{host} does not trust the issuer of our certificate",
    "SSLV3_ALERT_BAD_CERTIFICATE": "{host} refused our certificate",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "{host} says that our certificate has expired",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "{host} refused our certificate",
    "UNEXPECTED_EOF_WHILE_READING": "{host} closed the connection during the TLS handshake",
    "HTTP_REQUEST": "{host} sent an HTTP request instead of a TLS handshake",
}


_VERSIONS = {
    TlsVersion.TLS_1_0: ssl.TLSVersion.TLSv1,
    TlsVersion.TLS_1_1: ssl.TLSVersion.TLSv1_1,
    TlsVersion.TLS_1_2: ssl.TLSVersion.TLSv1_2,
    TlsVersion.TLS_1_3: ssl.TLSVersion.TLSv1_3,
}
_CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def _harden(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Renegotiation is of no use to SMTP and has been a way to exhaust servers (CVE-2009-3555 and after).
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION


def _refuse_tickets(context: ssl.SSLContext) -> None:
    """Of TLS 1.3 by their number, of 1.2 (RFC 5077) by the option."""
    context.num_tickets = 0
    context.options |= ssl.OP_NO_TICKET


def _load_chain(context: ssl.SSLContext, certificate: str, key: str | None) -> None:
    def refuse_password() -> str:
        raise ConfigurationError(f"the key {key or certificate} is encrypted; give one without a passphrase")

    try:
        # Without a password callback OpenSSL would ask on the terminal and wait for ever.
        context.load_cert_chain(certificate, key, refuse_password)
    except ssl.SSLError as error:
        raise ConfigurationError(_chain_trouble(error.reason or "", certificate, key)) from None
    except OSError as error:
        which = f"{certificate} or {key}" if key else certificate
        raise ConfigurationError(f"cannot read {which}: {error.strerror}") from None


def _chain_trouble(reason: str, certificate: str, key: str | None) -> str:
    if "MISMATCH" in reason:
        return f"the key {key or certificate} does not belong to the certificate {certificate}"
    if reason in ("EE_KEY_TOO_SMALL", "CA_MD_TOO_WEAK", "CA_KEY_TOO_SMALL"):
        return f"the certificate {certificate} is too weak for today's rules ({reason}); have a new one made"
    which = f"{certificate} or {key}" if key else certificate
    return f"{which} holds no usable PEM certificate and key ({reason or 'no PEM'})"


def _load_authorities(context: ssl.SSLContext, ca_file: str) -> None:
    try:
        context.load_verify_locations(cafile=ca_file)
    except ssl.SSLError as error:
        raise ConfigurationError(f"{ca_file} holds no usable PEM certificate ({error.reason})") from None
    except OSError as error:
        raise ConfigurationError(f"cannot read {ca_file}: {error.strerror}") from None
