"""Fetching a token: the one door to msal.

`fetch` blocks and is called in a thread. Each call makes its application anew: msal's
own caches would answer a request for a fresh token with the old one, and one for a
mended secret with the old error. That costs a discovery request every half hour.
"""

import logging
from typing import Protocol, cast
from urllib.parse import urlsplit

import msal  # type: ignore[import-untyped]  # msal brings no types; what is used of it is typed below
import msgspec
from msgspec import Struct

from relay.identity.access import Fetched, TokenRefused
from relay.identity.authority import refusal
from relay.identity.http import Http
from relay.route.oauth import Application, ClientCertificate, ClientSecret, ManagedIdentity

# It logs answers it does not understand, whole; without handlers of ours Python would print them on standard error.
logging.getLogger("msal").addHandler(logging.NullHandler())
logging.getLogger("msal").propagate = False

FETCH_WITHIN_S = 20.0
"""Discovery and token together take 0.2 to 2 seconds; an authority that needs longer is down."""


class _Answer(Struct):
    """A token response (RFC 6749 section 5.1), as msal passes it on."""

    access_token: str = ""
    expires_in: float = 0.0


class _Confidential(Protocol):
    def acquire_token_for_client(self, scopes: list[str]) -> dict[str, object]: ...


class _Managed(Protocol):
    def acquire_token_for_client(self, *, resource: str) -> dict[str, object]: ...


def fetch(application: Application) -> Fetched:
    """A fresh token; TokenRefused says why there is none."""
    is_managed = isinstance(application.proof, ManagedIdentity)
    http = Http(FETCH_WITHIN_S, ca_file=application.ca_file, by_proxy=not is_managed)
    host = "Azure's metadata service" if is_managed else urlsplit(application.authority).netloc
    try:
        answer = _ask(application, http)
    except TokenRefused:
        raise
    except Exception as error:
        # msal raises ValueError, KeyError, RuntimeError and kinds of its own, with texts for programmers;
        # what the authority said last is what an administrator can use.
        if http.last is not None and http.last.status_code >= 400:
            raise refusal(host, http.last.status_code, http.last.text) from None
        raise TokenRefused(f"{host} gives no token: {error or type(error).__name__}", is_fault=True) from None
    try:
        good = msgspec.convert(answer, _Answer, strict=False)
    except msgspec.ValidationError:
        good = _Answer()
    if not good.access_token or good.expires_in <= 0:
        status = 0 if http.last is None else http.last.status_code
        raise refusal(host, status, msgspec.json.encode(answer).decode())
    return Fetched(good.access_token, good.expires_in)


def _ask(application: Application, http: Http) -> dict[str, object]:
    match application.proof:
        case ManagedIdentity(client_id):
            identity = (
                msal.UserAssignedManagedIdentity(client_id=client_id)
                if client_id
                else msal.SystemAssignedManagedIdentity()
            )
            # Types of a library without any.
            managed = cast(_Managed, msal.ManagedIdentityClient(identity, http_client=http))
            return managed.acquire_token_for_client(resource=application.scope.removesuffix("/.default"))
        case ClientSecret(value):
            return _confidential(application, http, value)
        case ClientCertificate(certificate, key):
            return _confidential(application, http, {"private_key": key, "public_certificate": certificate})


def _confidential(application: Application, http: Http, credential: object) -> dict[str, object]:
    made = msal.ConfidentialClientApplication(
        application.client_id,
        client_credential=credential,
        authority=application.authority,
        # The administrator has named the authority; Microsoft need not be asked whether it is one.
        instance_discovery=False,
        http_client=http,
    )
    # Types of a library without any.
    return cast(_Confidential, made).acquire_token_for_client([application.scope])
