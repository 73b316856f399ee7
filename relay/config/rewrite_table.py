"""The shape of a `[[rewrite]]` table."""

from typing import Annotated

from pydantic import AfterValidator, Field

from relay.config.table import Table
from relay.config.value import Network
from relay.smtp.address import parse_path


def _sender(value: str) -> str:
    if value.strip() == "<>":
        raise ValueError("the null sender is never rewritten: a report with a sender is answered by a report")
    domain = value.strip().removeprefix("*.")
    address = value.strip() if "@" in value else f"a@{domain}"
    path = parse_path(f"<{address}>".encode())
    if path is None or path.address.decode() != address:
        raise ValueError('write an address or a domain: "printer@local", "example.com" or "*.example.com"')
    return value


def _address(value: str) -> str:
    path = parse_path(f"<{value}>".encode())
    if path is None or path.address.decode() != value or "@" not in value or not value.isascii():
        raise ValueError('write one address in ASCII, such as "scanner@example.com"')
    return value


Address = Annotated[str, AfterValidator(_address)]


class RewriteTable(Table):
    """`relay.receive.options.Rewrite`."""

    senders: Annotated[list[Annotated[str, AfterValidator(_sender)]], Field(min_length=1)]
    to: Address
    from_field: bool | None = None
    clients: Annotated[list[Network], Field(min_length=1)] | None = None
