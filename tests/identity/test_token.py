"""Tokens fetched by real msal from an authority that verifies, and what is said when there is none."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from relay.identity import token
from relay.identity.access import TokenRefused
from relay.identity.claims import read
from relay.identity.http import Answer, Http
from relay.route.oauth import Application, ClientSecret, ManagedIdentity
from tests.fakes.authority import CLIENT, OBJECT, SECRET, TENANT, TokenAuthority, token_authority


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TokenAuthority]:
    monkeypatch.setenv("NO_PROXY", "*")
    with token_authority(tmp_path) as running:
        yield running


def test_a_client_secret_gets_a_token(authority: TokenAuthority) -> None:
    fetched = token.fetch(authority.application())
    assert fetched.text == authority.tokens[0] and fetched.lifetime_s == 3600
    claims = read(fetched.text)
    assert claims is not None and (claims.application, claims.oid, claims.tid) == (CLIENT, OBJECT, TENANT)
    assert fetched.text not in repr(fetched)


def test_a_certificate_gets_a_token(authority: TokenAuthority) -> None:
    fetched = token.fetch(authority.application(authority.certificate()))
    assert fetched.text == authority.tokens[0]
    assert "client_secret" not in authority.forms[0] and authority.forms[0]["client_assertion"]


def test_each_fetch_asks_the_authority(authority: TokenAuthority) -> None:
    application = authority.application()
    assert token.fetch(application).text != token.fetch(application).text
    assert authority.token_requests == 2


def test_a_mended_secret_is_taken_at_once(authority: TokenAuthority) -> None:
    with pytest.raises(TokenRefused):
        token.fetch(authority.application(ClientSecret("wrong")))
    assert token.fetch(authority.application()).text


@pytest.mark.parametrize(
    ("application", "words"),
    [
        (lambda a: a.application(ClientSecret("wrong")), "the client secret is wrong (AADSTS7000215)"),
        (
            lambda a: a.application(client_id="other"),
            "the tenant does not know the application (AADSTS700016)",
        ),
        (lambda a: a.application(tenant="gone.example"), "there is no such tenant (AADSTS90002)"),
        (lambda a: a.application(a.certificate(is_registered=False)), "AADSTS700027"),
    ],
    ids=["secret", "application", "tenant", "certificate"],
)
def test_a_refusal_is_a_fault_in_plain_words(
    authority: TokenAuthority, application: Callable[[TokenAuthority], Application], words: str
) -> None:
    with pytest.raises(TokenRefused) as caught:
        token.fetch(application(authority))
    assert words in str(caught.value) and caught.value.is_fault
    assert SECRET not in str(caught.value) and "Trace ID" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "body", "is_fault"),
    [
        (503, "<html>busy</html>", False),
        (500, '{"error":"server_error"}', False),
        (429, '{"error":"throttled"}', False),
        (
            400,
            '{"error":"invalid_request","error_description":"AADSTS90033: A transient error has occurred."}',
            False,
        ),
        (400, '{"error":"invalid_request"}', True),
        (200, "<html>log in to the network</html>", True),
        (200, '{"token_type":"Bearer"}', True),
        (200, '{"access_token":"x","expires_in":0}', True),
        (200, '{"access_token":"x","expires_in":"soon"}', True),
    ],
)
def test_an_answer_without_a_token_is_told(
    authority: TokenAuthority, status: int, body: str, is_fault: bool
) -> None:
    authority.orders.status, authority.orders.body = status, body
    with pytest.raises(TokenRefused) as caught:
        token.fetch(authority.application())
    assert caught.value.is_fault is is_fault
    assert authority.base.removeprefix("https://") in str(caught.value)


def test_msal_prints_nothing_of_what_it_was_told(authority: TokenAuthority) -> None:
    script = (
        "import sys; from relay.identity.token import *; from relay.identity.access import TokenRefused\n"
    )
    script += "try: fetch(msgspec.json.decode(sys.argv[1], type=Application))\nexcept TokenRefused: print('refused')"
    authority.orders.status, authority.orders.body = 200, "<html>a-token</html>"
    told = msgspec.json.encode(authority.application()).decode()
    done = subprocess.run([sys.executable, "-c", script, told], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("refused\n", "")


def test_an_authority_that_is_down_is_no_fault_of_configuration(authority: TokenAuthority) -> None:
    application = msgspec.structs.replace(authority.application(), authority=f"https://127.0.0.1:1/{TENANT}")
    with pytest.raises(TokenRefused, match=r"cannot reach 127\.0\.0\.1:1") as caught:
        token.fetch(application)
    assert not caught.value.is_fault


def test_an_authority_that_hangs_is_given_up(
    authority: TokenAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token, "FETCH_WITHIN_S", 0.3)
    authority.orders.delay_s = 2.0
    with pytest.raises(TokenRefused, match=r"no answer within 0\.3 seconds") as caught:
        token.fetch(authority.application())
    assert not caught.value.is_fault


def test_an_authority_with_a_foreign_certificate_is_refused(authority: TokenAuthority) -> None:
    with pytest.raises(TokenRefused, match=r"certificate of .* was refused") as caught:
        token.fetch(msgspec.structs.replace(authority.application(), ca_file=None))
    assert caught.value.is_fault and authority.requests == []


def test_other_authorities_of_the_environment_do_not_count(
    authority: TokenAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/ssl/certs/ca-certificates.crt")
    assert token.fetch(authority.application()).text


@pytest.mark.parametrize("client_id", ["", "12345678-1234-4234-8234-123456789012"])
def test_a_managed_identity_gets_a_token(
    authority: TokenAuthority, monkeypatch: pytest.MonkeyPatch, client_id: str
) -> None:
    asked: list[tuple[str, object]] = []

    def get(_: object, url: str, params: object = None, headers: object = None, **__: object) -> Answer:
        asked.append((url, params))
        return Answer(200, '{"access_token":"t","expires_in":"86399","token_type":"Bearer"}', {})

    for name in ("IDENTITY_ENDPOINT", "IMDS_ENDPOINT", "MSI_ENDPOINT", "AZURE_POD_IDENTITY_AUTHORITY_HOST"):
        monkeypatch.delenv(name, raising=False)
    # 169.254.169.254 is no address of the loopback: nothing may be sent there.
    monkeypatch.setattr(Http, "get", get)
    application = msgspec.structs.replace(
        authority.application(), proof=ManagedIdentity(client_id), authority=""
    )
    assert token.fetch(application).lifetime_s == 86399
    [(url, params)] = asked
    assert url == "http://169.254.169.254/metadata/identity/oauth2/token"
    assert isinstance(params, dict) and params["resource"] == "https://outlook.office365.com"
    assert params.get("client_id", "") == client_id


def test_nothing_secret_shows(authority: TokenAuthority) -> None:
    certificate = authority.certificate()
    for application in (authority.application(), authority.application(certificate)):
        assert SECRET not in repr(application) and "PRIVATE" not in repr(application)
        assert str(application) == f"the application {CLIENT}"
