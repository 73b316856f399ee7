"""The signature of Standard Webhooks 1.0 (standardwebhooks.com): HMAC-SHA256 over id, time and body.

    webhook-id: batch_1f3c…
    webhook-timestamp: 1795602600
    webhook-signature: v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4= v1,…

While a secret is replaced there are two signatures; a receiver takes a request when one of
them is good. The time is that of the attempt, so that who overhears one cannot use it later.
"""

import hmac
from base64 import b64decode, b64encode
from binascii import Error
from collections.abc import Mapping, Sequence

PREFIX = "whsec_"
SECRET_MIN_BYTES = 24
SECRET_MAX_BYTES = 64
"""Standard Webhooks: "At least 24 bytes (192 bits, 512 maximum)"."""
HOW = 'make one: echo "whsec_$(openssl rand -base64 32)"'


def key_of(secret: str) -> bytes:
    """The key in `whsec_` and base64; ValueError says what is wrong, without the secret."""
    if not secret.startswith(PREFIX):
        raise ValueError(f'holds no secret of a webhook, which begins with "{PREFIX}"; {HOW}')
    try:
        key = b64decode(secret.removeprefix(PREFIX), validate=True)
    except (Error, ValueError):
        raise ValueError(f'holds something that is not base64 behind "{PREFIX}"; {HOW}') from None
    if not SECRET_MIN_BYTES <= len(key) <= SECRET_MAX_BYTES:
        raise ValueError(
            f"holds a secret of {len(key)} bytes; it needs {SECRET_MIN_BYTES} to {SECRET_MAX_BYTES}; {HOW}"
        )
    return key


def headers(keys: Sequence[bytes], id: str, at: int, body: bytes) -> Mapping[str, str]:
    """The three fields; `at` is in seconds since the epoch, `id` has no full stop."""
    signed = b"%b.%d.%b" % (id.encode("ascii"), at, body)
    return {
        "webhook-id": id,
        "webhook-timestamp": str(at),
        "webhook-signature": " ".join(f"v1,{_sign(key, signed)}" for key in keys),
    }


def _sign(key: bytes, signed: bytes) -> str:
    return b64encode(hmac.digest(key, signed, "sha256")).decode("ascii")
