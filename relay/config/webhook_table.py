"""The shape of `[[webhook]]`."""

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from relay.config.table import Table
from relay.config.value import Seconds

Text = Annotated[str, Field(min_length=1)]
EventWord = Literal["delivered", "deferred", "failed", "held", "expired"]
"""Of relay.webhook.options.EVENTS; a test compares."""
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_URL_MAX = 2_048
HOW = 'write a URL such as "https://app.example.com/mail-events"'


def _name(value: str) -> str:
    """It names a file, too."""
    if not _NAME.fullmatch(value):
        raise ValueError('write up to 64 of a-z, 0-9, - and _, such as "crm"')
    return value


def _url(value: str) -> str:
    if len(value) > _URL_MAX or not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError(f"{HOW}: in ASCII, without spaces, up to {_URL_MAX} characters")
    parts = urlsplit(value)
    try:
        port_is_good = parts.port != 0
    except ValueError:
        port_is_good = False
    if parts.scheme not in ("https", "http") or not parts.hostname or not port_is_good:
        raise ValueError(HOW)
    if parts.username is not None or parts.password is not None:
        raise ValueError(
            "must hold no name or password: it is shown; the receiver knows the relay by the signature"
        )
    if parts.fragment:
        raise ValueError("must hold no #: what follows it is never sent")
    return value


class WebhookTable(Table):
    """`relay.webhook.options.WebhookOptions`."""

    name: Annotated[str, AfterValidator(_name)]
    url: Annotated[str, AfterValidator(_url)]
    secret_file: Text | None = None
    secret_env: Text | None = None
    previous_secret_file: Text | None = None
    previous_secret_env: Text | None = None
    allow_http: bool | None = None
    events: Annotated[list[EventWord], Field(min_length=1)] | None = None
    routes: Annotated[list[Text], Field(min_length=1)] | None = None
    clients: Annotated[list[Text], Field(min_length=1)] | None = None
    batch_size: Annotated[int, Field(ge=1, le=1_000)] | None = None
    pause: Annotated[Seconds, Field(ge=0.1, le=3_600)] | None = None
    timeout: Annotated[Seconds, Field(ge=1, le=120)] | None = None
    retry_first: Annotated[Seconds, Field(ge=0.1)] | None = None
    retry_max: Annotated[Seconds, Field(ge=1, le=86_400)] | None = None
    ca_file: Text | None = None
