"""What an administrator may set about the record of who was seen."""

from dataclasses import dataclass

FILE = "seen.db"
"""In the spool's folder."""


@dataclass(frozen=True, slots=True)
class InventoryOptions:
    """`[inventory]`."""

    enabled: bool = True
    keep_s: float = 7_776_000.0
    """Since it was last seen: 90 days hold what sends once a quarter, and a migration."""
