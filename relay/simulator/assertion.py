"""Client assertions (RFC 7523): a token request signed with the application's certificate.

As Entra wants them: RS256 or PS256, the certificate named by its thumbprint in `x5t`
(SHA-1) or `x5t#S256`, issuer and subject the client id, audience the token endpoint.
"""

import hashlib
from base64 import urlsafe_b64decode
from collections.abc import Sequence
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from relay.errors import ConfigurationError
from relay.simulator.token import decode

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class _Head(msgspec.Struct, frozen=True):
    alg: str
    x5t: str = ""
    x5t_s256: str = msgspec.field(name="x5t#S256", default="")


class _Claims(msgspec.Struct, frozen=True):
    iss: str
    sub: str
    aud: str
    exp: float
    nbf: float = 0.0


class Certificate:
    """One that an application is registered with."""

    def __init__(self, certificate: x509.Certificate) -> None:
        key = certificate.public_key()
        if not isinstance(key, rsa.RSAPublicKey):
            raise ConfigurationError("an application's certificate must have an RSA key, as in Entra")
        der = certificate.public_bytes(serialization.Encoding.DER)
        self.key = key
        self.thumbprints = (hashlib.sha1(der).digest(), hashlib.sha256(der).digest())


def load(path: str) -> Certificate:
    """From a PEM file; ConfigurationError when there is none in it."""
    try:
        return Certificate(x509.load_pem_x509_certificate(Path(path).read_bytes()))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"the application's certificate {path} cannot be used: {error}") from None


def trouble(
    text: str, client_id: str, audiences: Sequence[str], known: Sequence[Certificate], now: float
) -> str:
    """What is wrong with an assertion, in Entra's words; empty when nothing is.

    `now` is the world's time, not the simulator's: whoever signed has only that.
    """
    signed, _, signature = text.rpartition(".")
    head_text, _, claims_text = signed.partition(".")
    try:
        head = msgspec.json.decode(decode(head_text), type=_Head)
        claims = msgspec.json.decode(decode(claims_text), type=_Claims)
        raw_signature = decode(signature)
        thumbprints = {urlsafe_b64decode(each + "==") for each in (head.x5t, head.x5t_s256) if each}
    except ValueError:
        return "AADSTS50027: JWT token is invalid or malformed."
    certificate = next((each for each in known if thumbprints & set(each.thumbprints)), None)
    if certificate is None:
        return (
            "AADSTS700027: The certificate with identifier used to sign the client assertion is not "
            "registered on application."
        )
    if not _is_signed(certificate.key, head.alg, signed.encode(), raw_signature):
        return "AADSTS700027: Client assertion failed signature validation."
    if claims.iss != client_id or claims.sub != client_id:
        return "AADSTS700021: Client assertion application identifier doesn't match 'client_id' parameter."
    if claims.aud not in audiences:
        return "AADSTS700023: Client assertion audience claim does not match Realm issuer."
    if not claims.nbf - 300 <= now < claims.exp:
        return "AADSTS700024: Client assertion is not within its valid time range."
    return ""


def _is_signed(key: rsa.RSAPublicKey, algorithm: str, text: bytes, signature: bytes) -> bool:
    hash = hashes.SHA256()
    try:
        if algorithm == "RS256":
            key.verify(signature, text, padding.PKCS1v15(), hash)
        elif algorithm == "PS256":
            key.verify(signature, text, padding.PSS(padding.MGF1(hash), hash.digest_size), hash)
        else:
            return False
    except InvalidSignature:
        return False
    return True
