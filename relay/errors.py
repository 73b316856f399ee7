"""Kinds of error.

Expected ends (a refused recipient, a full queue) are values, not exceptions.
What stands here ends an operation: each kind says who can mend it.
"""


class RelayError(Exception):
    """Root of every error this project raises on purpose."""


class ConfigurationError(RelayError):
    """The administrator can mend it; the text names file, key, value and what to do."""


class ProtocolError(RelayError):
    """The peer broke the protocol; the connection is of no more use."""


class SpoolError(RelayError):
    """The spool did not do what was asked; nothing of the change was kept."""


class SpoolFull(SpoolError):
    """No room: the map, the file system or the free-space floor. Passes when room is made."""


class SpoolBroken(SpoolError):
    """The disk failed where the spool cannot go on: the process ends, and its next start reads what is there."""


class RecordDamaged(SpoolError):
    """A spool record fails its check sum or its shape."""


class AlreadyTaken(SpoolError):
    """A mail with this idempotency key was taken before: the first one stays, this one is not kept."""

    def __init__(self, first: int, is_same: bool) -> None:
        super().__init__("a mail with this idempotency key was taken before")
        self.first = first
        """Its queue id."""
        self.is_same = is_same
        """It is this mail; else another one was given its key."""
