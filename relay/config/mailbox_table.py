"""The shape of `[[route.mailbox]]`: one login of several, and which senders it may send for."""

from typing import Annotated

from pydantic import AfterValidator, Field

from relay.config.oauth_table import OAuthTable
from relay.config.table import Table
from relay.config.value import address_pattern

Text = Annotated[str, Field(min_length=1)]


def _sender(value: str) -> str:
    if value == "*":
        raise ValueError("for every sender no mailbox speaks of write default = true")
    return address_pattern(value)


Sender = Annotated[str, AfterValidator(_sender)]


class MailboxTable(Table):
    """`relay.route.route.Login`, and its part in `MailboxRule`s."""

    username: Text
    password_file: Text | None = None
    password_env: Text | None = None
    oauth: OAuthTable | None = None
    senders: list[Sender] | None = None
    default: bool | None = None
