"""No token raises, none is believed that the key has not signed, and what is taken has all that is demanded.

Two lines are header and claims of one; a single line is the token itself.
"""

from base64 import urlsafe_b64encode

from relay.identity.bearer import KEY_ID_MAX, LEEWAY_S, claims_of, fault, peek
from tests.fakes.tokens import INBOUND, NOW, verifier


def check(data: bytes) -> None:
    """One token, without and with a signature that somebody made up."""
    header, newline, payload = data.partition(b"\n")
    token = b".".join((_encode(header), _encode(payload), b"A" * 342)) if newline else data
    seen = peek(token)
    assert seen is None or (token.count(b".") == 2 and len(seen.key_id) <= KEY_ID_MAX)
    assert verifier().payload(token) is None
    claims = claims_of(payload)
    if claims is None:
        return
    assert claims.application == claims.application.lower() and claims.user == claims.user.lower()
    assert not claims.scp or claims.user
    if not fault(claims, claims.iss, INBOUND, NOW):
        assert claims.tid.lower() == INBOUND.tenant and claims.aud in INBOUND.audiences
        assert claims.nbf - LEEWAY_S <= NOW < claims.exp + LEEWAY_S
    assert fault(claims, claims.iss + "x", INBOUND, NOW) == "wrong issuer"


def _encode(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")
