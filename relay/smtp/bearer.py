"""What a client says that logs in with a token: OAUTHBEARER (RFC 7628) and XOAUTH2 (Google, Microsoft).

One message holds a name and the token. What is wrong with a token a client is told as
JSON in a 334, and the refusal follows its answer to that. The JSON says the same whatever
is wrong, and names no server to get tokens from: that would be our configuration.

Channel binding is not offered, so `p=` is refused. `host` and `port`, which a client may
add, are read over: TLS has said whom it talks to.
"""

import re

OAUTHBEARER, XOAUTH2 = "OAUTHBEARER", "XOAUTH2"
NAMES = frozenset((OAUTHBEARER, XOAUTH2))
LINE_MAX_BYTES = 12_288
"""Of a line of AUTH that may hold a token, after RFC 4954 section 4. Entra's tokens have 1.5 to 3 KB, some with many
groups 8; base64 makes them a third longer."""
COMPLAINTS = {
    # RFC 7628 section 3.2.2; an unknown user and a missing right are told alike.
    OAUTHBEARER: b'{"status":"invalid_token"}',
    # As Google documents it.
    XOAUTH2: b'{"status":"401","schemes":"bearer","scope":""}',
}

_OAUTHBEARER = re.compile(
    rb"[ny],(?:a=(?P<name>[^,\x00\x01]+))?,\x01(?P<pairs>(?:[A-Za-z]+=[\t\n\r\x20-\x7e]*\x01)*)\x01"
)
_XOAUTH2 = re.compile(rb"user=(?P<name>[^\x00\x01]*)\x01auth=(?P<auth>[\x20-\x7e]*)\x01\x01")
# RFC 6750 section 2.1, and the scheme in either case (RFC 7235 section 2.1).
_BEARER = re.compile(rb"[Bb][Ee][Aa][Rr][Ee][Rr] +(?P<token>[A-Za-z0-9._~+/-]+=*)")


def read(mechanism: str, message: bytes) -> tuple[bytes, bytes] | None:
    """Name and token, each empty where there is none; None: that is no message of the mechanism."""
    return _read_oauthbearer(message) if mechanism == OAUTHBEARER else _read_xoauth2(message)


def _read_oauthbearer(message: bytes) -> tuple[bytes, bytes] | None:
    match = _OAUTHBEARER.fullmatch(message)
    if match is None:
        return None
    given = [pair[5:] for pair in match["pairs"].split(b"\x01") if pair[:5].lower() == b"auth="]
    name = _saslname(match["name"] or b"")
    # RFC 7628 section 3.1: a key stands once, and `auth` is one that must.
    if len(given) != 1 or name is None:
        return None
    return name, _token(given[0])


def _read_xoauth2(message: bytes) -> tuple[bytes, bytes] | None:
    match = _XOAUTH2.fullmatch(message)
    return None if match is None else (match["name"], _token(match["auth"]))


def _token(value: bytes) -> bytes:
    """None of the scheme is a token that is wrong: the client is told so by the mechanism (RFC 7628 section 4.3)."""
    match = _BEARER.fullmatch(value.strip(b" "))
    return b"" if match is None else match["token"]


def _saslname(text: bytes) -> bytes | None:
    """RFC 5801 section 4: `=2C` is a comma, `=3D` an equals sign, and no other stands in a name."""
    name = text.replace(b"=2C", b",").replace(b"=3D", b"\0")
    return None if b"=" in name else name.replace(b"\0", b"=")
