"""Signatures: RS256 with a key that we chose, and nothing that a token says of itself."""

import json

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from relay.identity.jws import public_key
from tests.fakes.tokens import (
    claims,
    encode,
    hmac_with_public_key,
    jwk,
    private_key,
    signing_input,
    token,
    verifier,
)


def test_what_was_signed_with_the_key_is_read() -> None:
    payload = verifier().payload(token().encode())
    assert payload is not None and json.loads(payload) == claims()
    assert verifier(1).payload(token().encode()) is None


def _with_flipped_bit(text: str, part: int) -> str:
    parts = text.split(".")
    middle = len(parts[part]) // 2
    parts[part] = (
        parts[part][:middle] + ("A" if parts[part][middle] != "A" else "B") + parts[part][middle + 1 :]
    )
    return ".".join(parts)


def _pss(payload: bytes) -> str:
    text = signing_input(payload, {"alg": "PS256", "kid": "key 0"})
    chosen = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    return f"{text}.{encode(private_key().sign(text.encode(), chosen, hashes.SHA256()))}"


@pytest.mark.parametrize(
    "text",
    [
        _with_flipped_bit(token(), 0),
        _with_flipped_bit(token(), 1),
        _with_flipped_bit(token(), 2),
        token().rpartition(".")[0] + ".",
        token().rpartition(".")[0],
        token() + "=",
        token() + "\n",
        " " + token(),
        token().replace(".", ".\n", 1),
        signing_input(json.dumps(claims()).encode(), {"alg": "none"}) + ".",
        hmac_with_public_key(claims()),
        _pss(json.dumps(claims()).encode()),
        token(alg="none"),
        token(alg="HS256"),
        # RFC 7515 section 4.1.11: what is critical and not understood makes it invalid.
        token(crit=["exp"]),
        token(crit=["b64"], b64=False),
        "", ".", "..", "...", "a.b.c",
    ],
)  # fmt: skip
def test_what_was_not_signed_so_is_nothing(text: str) -> None:
    assert verifier().payload(text.encode()) is None


def test_bytes_of_any_kind_are_no_token() -> None:
    for octet in range(256):
        assert verifier().payload(bytes([octet]) * 3) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"kty": "oct", "k": "c2VjcmV0"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"use": "enc"},
        {"alg": "RS512"},
        {"alg": "HS256"},
        {"n": ""},
        {"n": 7},
        {"n": "!"},
        {"e": ""},
        {"e": "AA"},
        {"kty": None},
    ],
)
def test_other_keys_verify_nothing(changes: dict[str, object]) -> None:
    assert public_key(jwk(**changes)) is None


def test_a_short_key_verifies_nothing() -> None:
    numbers = private_key(9, 1_024).public_key().public_numbers()
    assert public_key(jwk(n=encode(numbers.n.to_bytes(128, "big")))) is None


def test_a_key_needs_no_algorithm_and_no_use_and_its_chain_is_not_looked_at() -> None:
    bare = {name: value for name, value in jwk().items() if name != "use"}
    for key in (bare, jwk(alg="RS256"), jwk(x5c=["no certificate"], x5t="x"), jwk(d="AQ", p="AQ", q="AQ")):
        found = public_key(key)
        assert found is not None and found.bits == 2_048 and found.payload(token().encode()) is not None
