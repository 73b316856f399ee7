"""A token authority on the loopback, over HTTPS, for real msal: it verifies what is sent, counts, and fails when told.

It runs in a thread of its own, so that blocking clients and loops alike can ask it.
"""

import json
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from relay import tls
from relay.route.oauth import Application, ClientCertificate, ClientSecret, Proof
from relay.simulator import assertion
from relay.simulator.certificate import self_signed
from relay.simulator.token import Claims, TokenKey
from tests.fakes.certificate import Authority as Certificates

TENANT = "11111111-2222-4333-8444-555555555555"
CLIENT = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
OBJECT = "99999999-8888-4777-8666-555555555555"
SECRET = "correct horse battery staple"
SCOPE = "https://outlook.office365.com/.default"


@dataclass
class Orders:
    """What the authority does; all of it may change while it runs."""

    lifetime: int = 3600
    roles: tuple[str, ...] = ("SMTP.SendAsApp",)
    object_id: str = OBJECT
    audience: str = ""
    """Instead of the one asked for."""
    status: int = 0
    """Answer token requests with this status and `body` instead."""
    body: str = ""
    delay_s: float = 0.0
    certificates: list[x509.Certificate] = field(default_factory=list)


class TokenAuthority:
    """What was asked of it."""

    def __init__(self, folder: Path, certificates: Certificates, server: ThreadingHTTPServer) -> None:
        self.orders = Orders()
        self.requests: list[str] = []
        """Paths asked for, in order."""
        self.forms: list[dict[str, str]] = []
        self.tokens: list[str] = []
        self.ca_file = str(certificates.ca_file)
        self.base = f"https://127.0.0.1:{server.server_address[1]}"
        self.key = TokenKey()
        self._folder = folder

    @property
    def token_requests(self) -> int:
        """How often a token was asked for."""
        return sum(path.endswith("/token") for path in self.requests)

    def application(
        self, proof: Proof | None = None, tenant: str = TENANT, client_id: str = CLIENT
    ) -> Application:
        """One that asks here, with the right secret if nothing else is given."""
        return Application(
            client_id, f"{self.base}/{tenant}", SCOPE, proof or ClientSecret(SECRET), self.ca_file
        )

    def certificate(self, *, is_registered: bool = True) -> ClientCertificate:
        """A certificate and its key."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        certificate = self_signed("application", key)
        if is_registered:
            self.orders.certificates.append(certificate)
        pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return ClientCertificate(pem, private.decode())

    def answer(self, method: str, path: str, form: dict[str, str]) -> tuple[int, object]:
        """Status and JSON of a request."""
        self.requests.append(path)
        tenant, _, rest = path.lstrip("/").partition("/")
        if tenant != TENANT:
            return 400, error("invalid_tenant", f"AADSTS90002: Tenant '{tenant}' not found.")
        if rest == "v2.0/.well-known/openid-configuration":
            here = f"{self.base}/{TENANT}"
            endpoints = {
                "issuer": f"{here}/v2.0",
                "authorization_endpoint": f"{here}/oauth2/v2.0/authorize",
                "token_endpoint": f"{here}/oauth2/v2.0/token",
            }
            return 200, endpoints
        if (method, rest) != ("POST", "oauth2/v2.0/token"):
            return 404, error("not_found", "nothing here")
        self.forms.append(form)
        time.sleep(self.orders.delay_s)
        wrong = self._wrong(form)
        if wrong:
            return 401, error("invalid_client", wrong)
        return 200, {
            "token_type": "Bearer",
            "expires_in": self.orders.lifetime,
            "access_token": self._token(form),
        }

    def _wrong(self, form: dict[str, str]) -> str:
        if form["client_id"] != CLIENT:
            return f"AADSTS700016: Application with identifier '{form['client_id']}' was not found in the directory."
        if "client_assertion" in form:
            here = f"{self.base}/{TENANT}"
            known = [assertion.Certificate(each) for each in self.orders.certificates]
            audiences = (f"{here}/oauth2/v2.0/token", f"{here}/v2.0")
            return assertion.trouble(form["client_assertion"], CLIENT, audiences, known, time.time())
        return "" if form.get("client_secret") == SECRET else "AADSTS7000215: Invalid client secret provided."

    def _token(self, form: dict[str, str]) -> str:
        now = int(time.time())
        claims = Claims(
            aud=self.orders.audience or form["scope"].removesuffix("/.default"), iss=self.base, appid=CLIENT,
            oid=self.orders.object_id, tid=TENANT, iat=now, nbf=now, exp=now + self.orders.lifetime,
            roles=self.orders.roles, ver=f"1.0-{uuid.uuid4()}",
        )  # fmt: skip
        token = self.key.sign(claims)
        self.tokens.append(token)
        return token


@contextmanager
def token_authority(folder: Path) -> Iterator[TokenAuthority]:
    """An authority that listens on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            self.respond({})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self.respond({name: values[0] for name, values in parse_qs(body).items()})

        def respond(self, form: dict[str, str]) -> None:
            status, answer = authority.answer(self.command, self.path, form)
            text = json.dumps(answer)
            if form and authority.orders.status:
                status, text = authority.orders.status, authority.orders.body
            self.send_response(status)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *_: object) -> None:
            pass

    (folder / "authority").mkdir(exist_ok=True)
    certificates = Certificates(folder / "authority")
    certificate, key = certificates.issue("127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = tls.server_context(str(certificate), str(key)).wrap_socket(
        server.socket, server_side=True
    )
    authority = TokenAuthority(folder, certificates, server)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield authority
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def error(kind: str, description: str) -> dict[str, str]:
    """An error as Entra writes it."""
    return {"error": kind, "error_description": f"{description} Trace ID: 1 Correlation ID: 2"}
