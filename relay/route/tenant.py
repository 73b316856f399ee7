"""The tenant: which recipients are inside of it. All others are external, and counted as such."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path


class Unknown(Enum):
    """What becomes of mail to the inside while it is not known who there is."""

    ACCEPT = "accept"
    """A mail that is bounced later is better than one lost now."""
    REFUSE = "refuse"
    """For now: whoever sends tries again."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """`[tenant]` of the configuration."""

    domains: tuple[str, ...] = ()
    """Accepted domains, lower case: `contoso.com`, and `*.contoso.com` for all below it."""

    recipients_file: Path | None = None
    """Who there is inside; None: nobody has said."""
    recipients: Path | None = None
    """Likewise, a list that is made of the tenant's directory; who is on either is there."""
    recipients_refresh_s: float = 1_800.0
    """How often that one is made anew."""
    recipients_stale_s: float = 86_400.0
    """From this age on nobody goes by it."""
    recipients_unknown: Unknown = Unknown.ACCEPT

    def is_inside(self, address: bytes) -> bool:
        """Whether a recipient is one of the tenant's own; of no domain, nobody is."""
        domain = address[address.rfind(b"@") + 1 :].lower().decode("utf-8", "surrogateescape")
        if domain in self.domains:
            return True
        # `*.contoso.com` is not `contoso.com` itself, as in the rules of routes.
        return any(rule.startswith("*.") and domain.endswith(rule[1:]) for rule in self.domains)
