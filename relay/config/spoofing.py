"""From `[spoofing]` to its options. What is asked by default follows from whether the tenant's domains are known."""

from relay.config.findings import Findings
from relay.config.model import SpoofingTable
from relay.receive.options import Action, SpoofingOptions
from relay.route.tenant import Tenant

FOR_A_TENANT = SpoofingOptions(Action.REFUSE, Action.WARN, Action.WARN, Action.WARN)
"""Microsoft counts what leaves under other names against the tenant. The other rules find honest mail too now and
then, so they only tell of it; alignment asks the DNS for every new domain, which somebody should have wanted."""


def build_spoofing(found: Findings, table: SpoofingTable, tenant: Tenant) -> SpoofingOptions:
    """A smarthost that knows no domains of its own passes on what it is given."""
    default = FOR_A_TENANT if tenant.domains else SpoofingOptions()
    if not tenant.domains:
        for key, word in (("from", table.from_field), ("sender", table.sender_field)):
            if word in ("warn", "refuse"):
                found.warning(
                    f"spoofing.{key}",
                    "judges only the field's form: whose domains are ours is not known; write [tenant] domains",
                )
    return SpoofingOptions(
        Action(table.from_field or default.from_field),
        Action(table.sender_field or default.sender_field),
        Action(table.display_name or default.display_name),
        Action(table.null_sender or default.null_sender),
        Action(table.alignment or default.alignment),
    )
