"""Tokens: real msal with secret and with certificate, and Entra's errors."""

import time
from pathlib import Path
from typing import Protocol
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from relay.simulator import assertion, certificate
from relay.simulator.http import parse_head
from relay.simulator.simulator import Simulator
from relay.simulator.token import encode
from tests.simulator.office import BULK, ORDERS, xoauth2
from tests.simulator.running import ask, client, run, trusting

msal = pytest.importorskip("msal", reason="msal is not installed (pip install msal)")
SCOPE = "https://outlook.office365.com/.default"


@pytest.fixture(autouse=True)
def no_other_authorities(monkeypatch: pytest.MonkeyPatch) -> None:
    """requests prefers these to the `verify` that msal was given."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


class Application(Protocol):
    """What is used of msal's."""

    def acquire_token_for_client(self, scopes: list[str]) -> dict[str, object]: ...


def application(simulator: Simulator, credential: object) -> Application:
    made: Application = msal.ConfidentialClientApplication(
        simulator.file.application[0].client_id,
        client_credential=credential,
        authority=f"{simulator.authority.base}/{simulator.file.tenant.id}",
        instance_discovery=False,
        verify=str(simulator.folder.ca_file),
    )
    return made


def fetch(simulator: Simulator, credential: object, scope: str = SCOPE) -> dict[str, object]:
    return application(simulator, credential).acquire_token_for_client([scope])


def by_certificate(simulator: Simulator) -> dict[str, str]:
    folder = simulator.folder
    return {
        "private_key": folder.application_key_file.read_text(),
        "public_certificate": folder.application_certificate_file.read_text(),
    }


@pytest.mark.parametrize("kind", ["secret", "certificate"])
def test_msal_fetches_a_token_that_logs_in(tmp_path: Path, kind: str) -> None:
    def work(simulator: Simulator) -> list[int]:
        credential = simulator.folder.secret if kind == "secret" else by_certificate(simulator)
        answer = fetch(simulator, credential)
        assert answer["expires_in"] == 3600, answer
        codes = []
        for service, mailbox in (("submission", ORDERS), ("high_volume", BULK)):
            with client(simulator, service) as smtp:
                smtp.starttls(context=trusting(simulator))
                smtp.ehlo()
                codes.append(smtp.docmd("AUTH XOAUTH2", xoauth2(mailbox, str(answer["access_token"])))[0])
        return codes

    codes, simulator = run(tmp_path, work)
    assert codes == [235, 235]
    assert simulator.report().tokens == {"issued": 1}


def test_msal_asks_once_for_what_it_has(tmp_path: Path) -> None:
    def work(simulator: Simulator) -> None:
        app = application(simulator, simulator.folder.secret)
        tokens = {app.acquire_token_for_client([SCOPE])["access_token"] for _ in range(500)}
        assert len(tokens) == 1

    _, simulator = run(tmp_path, work)
    assert simulator.report().tokens == {"issued": 1}


def test_a_wrong_secret_is_named(tmp_path: Path) -> None:
    answer, simulator = run(tmp_path, lambda simulator: fetch(simulator, "wrong"))
    assert answer["error"] == "invalid_client" and answer["error_codes"] == [7000215]
    assert simulator.report().tokens == {"AADSTS7000215": 1}


def test_a_certificate_that_is_not_registered_is_named(tmp_path: Path) -> None:
    def work(simulator: Simulator) -> dict[str, object]:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        certificate.write_key(tmp_path / "other.key", key)
        text = certificate.pem(certificate.self_signed("other", key)).decode()
        credential = {"private_key": (tmp_path / "other.key").read_text(), "public_certificate": text}
        return fetch(simulator, credential)

    answer, _ = run(tmp_path, work)
    assert answer["error"] == "invalid_client" and answer["error_codes"] == [700027]


def test_a_certificates_thumbprint_with_another_key_is_no_signature(tmp_path: Path) -> None:
    def work(simulator: Simulator) -> dict[str, object]:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        certificate.write_key(tmp_path / "other.key", key)
        credential = by_certificate(simulator) | {"private_key": (tmp_path / "other.key").read_text()}
        return fetch(simulator, credential)

    answer, _ = run(tmp_path, work)
    assert "failed signature validation" in str(answer["error_description"])


def test_a_token_for_something_else_does_not_log_in(tmp_path: Path) -> None:
    def work(simulator: Simulator) -> bytes:
        answer = fetch(simulator, simulator.folder.secret, "https://graph.microsoft.com/.default")
        with client(simulator, "high_volume") as smtp:
            smtp.starttls(context=trusting(simulator))
            smtp.ehlo()
            return smtp.docmd("AUTH XOAUTH2", xoauth2(BULK, str(answer["access_token"])))[1]

    said, _ = run(tmp_path, work)
    assert said.startswith(b"5.7.127")


def test_a_token_ends_by_the_faster_clock(tmp_path: Path) -> None:
    def work(simulator: Simulator) -> bytes:
        answer = fetch(simulator, simulator.folder.secret)
        time.sleep(0.5)
        with client(simulator, "high_volume") as smtp:
            smtp.starttls(context=trusting(simulator))
            smtp.ehlo()
            return smtp.docmd("AUTH XOAUTH2", xoauth2(BULK, str(answer["access_token"])))[1]

    said, _ = run(tmp_path, work, speed=10_000.0, limits={"session": 0, "idle": 0})
    assert said.startswith(b"5.7.143")


