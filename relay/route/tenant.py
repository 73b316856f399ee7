"""The tenant: which recipients are inside of it. All others are external, and counted as such."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Tenant:
    """`[tenant]` of the configuration."""

    domains: tuple[str, ...] = ()
    """Accepted domains, lower case: `contoso.com`, and `*.contoso.com` for all below it."""

    recipients_file: Path | None = None
    """Who there is inside; None: nobody has said."""

    def is_inside(self, address: bytes) -> bool:
        """Whether a recipient is one of the tenant's own; of no domain, nobody is."""
        domain = address[address.rfind(b"@") + 1 :].lower().decode("utf-8", "surrogateescape")
        if domain in self.domains:
            return True
        # `*.contoso.com` is not `contoso.com` itself, as in the rules of routes.
        return any(rule.startswith("*.") and domain.endswith(rule[1:]) for rule in self.domains)
