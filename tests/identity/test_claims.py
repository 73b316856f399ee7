"""What a token shows of why it is refused."""

import base64
import json

import pytest

from relay.identity.claims import EXCHANGE_ONLINE, doubts, explain, read, troubles
from relay.route.oauth import Application, ClientSecret, OAuth

OUTLOOK = "https://outlook.office365.com"
APPLICATION = Application("app", "https://authority.test/t", f"{OUTLOOK}/.default", ClientSecret("s"))
SUBMISSION = OAuth("orders@contoso.example", APPLICATION, "SMTP.SendAsApp", (OUTLOOK,))
HIGH_VOLUME = OAuth("bulk@contoso.example", APPLICATION, "Mail.Send", ("https://outlook.office.com", OUTLOOK))
GOOD: dict[str, object] = {
    "aud": OUTLOOK, "appid": "the-app", "oid": "the-object", "tid": "the-tenant", "roles": ["SMTP.SendAsApp"],
}  # fmt: skip


def token_of(claims: object) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'RS256'})}.{part(claims)}.c2lnbmF0dXJl"


def told(changes: dict[str, object], login: OAuth = SUBMISSION) -> tuple[list[str], list[str]]:
    claims = read(token_of(GOOD | changes))
    assert claims is not None
    return troubles(claims, login), doubts(claims, login)


@pytest.mark.parametrize("audience", [OUTLOOK, f"{OUTLOOK}/", EXCHANGE_ONLINE])
def test_a_good_token_has_no_troubles(audience: str) -> None:
    assert told({"aud": audience}) == ([], [])


def test_a_token_for_something_else_is_named() -> None:
    [trouble], none = told({"aud": "https://graph.microsoft.com", "roles": []})
    assert "is for https://graph.microsoft.com" in trouble and f"{OUTLOOK}/.default" in trouble
    assert none == []


def test_a_token_without_the_role_is_right_only_with_rbac() -> None:
    assert told({"roles": []})[0] == []
    [doubt] = told({"roles": ["Mail.Read"]})[1]
    assert "lacks the role SMTP.SendAsApp (it has Mail.Read)" in doubt and "RBAC for Applications" in doubt


def test_high_volume_needs_its_role() -> None:
    [trouble], none = told({}, HIGH_VOLUME)
    assert "lacks the role Mail.Send (it has SMTP.SendAsApp)" in trouble and none == []
    assert told({"roles": ["Mail.Send"]}, HIGH_VOLUME) == ([], [])


def test_a_token_without_an_object_is_named() -> None:
    assert "enterprise application" in told({"oid": ""})[0][0]


def test_a_token_that_looks_right_names_what_to_compare_in_exchange() -> None:
    text = explain(token_of(GOOD), SUBMISSION)
    assert "AppId the-app with ObjectId the-object" in text and "orders@contoso.example" in text


def test_a_refused_token_without_role_is_explained_by_it() -> None:
    assert "lacks the role" in explain(token_of(GOOD | {"roles": []}), SUBMISSION)


def test_tokens_of_version_two_name_the_application_otherwise() -> None:
    claims = read(token_of({"azp": "the-app"}))
    assert claims is not None and claims.application == "the-app"


@pytest.mark.parametrize(
    "text", ["", "opaque", "a.b.c", "a.!!!.c", "é.é.é", token_of([1]), token_of({"roles": "x"}), "..", "a.b"]
)
def test_what_is_no_token_is_not_read(text: str) -> None:
    assert read(text) is None
    assert explain(text, SUBMISSION) == "the token cannot be read"