def form(simulator: Simulator, **changes: str) -> bytes:
    known = {
        "grant_type": "client_credentials", "client_id": simulator.file.application[0].client_id,
        "client_secret": simulator.folder.secret, "scope": SCOPE,
    }  # fmt: skip
    return urlencode({key: value for key, value in (known | changes).items() if value}).encode()


@pytest.mark.parametrize(
    ("changes", "status", "number"),
    [
        ({}, 200, None),
        ({"grant_type": "password"}, 400, 70003),
        ({"client_id": "nobody"}, 400, 700016),
        ({"client_secret": ""}, 401, 7000216),
        ({"scope": "https://outlook.office365.com/SMTP.Send"}, 400, 1002012),
        ({"client_assertion_type": assertion.TYPE, "client_assertion": "x"}, 401, 50027),
        ({"client_assertion_type": assertion.TYPE, "client_assertion": "é.é.é"}, 401, 50027),
    ],
)
def test_requests_that_are_wrong(
    tmp_path: Path, changes: dict[str, str], status: int, number: int | None
) -> None:
    answer, _ = run(
        tmp_path,
        lambda simulator: ask(simulator, f"/{simulator.file.tenant.id}/oauth2/v2.0/token", form(simulator, **changes)),
    )  # fmt: skip
    assert answer["status"] == status
    assert isinstance(answer["body"], dict)
    assert answer["body"].get("error_codes") == (None if number is None else [number])


def test_discovery_names_the_authority_itself(tmp_path: Path) -> None:
    def work(simulator: Simulator) -> None:
        tenant = simulator.file.tenant.id
        issuer = f"{simulator.authority.base}/{tenant}"
        found = ask(simulator, f"/{tenant}/v2.0/.well-known/openid-configuration")["body"]
        assert isinstance(found, dict) and found["token_endpoint"] == f"{issuer}/oauth2/v2.0/token"
        keys = ask(simulator, found["jwks_uri"].removeprefix(simulator.authority.base))["body"]
        assert isinstance(keys, dict) and keys["keys"][0]["kty"] == "RSA"
        instance = ask(simulator, "/common/discovery/instance?api-version=1.1")["body"]
        assert isinstance(instance, dict) and instance["tenant_discovery_endpoint"].startswith(issuer)
        assert ask(simulator, "/other-tenant/oauth2/v2.0/token", b"")["status"] == 400
        assert ask(simulator, f"/{tenant}/other")["status"] == 404

    run(tmp_path, work)


def test_the_authority_fails_when_told_to(tmp_path: Path) -> None:
    def work(simulator: Simulator) -> list[object]:
        path = f"/{simulator.file.tenant.id}/oauth2/v2.0/token"
        return [ask(simulator, path, form(simulator))["status"] for _ in range(2)]

    statuses, _ = run(tmp_path, work, fault=[{"step": "token", "reply": "503 busy", "times": 1}])
    assert statuses == [503, 200]


def test_the_authority_hangs_up_when_told_to(tmp_path: Path) -> None:
    def work(simulator: Simulator) -> None:
        with pytest.raises(OSError, match=r"EOF|closed|reset"):
            ask(simulator, f"/{simulator.file.tenant.id}/oauth2/v2.0/token", form(simulator))

    run(tmp_path, work, fault=[{"step": "token", "action": "reset"}])


def test_the_authority_stalls_when_told_to(tmp_path: Path) -> None:
    def work(simulator: Simulator) -> None:
        with pytest.raises(TimeoutError):
            ask(simulator, f"/{simulator.file.tenant.id}/oauth2/v2.0/token", form(simulator), within_s=0.3)

    run(tmp_path, work, fault=[{"step": "token", "action": "stall"}])


CLIENT, AUDIENCE = "c", "https://localhost/t/oauth2/v2.0/token"


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({}, ""),
        ({"iss": "other"}, "AADSTS700021"),
        ({"sub": "other"}, "AADSTS700021"),
        ({"aud": "https://elsewhere/"}, "AADSTS700023"),
        ({"exp": 1000.0}, "AADSTS700024"),
        ({"nbf": 2000.0}, "AADSTS700024"),
    ],
)
def test_claims_of_an_assertion(claims: dict[str, object], words: str) -> None:
    jwt = pytest.importorskip("jwt", reason="PyJWT comes with msal")
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    known = assertion.Certificate(certificate.self_signed("a", key))
    text = jwt.encode(
        {"iss": CLIENT, "sub": CLIENT, "aud": AUDIENCE, "exp": 1600.0, "nbf": 1000.0} | claims,
        key,
        algorithm="PS256",
        headers={"x5t#S256": encode(known.thumbprints[1])},
    )
    trouble = assertion.trouble(text, CLIENT, [AUDIENCE], [known], 1000.0)
    assert trouble.startswith(words) and bool(trouble) is bool(words)


@pytest.mark.parametrize(
    "text", [b"GET\r\n\r\n", b"GET / SMTP\r\n\r\n", b"GET x HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
             b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"],
)  # fmt: skip
def test_what_is_no_request_is_not_taken_for_one(text: bytes) -> None:
    assert parse_head(text) is None
