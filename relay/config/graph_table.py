"""The shape of `[graph]`; what the values may be, one by one."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from relay.config.oauth_table import ApplicationTable
from relay.config.value import CloudName, Seconds

QUESTIONS_MAX = 100
"""A tenant has no more in 5 minutes."""


def _url(value: str) -> str:
    """`https://host[:port]`, whether written so or as the host alone."""
    parts = urlsplit(value if "://" in value else f"https://{value}")
    if (
        parts.scheme != "https"
        or not parts.hostname
        or parts.path.strip("/")
        or parts.query
        or parts.username
    ):
        raise ValueError('write the host of Microsoft Graph, such as "graph.microsoft.com"')
    return f"https://{parts.netloc}"


class GraphTable(ApplicationTable):
    """`relay.identity.graph.GraphOptions` and its application."""

    cloud: CloudName | None = None
    url: Annotated[str, AfterValidator(_url)] | None = None
    trace_first: Annotated[Seconds, Field(gt=0)] | None = None
    trace_absent_after: Annotated[Seconds, Field(gt=0)] | None = None
    trace_questions: Annotated[int, Field(ge=1, le=QUESTIONS_MAX)] | None = None
