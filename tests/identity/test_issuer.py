"""Issuers and keys of a tenant: from a simulated Entra over HTTPS, and from documents that are not as they should be."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from relay.identity.access import TokenRefused
from relay.identity.bearer import Inbound
from relay.identity.http import Answer
from relay.identity.issuer import KEYS_MAX, fetch, read
from relay.simulator.simulator import Simulator
from tests.fakes.tokens import INBOUND, TENANT, V1, V2, jwk
from tests.simulator.running import run

ROOT = f"https://authority.test/{TENANT}"
KEYS = "https://keys.test/keys"


class Documents:
    """What the authority says, by address; an int is a status."""

    def __init__(self, *keys: object, **changes: object) -> None:
        self.texts: dict[str, object] = {
            f"{ROOT}/.well-known/openid-configuration": {"issuer": V1, "jwks_uri": KEYS} | changes,
            f"{ROOT}/v2.0/.well-known/openid-configuration": {"issuer": V2, "jwks_uri": KEYS} | changes,
            KEYS: {"keys": keys or (jwk(0), jwk(1))},
        }
        self.asked: list[str] = []

    def get(self, url: str) -> Answer:
        self.asked.append(url)
        found = self.texts[url]
        if isinstance(found, int):
            return Answer(found, "<html>", {})
        return Answer(200, found if isinstance(found, str) else json.dumps(found), {})


def test_each_issuer_has_the_keys_that_it_shows() -> None:
    documents = Documents()
    documents.texts[f"{ROOT}/.well-known/openid-configuration"] = {
        "issuer": V1,
        "jwks_uri": "https://keys.test/1",
    }
    documents.texts["https://keys.test/1"] = {"keys": [jwk(0), jwk(2)]}
    found = read(INBOUND, documents.get)
    assert set(found.keys) == {(V1, "key 0"), (V1, "key 2"), (V2, "key 0"), (V2, "key 1")}
    assert found.names == {V1, V2} and len(documents.asked) == 4


def test_keys_of_other_tenants_and_of_other_kinds_are_left_out() -> None:
    documents = Documents(
        jwk(0, issuer="https://authority.test/{tenantid}/v2.0"),
        jwk(0, kid="ours", issuer=V2),
        jwk(0, kid="consumers", issuer="https://authority.test/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0"),
        jwk(0, kid="encrypts", use="enc"),
        jwk(0, kid="curve", kty="EC"),
        jwk(0, kid=7),
        jwk(0, kid="x" * 257),
    )
    assert {key_id for _, key_id in read(INBOUND, documents.get).keys} == {"key 0", "ours"}


def test_a_set_without_end_is_cut() -> None:
    documents = Documents(*(jwk(0, kid=str(number)) for number in range(KEYS_MAX + 10)))
    assert len(read(INBOUND, documents.get).keys) == 2 * KEYS_MAX


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"issuer": "https://sts.test/99999999-2222-4333-8444-555555555555/"}, "another tenant"),
        ({"issuer": f"https://{TENANT}.test/"}, "another tenant"),
        ({"issuer": f"https://sts.test/?/{TENANT}/"}, "another tenant"),
        ({"jwks_uri": "http://keys.test/keys"}, "without TLS"),
        ({"jwks_uri": "file:///etc/passwd"}, "without TLS"),
        ({"issuer": 7}, "not what it should be"),
        ({"jwks_uri": None}, "not what it should be"),
    ],
)
def test_a_document_that_is_wrong_is_not_believed(changes: dict[str, object], says: str) -> None:
    with pytest.raises(TokenRefused, match=says):
        read(INBOUND, Documents(**changes).get)


@pytest.mark.parametrize("url", [f"{ROOT}/.well-known/openid-configuration", KEYS])
@pytest.mark.parametrize(
    ("text", "is_fault"),
    [("", False), ("<html>", False), ("[]", False), ('{"keys":7}', False), (400, True), (404, True), (429, False), (503, False), (302, False)],
)  # fmt: skip
def test_an_answer_that_is_none_is_told_and_may_pass(url: str, text: object, is_fault: bool) -> None:
    documents = Documents()
    documents.texts[url] = text
    with pytest.raises(TokenRefused) as caught:
        read(INBOUND, documents.get)
    assert caught.value.is_fault is is_fault
    assert ("authority.test" if ROOT in url else "keys.test") in str(caught.value)


def test_a_set_without_a_key_is_none() -> None:
    with pytest.raises(TokenRefused, match="no key that signs with RS256"):
        read(INBOUND, Documents(jwk(0, use="enc")).get)


@pytest.fixture
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")


def inbound_of(simulator: Simulator) -> Inbound:
    return replace(INBOUND, authority=simulator.authority.base, ca_file=str(simulator.folder.ca_file))


@pytest.mark.usefixtures("no_proxy")
def test_a_simulated_entra_tells_its_keys(tmp_path: Path) -> None:
    def work(simulator: Simulator) -> None:
        found = fetch(inbound_of(simulator))
        base = simulator.authority.base
        assert found.names == {f"{base}/{TENANT}/", f"{base}/{TENANT}/v2.0"}
        assert len(found.keys) == 2
        with pytest.raises(TokenRefused, match="HTTP status 400") as caught:
            fetch(replace(inbound_of(simulator), tenant=TENANT[:-1] + "0"))
        assert caught.value.is_fault
        # Its certificate is of its own authority, which the system does not know.
        with pytest.raises(TokenRefused, match="certificate"):
            fetch(replace(inbound_of(simulator), ca_file=None))

    run(tmp_path, work)
