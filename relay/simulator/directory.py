"""The tenant's directory, as Graph shows it: users, groups and contacts with their addresses. Pure."""

from collections.abc import Sequence

from relay.simulator.options import MailboxTable, TenantTable

ROLE = "Directory.Read.All"
COLLECTIONS = ("users", "groups", "contacts")


class Directory:
    """Who there is."""

    def __init__(self, tenant: TenantTable, mailboxes: Sequence[MailboxTable]) -> None:
        users = [
            _entry(each.address, *(alias for alias in each.send_as if alias not in tenant.missing))
            for each in mailboxes
        ]
        self._entries: dict[str, list[dict[str, object]]] = {
            "users": users + [_entry(address) for address in tenant.people],
            "groups": [_entry(address) for address in tenant.groups],
            # A contact's mail is outside; what it has inside is an alias.
            "contacts": [],
        }

    def page(self, collection: str, top: int, skip: int) -> tuple[list[dict[str, object]], bool]:
        """Entries of one collection, and whether there are more."""
        entries = self._entries[collection]
        return entries[skip : skip + top], len(entries) > skip + top


def _entry(address: str, *aliases: str) -> dict[str, object]:
    return {"mail": address, "proxyAddresses": [f"SMTP:{address}", *(f"smtp:{alias}" for alias in aliases)]}
