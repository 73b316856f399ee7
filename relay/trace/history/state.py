"""What can happen to a mail, and where a recipient stands after it: numbers of the history, words for people."""

from enum import IntEnum


class State(IntEnum):
    """Written in the file: a number never gets another meaning."""

    WAITING = 0
    """In the queue; nobody has tried it yet."""
    DELIVERED = 1
    DEFERRED = 2
    HELD = 3
    UNCERTAIN = 4
    """A step only: what becomes of the recipients is the next one."""
    FAILED = 5
    SPILLED = 6
    """Likewise: it goes on by another route."""
    REPORTED = 7
    """Likewise: a mail of our own tells the sender."""
    STEERED = 8
    """Likewise: somebody gave an order."""
    CANCELLED = 9
    """By such an order."""
    EXPIRED = 16
    """A step only: it failed because it had become too old; the recipient stands as failed."""
    POSTPONED = 20
    """A step only: its sender does not want it to leave yet."""

    @property
    def word(self) -> str:
        """As commands and documents call it."""
        return self.name.lower()


OUTCOMES = {
    state.word: state
    for state in (
        State.WAITING, State.DELIVERED, State.DEFERRED, State.HELD, State.UNCERTAIN, State.FAILED,
        State.CANCELLED,
    )
}  # fmt: skip
"""What can be asked for."""
