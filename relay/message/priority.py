"""Priority: whose mail goes first when not all may go at once.

A property of a mail (RFC 6710 names it MT-PRIORITY and knows more levels than are of use
here); what it means inside a limit says `relay.budget.headroom`.
"""

from enum import IntEnum


class Priority(IntEnum):
    """Lower is first."""

    HIGH = 0
    """One mail somebody waits for: a password reset, an alarm."""
    NORMAL = 1
    BULK = 2
    """Campaigns."""
