"""Tokens that clients log in with: what is demanded of one, and whose it is.

An access token of Entra's in either version: of version 1 the application is `appid`, of
version 2 `azp`. Without I/O, and without signatures: `jws` has verified the payload. `peek`
reads a token that nobody has verified, to find the key that may have signed it; what it
finds chooses among keys that are known and among the reasons in the log, and nothing else.

A token that an application got for itself and one that it got for a user are told apart,
for whoever may run a program as himself is not the application (Microsoft, "Access token
claims": only a user's token has `scp`, and in an application's `sub` is its `oid`). A user
is known by `oid`: names (`upn`, `preferred_username`) change and are given again.
"""

import re
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

import msgspec
from msgspec import Struct

LEEWAY_S = 60.0
"""For clocks that differ. Microsoft's own libraries allow 300; machines that keep time by NTP need none."""
KEY_ID_MAX = 256
"""Entra's have 27 characters."""

NOT_JSON = (msgspec.MsgspecError, ValueError, RecursionError)
"""What msgspec raises at bytes of strangers; the last at a thousand brackets."""

Shape = TypeVar("Shape", bound=Struct)
_SEGMENT = re.compile(rb"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Inbound:
    """`[oauth_inbound]`: whose tokens are taken, and which."""

    tenant: str
    """Its id, in lower case."""
    audiences: tuple[str, ...]
    """What a token is for: the relay as it is registered, by its application ID URI or its client id."""
    authority: str = "https://login.microsoftonline.com"
    """`https://host[:port]` of the cloud."""
    roles: tuple[str, ...] = ()
    """A token needs one of them; none: any token for the audience will do, for the clients say who may come."""
    ca_file: str | None = None
    """Certificates to trust for the authority instead of the system's."""

    def __str__(self) -> str:
        return f"{self.authority}/{self.tenant}"


class Key(Protocol):
    """`relay.identity.jws.PublicKey`."""

    def payload(self, token: bytes) -> bytes | None:
        """What was signed, when it was with this key."""
        ...


@dataclass(frozen=True, slots=True)
class Issuers:
    """Who may sign, as the authority told it at one moment."""

    keys: Mapping[tuple[str, str], Key]
    """By issuer and key id."""
    names: frozenset[str]


class Seen(Struct, frozen=True):
    """What a token says of itself."""

    key_id: str
    issuer: str


class Claims(Struct, frozen=True):
    """What is of use of a token. Values of another kind than these make it none."""

    iss: str
    aud: str
    tid: str
    exp: float
    nbf: float = 0.0
    appid: str = ""
    azp: str = ""
    oid: str = ""
    sub: str = ""
    idtyp: str = ""
    scp: str = ""
    roles: tuple[str, ...] = ()

    @property
    def application(self) -> str:
        """The application, in either version, in lower case."""
        return (self.appid or self.azp).lower()

    @property
    def user(self) -> str:
        """The user that it is for, in lower case; empty: the application itself."""
        is_own = not self.scp and (self.idtyp == "app" or (not self.idtyp and self.sub == self.oid != ""))
        return "" if is_own else self.oid.lower() or "unknown"

    def __str__(self) -> str:
        """For the log: ids, no names."""
        return f"application {self.application}{f', user {self.user}' if self.user else ''}"


class _Header(Struct):
    alg: str
    kid: str


class _Issuer(Struct):
    iss: str


def peek(token: bytes) -> Seen | None:
    """What it says of itself; None: no token of a kind that is taken here."""
    parts = token.split(b".", 3)
    if len(parts) != 3:
        return None
    header, payload = _decoded(parts[0], _Header), _decoded(parts[1], _Issuer)
    if header is None or payload is None or header.alg != "RS256" or len(header.kid) > KEY_ID_MAX:
        return None
    return Seen(header.kid, payload.iss)


def claims_of(payload: bytes) -> Claims | None:
    """The claims of a payload whose signature is good."""
    try:
        return msgspec.json.decode(payload, type=Claims)
    except NOT_JSON:
        return None


def fault(claims: Claims, issuer: str, inbound: Inbound, now: float) -> str:
    """Why it is not taken, in a few words for the log; empty: it is. `issuer` is whose key has signed it."""
    if claims.iss != issuer:
        return "wrong issuer"
    if claims.tid.lower() != inbound.tenant:
        return "wrong tenant"
    if claims.aud not in inbound.audiences:
        return "wrong audience"
    if now >= claims.exp + LEEWAY_S:
        return "expired token"
    if now < claims.nbf - LEEWAY_S:
        return "token not valid yet"
    if inbound.roles and not set(inbound.roles) & set(claims.roles):
        return "missing role"
    return ""


def _decoded(segment: bytes, shape: type[Shape]) -> Shape | None:
    if not _SEGMENT.fullmatch(segment):
        return None
    try:
        return msgspec.json.decode(urlsafe_b64decode(segment + b"=" * (-len(segment) % 4)), type=shape)
    except NOT_JSON:
        return None
