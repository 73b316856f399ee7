"""The shape of `[[route.match]]`, and of what its keys hold."""

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from relay.config.table import Table
from relay.config.value import Client, PriorityWord, RecipientPattern, SenderPattern, SideWord, size_bytes


def _campaign(value: str) -> str:
    if "*" in value[:-1] or value != value.strip():
        raise ValueError('write the name of a campaign, or what it begins with and a "*" at the end')
    return value


Campaign = Annotated[str, Field(min_length=1), AfterValidator(_campaign)]
Bytes = Annotated[int, BeforeValidator(size_bytes), Field(ge=1)]


class MatchTable(Table):
    """`relay.route.match.Match`."""

    senders: Annotated[list[SenderPattern], Field(min_length=1)] | None = None
    recipients: Annotated[list[RecipientPattern], Field(min_length=1)] | None = None
    clients: Annotated[list[Client], Field(min_length=1)] | None = None
    recipients_are: SideWord | None = None
    larger_than: Bytes | None = None
    up_to: Bytes | None = None
    priorities: Annotated[list[PriorityWord], Field(min_length=1)] | None = None
    campaigns: Annotated[list[Campaign], Field(min_length=1)] | None = None
