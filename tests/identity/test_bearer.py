"""What is demanded of a token, claim by claim."""

import json
from dataclasses import replace

import pytest

from relay.identity.bearer import KEY_ID_MAX, LEEWAY_S, Claims, Inbound, Seen, claims_of, fault, peek
from tests.fakes.tokens import (
    APP,
    AUDIENCE,
    INBOUND,
    NOW,
    OBJECT,
    TENANT,
    USER,
    V1,
    V2,
    claims,
    signing_input,
    token,
)

VERSION_2 = {"iss": V2, "appid": None, "appidacr": None, "azp": APP, "ver": "2.0"}


def read(**changes: object) -> Claims:
    found = claims_of(json.dumps(claims(**changes)).encode())
    assert found is not None
    return found


def test_a_token_of_either_version_is_taken_and_says_whose_it_is() -> None:
    for found, issuer in ((read(), V1), (read(**VERSION_2), V2)):
        assert fault(found, issuer, INBOUND, NOW) == ""
        assert (found.application, found.user) == (APP, "")
        assert str(found) == f"application {APP}"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iss": V2}, "wrong issuer"),
        ({"tid": USER}, "wrong tenant"),
        ({"tid": ""}, "wrong tenant"),
        ({"tid": TENANT.upper()}, ""),
        ({"aud": "https://outlook.office365.com"}, "wrong audience"),
        ({"aud": AUDIENCE + "/"}, "wrong audience"),
        ({"aud": AUDIENCE.upper()}, "wrong audience"),
        ({"aud": ""}, "wrong audience"),
        ({"exp": NOW - LEEWAY_S + 1}, ""),
        ({"exp": NOW - LEEWAY_S}, "expired token"),
        ({"exp": 0}, "expired token"),
        ({"nbf": NOW + LEEWAY_S}, ""),
        ({"nbf": NOW + LEEWAY_S + 1}, "token not valid yet"),
        ({"nbf": None}, ""),
    ],
)
def test_each_claim_counts(changes: dict[str, object], reason: str) -> None:
    assert fault(read(**changes), V1, INBOUND, NOW) == reason


@pytest.mark.parametrize(
    ("roles", "reason"),
    [(None, "missing role"), ([], "missing role"), (["Mail.Read"], "missing role"), (["Mail.Read", "Relay.Send"], "")],
)  # fmt: skip
def test_a_role_is_needed_where_one_is_named(roles: list[str] | None, reason: str) -> None:
    inbound = replace(INBOUND, roles=("Relay.Send", "Relay.Admin"))
    assert fault(read(roles=roles), V1, inbound, NOW) == reason
    assert fault(read(roles=roles), V1, INBOUND, NOW) == ""


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": [AUDIENCE, "other"]},
        {"aud": None},
        {"iss": None},
        {"tid": None},
        {"exp": None},
        {"exp": "9999999999"},
        {"exp": True},
        {"exp": [1]},
        {"nbf": "0"},
        {"appid": 1},
        {"roles": "Relay.Send"},
        {"scp": ["a"]},
    ],
)
def test_claims_of_another_kind_make_it_no_token(changes: dict[str, object]) -> None:
    assert claims_of(json.dumps(claims(**changes)).encode()) is None


@pytest.mark.parametrize(
    "payload", [b"", b"{", b"[]", b"null", b"\xff", b'{"exp":1e999}', b"[" * 9_000, b'{"a":' + b"[" * 9_000]
)
def test_what_is_no_json_object_makes_it_no_token(payload: bytes) -> None:
    assert claims_of(payload) is None


@pytest.mark.parametrize(
    ("changes", "user"),
    [
        ({}, ""),
        ({"idtyp": "app", "sub": "other"}, ""),
        ({"idtyp": "user"}, OBJECT),
        ({"idtyp": "device"}, OBJECT),
        # What an application gets for a user is never its own, whatever else it says.
        ({"scp": "Mail.Send", "oid": USER.upper()}, USER),
        ({"scp": "Mail.Send", "idtyp": "app"}, OBJECT),
        ({"sub": "pairwise"}, OBJECT),
        ({"sub": None, "oid": None}, "unknown"),
        ({"scp": "Mail.Send", "oid": None}, "unknown"),
    ],
)
def test_an_application_is_told_from_its_users(changes: dict[str, object], user: str) -> None:
    assert read(**changes).user == user


def test_the_log_names_ids_and_nothing_else() -> None:
    found = read(scp="Mail.Send", oid=USER, upn="bob@contoso.com", name="Bob")
    assert str(found) == f"application {APP}, user {USER}"


def test_a_peek_finds_issuer_and_key() -> None:
    assert peek(token().encode()) == Seen("key 0", V1)
    assert peek(token(claims(iss=V2), key=0).encode()) == Seen("key 0", V2)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a.b",
        "..",
        "a.b.c.d",
        token() + ".x",
        token().replace(".", "=.", 1),
        token(alg="none"),
        token(alg="HS256"),
        token(alg="rs256"),
        token(alg=None),
        token(alg=["RS256"]),
        token(kid=None),
        token(kid=7),
        token(kid="x" * (KEY_ID_MAX + 1)),
        token(b"no json"),
        token(b'{"iss":7}'),
        token(b"{}"),
        token(b'{"iss":"a","b":' + b"[" * 9_000),
        signing_input(b"{}", {"alg": "RS256"}),
        "\x00.\x00.\x00",
    ],
)
def test_a_peek_at_what_is_no_token_of_ours_finds_nothing(text: str) -> None:
    assert peek(text.encode()) is None


def test_an_inbound_is_named_by_its_authority_and_tenant() -> None:
    assert str(Inbound("t", ("a",))) == "https://login.microsoftonline.com/t"
