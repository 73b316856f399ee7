"""Exit statuses, from sysexits(3) where it has one; docs/operations.md tells administrators."""

from enum import IntEnum


class Exit(IntEnum):
    """What a process says with its end."""

    OK = 0
    FOUND = 1
    """Something to look at was found, or something had to be cut short."""
    USAGE = 64
    UNAVAILABLE = 69
    """Something it needs is in use or not there; trying again later may do."""
    SOFTWARE = 70
    """A fault of this program."""
    IO = 74
    CONFIGURATION = 78
    """Trying again does not help before somebody mends it."""


GIVE_UP = frozenset({Exit.UNAVAILABLE, Exit.IO, Exit.CONFIGURATION})
"""A child that ends so before the relay was ever ready ends the relay: whoever starts it sees why."""
