"""The certificate and key with which an application proves who it is."""

from pathlib import Path

from relay.errors import ConfigurationError
from relay.route.oauth import ClientCertificate

FILE_MAX_BYTES = 65_536


def load(certificate: Path, key: Path | None, password: str | None) -> tuple[ClientCertificate, float]:
    """Both as PEM, the key without its passphrase, and when the certificate ends; ConfigurationError.

    `key` None: it stands in the certificate's file.
    """
    # A light command should not load a library it may not need (30 ms).
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        PublicFormat,
        load_pem_private_key,
    )

    text = _read(certificate)
    private_text = text if key is None else _read(key)
    try:
        chain = x509.load_pem_x509_certificates(text)
    except ValueError:
        raise ConfigurationError(f"{certificate} holds no usable PEM certificate") from None
    try:
        private = load_pem_private_key(private_text, None if password is None else password.encode())
    except TypeError:
        wrong = (
            "is encrypted; name its passphrase with key_password_env"
            if password is None
            else "is not encrypted; leave key_password_env out"
        )
        raise ConfigurationError(f"the key in {key or certificate} {wrong}") from None
    except ValueError:
        why = "" if password is None else ", or the passphrase is wrong"
        raise ConfigurationError(f"{key or certificate} holds no usable PEM key{why}") from None
    leaf = chain[0]
    if not isinstance(private, RSAPrivateKey):
        raise ConfigurationError(f"the key in {key or certificate} is no RSA key; Entra takes no other")
    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    if leaf.public_key().public_bytes(*form) != private.public_key().public_bytes(*form):
        raise ConfigurationError(
            f"the key {key or certificate} does not belong to the certificate {certificate}"
        )
    bare = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = b"".join(each.public_bytes(Encoding.PEM) for each in chain)
    return ClientCertificate(public.decode(), bare.decode()), leaf.not_valid_after_utc.timestamp()


def _read(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            data = file.read(FILE_MAX_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}") from None
    if len(data) > FILE_MAX_BYTES:
        raise ConfigurationError(
            f"{path} holds more than {FILE_MAX_BYTES} bytes; that is no certificate and no key"
        )
    return data
