"""What an authority says when it gives no token, in an administrator's words.

Entra's errors carry a number (`AADSTS7000215`), and the number is what tells them apart:
one OAuth error (`invalid_client`) covers a wrong secret, an expired one and a certificate
that was never uploaded.
"""

import re
from dataclasses import dataclass

import msgspec
from msgspec import Struct

from relay.identity.access import TokenRefused

SAID_MAX = 300
"""Of a text we do not know; after its first line come ids and times."""


@dataclass(frozen=True, slots=True)
class Row:
    """One known error."""

    meaning: str
    advice: str
    is_fault: bool = True
    """Somebody must act; else it passes by itself."""


# Of these, 500011, 50194, 50196, 53003, 70001, 700027, 70011, 90002, 90006, 90012 stand with their meaning in "Microsoft
# Entra authentication and authorization error codes" (learn, read on 2026-11-24); the others are known from responses
# that third parties quote. Microsoft may change numbers, so they choose words and the length of a pause, nothing else.
ROWS = {
    7000215: Row("the client secret is wrong", "write the secret's value, not its id, into the route's secret file"),
    7000222: Row("the client secret has expired", "make a new one in the app registration and put it into the route's secret file"),
    7000216: Row("it wants a client secret or a certificate", "give the route's oauth table one of them"),
    7000218: Row("it wants a client secret or a certificate", "give the route's oauth table one of them"),
    70001: Row("the application is disabled", "enable it under Enterprise applications, Properties"),
    7000112: Row("the application is disabled", "enable it under Enterprise applications, Properties"),
    700016: Row("the tenant does not know the application", "compare client_id (Application ID) and tenant"),
    700027: Row(
        "the certificate's signature was refused: it is not registered with the application, or has expired",
        "upload the route's certificate under Certificates & secrets of the app registration",
    ),
    700024: Row("the signed request is out of its time", "set this machine's clock right"),
    700023: Row("the signed request is meant for another authority", "compare authority and cloud"),
    700021: Row("the signed request names another application", "compare client_id"),
    90002: Row("there is no such tenant", "compare tenant (id or a domain of it) and cloud"),
    900023: Row("the tenant's name is malformed", "write the tenant's id, or a domain of it"),
    500011: Row("the tenant has no such resource", "compare the scope with docs/microsoft365-oauth.md"),
    70011: Row("the scope is wrong", "write a resource followed by /.default"),
    1002012: Row("the scope is wrong", "write a resource followed by /.default"),
    53003: Row("Conditional Access refuses the application", "look into the sign-in logs of service principals in Entra"),
    50194: Row("the application is not multi-tenant", "write the id of the tenant, not common"),
    90033: Row("a fault that passes", "nothing", is_fault=False),
    50196: Row("too many requests in a short time", "nothing", is_fault=False),
    90006: Row("a fault that passes", "nothing", is_fault=False),
    90012: Row("the request took too long", "nothing", is_fault=False),
}  # fmt: skip
_NUMBER = re.compile(r"\bAADSTS(\d{4,9})\b")


class _Error(Struct):
    """An error response (RFC 6749 section 5.2); Azure's metadata service has the same."""

    error: object = ""
    error_description: object = ""


def refusal(host: str, status: int, text: str) -> TokenRefused:
    """Why there is no token, from an HTTP status and body; a status of 0 is not known."""
    try:
        said = msgspec.json.decode(text, type=_Error)
    except msgspec.DecodeError:
        said = _Error(error_description=f"HTTP status {status}, and no JSON with it")
    description = str(said.error_description or said.error or f"HTTP status {status}")
    found = _NUMBER.search(description)
    row = ROWS.get(int(found[1])) if found else None
    if found is not None and row is not None:
        reason = f"{host} gives no token: {row.meaning} (AADSTS{found[1]}); {row.advice}"
        return TokenRefused(reason, is_fault=row.is_fault)
    # 4xx is about what we asked; 408, 429 and 5xx are about the authority, and pass.
    is_fault = status < 500 and status not in (408, 429)
    first = " ".join(description.split("\n", 1)[0].split())
    return TokenRefused(f"{host} gives no token: {first[:SAID_MAX]}", is_fault=is_fault)
