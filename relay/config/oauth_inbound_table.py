"""The shape of `[oauth_inbound]`, and of the ids that Entra gives."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from relay.config.oauth_table import authority_url
from relay.config.table import Table
from relay.config.value import CloudName

AUDIENCE_MAX = 512
_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def guid(value: str) -> str:
    """The value in lower case, when it is one; ValueError."""
    if not _GUID.fullmatch(value.lower()):
        raise ValueError('write the id as Entra shows it, such as "11111111-2222-4333-8444-555555555555"')
    return value.lower()


def _audience(value: str) -> str:
    if not value.isprintable() or " " in value or len(value) > AUDIENCE_MAX or value.endswith("/.default"):
        raise ValueError(
            'write what a token for the relay has as "aud": its application ID URI (api://…, without /.default) or its client id'
        )
    return value


Guid = Annotated[str, AfterValidator(guid)]
Audience = Annotated[str, Field(min_length=1), AfterValidator(_audience)]


class OAuthInboundTable(Table):
    """`relay.identity.bearer.Inbound`."""

    tenant: Guid
    audiences: Annotated[list[Audience], Field(min_length=1)]
    roles: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)] | None = None
    cloud: CloudName | None = None
    authority: Annotated[str, AfterValidator(authority_url)] | None = None
    ca_file: Annotated[str, Field(min_length=1)] | None = None
