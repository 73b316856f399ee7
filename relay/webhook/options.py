"""What an administrator may set about webhooks, each default with its reason."""

from dataclasses import dataclass, field
from pathlib import Path

from relay.trace.history.state import State

FOLDER = "webhooks"
"""In the spool's folder: where each has got to."""
EVENTS = {
    state.word: state for state in (State.DELIVERED, State.DEFERRED, State.FAILED, State.HELD, State.EXPIRED)
}
"""What can be told, by the word for it."""


@dataclass(frozen=True, slots=True)
class WebhookOptions:
    """One `[[webhook]]`."""

    name: str
    url: str
    secrets: tuple[bytes, ...] = field(repr=False)
    """Keys of the signature: the one that counts, and while it is replaced the one before."""
    events: tuple[State, ...] = tuple(EVENTS.values())
    routes: tuple[str, ...] = ()
    """Steps of these routes only; empty: of all."""
    clients: tuple[str, ...] = ()
    """Steps of mail of these clients only; empty: of all mail."""
    batch_size: int = 100
    """Events told at once, some 75 KB."""
    pause_s: float = 1.0
    """Between two looks at the history, unless a batch was full: what happens meanwhile is told together."""
    timeout_s: float = 20.0
    """From the first packet to the end of the answer. Standard Webhooks recommends 15 to 30 s."""
    retry_first_s: float = 5.0
    """The second attempt, as in the schedule of Standard Webhooks; each later one takes twice as long."""
    retry_max_s: float = 600.0
    """Ten minutes: what waits is in the history, and a receiver that is back should not have to wait for long."""
    ca_file: str | None = None
    """Authorities to trust instead of the system's."""


@dataclass(frozen=True, slots=True)
class Webhooks:
    """What the process is told."""

    hostname: str
    """Whose events they are."""
    history: Path
    folder: Path
    hooks: tuple[WebhookOptions, ...]
