"""The audit log's options, each default with its reason."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class AuditOptions:
    """`[audit]`."""

    path: Path
    """Its folder."""
    key: bytes = b""
    """For HMAC; empty: a plain chain."""
    rotate_bytes: int = 67_108_864
    """64 MiB, some 200,000 lines: what one still opens in an editor, and verifies in two seconds."""
    rotate_age_s: float = 2_592_000.0
    """30 days: a file a month is what is put away and asked for."""
    rows_a_minute: int = 600
    """Of what strangers cause (failed logins, refusals), a process: 250 MB a day at worst, so that nobody fills
    the disk by failing. What is above is counted, and the count recorded."""
    rows_waiting: int = 10_000
    """For the disk, in memory, a process: 10 MB. What comes later is counted, and the count recorded."""

    def __repr__(self) -> str:
        return f"AuditOptions({self.path}, {'keyed' if self.key else 'plain'})"
