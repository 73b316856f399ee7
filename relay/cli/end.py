"""Which exit status an error ends a command with; the numbers stand in `relay.process.exits`."""

from relay.errors import ConfigurationError, RelayError, SpoolError
from relay.process.exits import Exit


def status_of(error: Exception) -> Exit:
    """The status for an error that no command expected."""
    match error:
        case ConfigurationError():
            return Exit.CONFIGURATION
        case SpoolError() | OSError():
            return Exit.IO
        case RelayError():
            return Exit.UNAVAILABLE
    return Exit.SOFTWARE
