"""The shape of `[[route.mailbox]]`: one login of several, and which senders it may send for."""

from typing import Annotated

from pydantic import AfterValidator, Field

from relay.config.oauth_table import OAuthTable
from relay.config.table import Table

Text = Annotated[str, Field(min_length=1)]


def _sender(value: str) -> str:
    if value == "*":
        raise ValueError("for every sender no mailbox speaks of write default = true")
    local, at, domain = value.rpartition("@")
    if not at:
        domain = value.removeprefix("*.")
    is_domain = all(domain.split(".")) and not set(domain) & set("*@<> ,;")
    if value != "<>" and (not is_domain or (at and not local) or "*" in local or value != value.strip()):
        raise ValueError(
            'write an address such as "orders@contoso.com", a domain "contoso.com", "*.contoso.com" for all '
            'below it, or "<>" for mail without a sender'
        )
    return value


Sender = Annotated[str, AfterValidator(_sender)]


class MailboxTable(Table):
    """`relay.route.route.Login`, and its part in `MailboxRule`s."""

    username: Text
    password_file: Text | None = None
    password_env: Text | None = None
    oauth: OAuthTable | None = None
    senders: list[Sender] | None = None
    default: bool | None = None
