"""The shape of `[route.oauth]`, and of applications anywhere; what the values may be, one by one."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from relay.config.table import Table
from relay.config.value import Date, Seconds

Text = Annotated[str, Field(min_length=1)]
NAME = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-._")
SHARED_TENANTS = ("common", "organizations", "consumers")


def _tenant(value: str) -> str:
    if value.lower() in SHARED_TENANTS:
        raise ValueError("an application without a user needs the tenant itself: its id, or a domain of it")
    if not value or set(value.lower()) - NAME:
        raise ValueError("write the tenant's id, or a domain of it such as contoso.onmicrosoft.com")
    return value


def _client_id(value: str) -> str:
    if not value or set(value.lower()) - NAME:
        raise ValueError("write the Application (client) ID of the app registration")
    return value


def authority_url(value: str) -> str:
    """`https://host[:port]`, whether written so or as the host alone."""
    parts = urlsplit(value if "://" in value else f"https://{value}")
    if (
        parts.scheme != "https"
        or not parts.hostname
        or parts.path.strip("/")
        or parts.query
        or parts.username
    ):
        raise ValueError(
            'write the authority\'s host, such as "login.microsoftonline.us"; the tenant has a key of its own'
        )
    return f"https://{parts.netloc}"


def _scope(value: str) -> str:
    if not value.endswith("/.default") or not value.startswith("https://") or " " in value:
        raise ValueError(
            'write a resource followed by /.default, such as "https://outlook.office365.com/.default"'
        )
    return value


class ApplicationTable(Table):
    """`relay.route.oauth.Application`."""

    tenant: Annotated[str, AfterValidator(_tenant)] | None = None
    client_id: Annotated[str, AfterValidator(_client_id)] | None = None
    client_secret_file: Text | None = None
    client_secret_env: Text | None = None
    client_secret_expires: Date | None = None
    certificate: Text | None = None
    key: Text | None = None
    key_password_env: Text | None = None
    managed_identity: Annotated[str, AfterValidator(_client_id)] | None = None
    authority: Annotated[str, AfterValidator(authority_url)] | None = None
    ca_file: Text | None = None
    scope: Annotated[str, AfterValidator(_scope)] | None = None


class OAuthTable(ApplicationTable):
    """`relay.route.oauth.OAuth` and its application."""

    margin: Seconds | None = None
    session_ends_with_token: bool | None = None
