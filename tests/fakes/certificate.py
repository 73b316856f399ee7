"""Certificates made on the spot: an authority, and leaves it signs."""

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Key = ec.EllipticCurvePrivateKey


class Authority:
    """Signs certificates; its own is `ca.pem` in the folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(f"Test authority of {folder.name}")
        self.ca_file = folder / "ca.pem"
        builder = _builder(self._name, self._name, self._key, _now(), 30)
        constraint = x509.BasicConstraints(ca=True, path_length=None)
        certificate = builder.add_extension(constraint, critical=True).sign(self._key, hashes.SHA256())
        self.ca_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def revoke(self, *certificates: Path, days: int = 7) -> Path:
        """A revocation list with these certificates on it."""
        moment = _now() + datetime.timedelta(minutes=1)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._name)
            .last_update(moment)
            .next_update(_now() + datetime.timedelta(days=days))
        )
        for file in certificates:
            number = x509.load_pem_x509_certificate(file.read_bytes()).serial_number
            entry = x509.RevokedCertificateBuilder().serial_number(number).revocation_date(moment).build()
            builder = builder.add_revoked_certificate(entry)
        path = self.folder / "crl.pem"
        revoked = builder.sign(self._key, hashes.SHA256())
        path.write_bytes(revoked.public_bytes(serialization.Encoding.PEM))
        return path

    def issue(self, *names: str, start: datetime.datetime | None = None, days: int = 30) -> tuple[Path, Path]:
        """Paths of a certificate for these host names or addresses, and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_name(names[0]), self._name, key, start or _now(), days)
        alternatives = x509.SubjectAlternativeName([_alternative(name) for name in names])
        return self._written(builder.add_extension(alternatives, critical=False), key)

    def issue_without_names(self, common_name: str) -> tuple[Path, Path]:
        """The same with a name in the subject alone, where nobody should look for one."""
        key = ec.generate_private_key(ec.SECP256R1())
        return self._written(_builder(_name(common_name), self._name, key, _now(), 30), key)

    def _written(self, builder: x509.CertificateBuilder, key: Key) -> tuple[Path, Path]:
        certificate = builder.sign(self._key, hashes.SHA256())
        number = len(list(self.folder.glob("*.key")))
        certificate_file = self.folder / f"leaf{number}.pem"
        key_file = self.folder / f"leaf{number}.key"
        certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        key_file.write_bytes(private_pem(key, None))
        key_file.chmod(0o600)
        return certificate_file, key_file


def private_pem(key: Key, passphrase: bytes | None) -> bytes:
    """The key as PEM, encrypted when a passphrase is given."""
    encryption = (
        serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    )
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _alternative(name: str) -> x509.GeneralName:
    if "@" in name:
        return x509.RFC822Name(name)
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: Key, start: datetime.datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=days))
    )
