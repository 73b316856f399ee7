"""Who may sign the tokens of a tenant: its issuers and their keys, as the authority tells them.

Entra has two documents of a tenant (OpenID Connect Discovery 1.0), for tokens of version 1
and of version 2: each names an issuer and where its keys are. Asked for rather than built:
issuers of national clouds differ, and a key counts for the issuer that shows it and no
other. What is said is believed because TLS says who says it; that an issuer is of this
tenant is looked at all the same.

`fetch` blocks and is called in a thread.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from relay.identity.access import TokenRefused
from relay.identity.bearer import KEY_ID_MAX, NOT_JSON, Inbound, Issuers
from relay.identity.http import Answer, Http
from relay.identity.jws import PublicKey, public_key

FETCH_WITHIN_S = 20.0
"""Four requests, which take 0.2 to 2 seconds; an authority that needs longer is down."""
DOCUMENTS = (".well-known/openid-configuration", "v2.0/.well-known/openid-configuration")
KEYS_MAX = 64
"""Of an issuer. Entra shows some ten."""

Get = Callable[[str], Answer]
Shape = TypeVar("Shape", bound=Struct)


class _Document(Struct):
    issuer: str
    jwks_uri: str


class _KeySet(Struct):
    keys: Sequence[Mapping[str, object]]


def fetch(inbound: Inbound) -> Issuers:
    """Issuers and keys as of now; TokenRefused says why they cannot be had."""
    return read(inbound, Http(FETCH_WITHIN_S, ca_file=inbound.ca_file).get)


def read(inbound: Inbound, get: Get) -> Issuers:
    """The same, whoever brings the documents."""
    keys: dict[tuple[str, str], PublicKey] = {}
    for name in DOCUMENTS:
        document = _get(get, f"{inbound}/{name}", _Document)
        if f"/{inbound.tenant}/" not in f"{urlsplit(document.issuer).path.lower()}/":
            raise _wrong(inbound, "names an issuer of another tenant; compare tenant and cloud")
        if urlsplit(document.jwks_uri).scheme != "https":
            raise _wrong(inbound, "says that its keys are at an address without TLS")
        keys |= _keys_of(_get(get, document.jwks_uri, _KeySet), document.issuer, inbound)
    if not keys:
        raise _wrong(inbound, "shows no key that signs with RS256")
    return Issuers(keys, frozenset(issuer for issuer, _ in keys))


def _keys_of(found: _KeySet, issuer: str, inbound: Inbound) -> dict[tuple[str, str], PublicKey]:
    keys = {}
    for jwk in found.keys[:KEYS_MAX]:
        key_id, key = jwk.get("kid"), public_key(jwk)
        if (
            isinstance(key_id, str)
            and len(key_id) <= KEY_ID_MAX
            and key is not None
            and _is_ours(jwk, inbound)
        ):
            keys[issuer, key_id] = key
    return keys


def _is_ours(jwk: Mapping[str, object], inbound: Inbound) -> bool:
    """Microsoft's sets have keys for other tenants too (accounts of consumers), and say so: `issuer`, with
    `{tenantid}` for any. A key for all of them, or without the word, is ours."""
    issuer = jwk.get("issuer")
    if not isinstance(issuer, str):
        return True
    return "{tenantid}" in issuer or f"/{inbound.tenant}/" in f"{issuer.lower()}/"


def _get(get: Get, url: str, shape: type[Shape]) -> Shape:
    answer = get(url)
    host = urlsplit(url).netloc
    if answer.status_code != 200:
        # 4xx is about what we asked: a tenant that is not there; 408, 429 and 5xx pass.
        is_fault = 400 <= answer.status_code < 500 and answer.status_code not in (408, 429)
        raise TokenRefused(f"{host} tells no keys: HTTP status {answer.status_code}", is_fault=is_fault)
    try:
        return msgspec.json.decode(answer.text, type=shape)
    except NOT_JSON:
        raise TokenRefused(
            f"{host} tells no keys: its answer is not what it should be", is_fault=False
        ) from None


def _wrong(inbound: Inbound, what: str) -> TokenRefused:
    return TokenRefused(f"{urlsplit(inbound.authority).netloc} {what}", is_fault=True)
