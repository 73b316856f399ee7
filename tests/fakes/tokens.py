"""Tokens for tests, signed with a key of their own, and the issuers that an authority would tell of it."""

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import cache

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from relay.identity.bearer import Inbound, Issuers
from relay.identity.client import Client, Policy
from relay.identity.jws import PublicKey, public_key

TENANT = "11111111-2222-4333-8444-555555555555"
APP = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
OBJECT = "99999999-8888-4777-8666-555555555555"
USER = "77777777-8888-4777-8666-555555555555"
AUDIENCE = "api://m365-relay"
V1, V2 = f"https://sts.test/{TENANT}/", f"https://authority.test/{TENANT}/v2.0"
INBOUND = Inbound(TENANT, (AUDIENCE,), "https://authority.test")
SHOP = Client("shop", oauth_app=APP, policy=Policy(("example.com",), ("example.com",)))
"""Logs in with its application's token, sends as example.com."""
BOB = Client("bob", oauth_app=APP, oauth_users=(USER,))
"""The same application's token for a user."""
GONE = Client("gone", oauth_app="0" + APP[1:], is_disabled=True)
NOW = 1_800_000_000.0
"""As `FakeClock` begins."""


@cache
def private_key(number: int = 0, bits: int = 2_048) -> rsa.RSAPrivateKey:
    """Made once for all tests."""
    return rsa.generate_private_key(65_537, bits)


def jwk(number: int = 0, /, **members: object) -> dict[str, object]:
    """The public part, as a set shows it."""
    numbers = private_key(number).public_key().public_numbers()
    size = (numbers.n.bit_length() + 7) // 8
    key = {"kty": "RSA", "use": "sig", "kid": f"key {number}", "e": "AQAB"}
    return key | {"n": encode(numbers.n.to_bytes(size, "big"))} | members


@cache
def verifier(number: int = 0) -> PublicKey:
    key = public_key(jwk(number))
    assert key is not None
    return key


def issuers(*numbers: int) -> Issuers:
    """Both issuers, with these keys; without any, with the first."""
    keys = {(name, f"key {number}"): verifier(number) for name in (V1, V2) for number in numbers or (0,)}
    return Issuers(keys, frozenset((V1, V2)))


def claims(now: float = NOW, /, **changes: object) -> dict[str, object]:
    """Of an application's own token, version 1; None takes a claim out."""
    usual: dict[str, object] = {
        "aud": AUDIENCE, "iss": V1, "tid": TENANT, "appid": APP, "appidacr": "1", "oid": OBJECT, "sub": OBJECT,
        "idp": V1, "iat": int(now), "nbf": int(now), "exp": int(now) + 3_600, "ver": "1.0", "uti": "x", "rh": "x",
    }  # fmt: skip
    return {name: value for name, value in (usual | changes).items() if value is not None}


def token(
    payload: Mapping[str, object] | bytes | None = None, *, key: int = 0, now: float = NOW, **header: object
) -> str:
    """Signed with RS256, whatever its header says."""
    if not isinstance(payload, bytes):
        payload = json.dumps(payload or claims(now)).encode()
    text = signing_input(payload, {"typ": "JWT", "alg": "RS256", "kid": f"key {key}"} | header)
    signature = private_key(key).sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{text}.{encode(signature)}"


def signing_input(payload: bytes, header: Mapping[str, object]) -> str:
    head = json.dumps({name: value for name, value in header.items() if value is not None})
    return f"{encode(head.encode())}.{encode(payload)}"


def hmac_with_public_key(payload: Mapping[str, object], *, key: int = 0) -> str:
    """HS256, with what everybody knows for its secret: what a verifier takes that asks the token how to verify it."""
    import hmac

    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    pem = private_key(key).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    text = signing_input(json.dumps(payload).encode(), {"alg": "HS256", "kid": f"key {key}"})
    return f"{text}.{encode(hmac.digest(pem, text.encode(), hashlib.sha256))}"


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def oauthbearer(text: str, name: str = "") -> bytes:
    """The message of RFC 7628 section 3.1, in base64."""
    authzid = f"a={name}" if name else ""
    message = f"n,{authzid},\x01host=relay.example\x01port=587\x01auth=Bearer {text}\x01\x01"
    return base64.b64encode(message.encode())


def xoauth2(text: str, name: str = "") -> bytes:
    """Google's and Microsoft's, likewise."""
    return base64.b64encode(f"user={name}\x01auth=Bearer {text}\x01\x01".encode())
