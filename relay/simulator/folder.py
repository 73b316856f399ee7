"""The folder with what clients need: the CA to trust, passwords, secrets, certificates.

One that is given again keeps its CA and its secrets, so that clients that were set up
once go on working; the server's certificate is issued anew at each start.
"""

import secrets
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa

from relay.simulator import certificate
from relay.simulator.options import ApplicationTable, File

LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")


class Folder:
    """Paths; everything is there once it is made."""

    def __init__(self, path: Path, names: Sequence[str], client_name: str) -> None:
        """`names`: what the server is called besides the loopback's names; `client_name`: of the connector's client."""
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = path
        self.ca_file = path / "ca.pem"
        self.certificate_file, self.key_file = path / "server.pem", path / "server.key"
        self.client_certificate_file, self.client_key_file = path / "connector.pem", path / "connector.key"
        self.application_certificate_file = path / "application.pem"
        self.application_key_file = path / "application.key"
        self.password_file, self.secret_file = path / "password", path / "secret"
        self.password, self.secret = _secret(self.password_file), _secret(self.secret_file)
        authority = certificate.authority(self.ca_file, path / "ca.key")
        self._issue(authority, (*LOCAL_NAMES, *names), self.certificate_file, self.key_file)
        self._issue(authority, (client_name,), self.client_certificate_file, self.client_key_file)
        self._register()

    def completed(self, file: File) -> File:
        """The tenant with the made password, secret and certificate where it has none of its own."""
        mailboxes = tuple(
            each.model_copy(update={"password": each.password or self.password}) for each in file.mailbox
        )
        return file.model_copy(
            update={"mailbox": mailboxes, "application": tuple(map(self._known, file.application))}
        )

    def _known(self, application: ApplicationTable) -> ApplicationTable:
        certificates = application.certificates or (str(self.application_certificate_file),)
        return application.model_copy(
            update={"secret": application.secret or self.secret, "certificates": certificates}
        )

    def _issue(
        self, authority: certificate.Authority, names: Sequence[str], certificate_file: Path, key_file: Path
    ) -> None:
        key = certificate.new_key()
        certificate_file.write_bytes(certificate.pem(authority.issue(names, key)))
        certificate.write_key(key_file, key)

    def _register(self) -> None:
        if self.application_certificate_file.exists() and self.application_key_file.exists():
            return
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.application_certificate_file.write_bytes(
            certificate.pem(certificate.self_signed("m365-relay application", key))
        )
        certificate.write_key(self.application_key_file, key)


def folder_of(file: File, beside: Path | None) -> Path:
    """Where it is to be: as configured, relative to the configuration; else a new one."""
    if file.folder:
        return (beside or Path()).absolute() / file.folder
    return Path(tempfile.mkdtemp(prefix="m365-simulator-"))


def _secret(path: Path) -> str:
    if not path.exists():
        certificate.write_secret(path, f"{secrets.token_urlsafe(24)}\n".encode())
    return path.read_text().strip()
