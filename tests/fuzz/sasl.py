"""No line of AUTH raises, proves a name that nobody has, or gets more than one reply of printable ASCII.

The first line is what follows AUTH; the others are answers to challenges.
"""

from relay.smtp.reply import Reply
from relay.smtp.sasl_server import NAME_MAX_BYTES, Login, begin, go_on
from tests.fuzz.talk import Doors

STEPS_MAX = 4
"""SCRAM takes three lines of the client, LOGIN two."""


def check(data: bytes) -> None:
    """One dialogue to its end."""
    first, *lines = data.split(b"\n")
    dialogue, step = begin(first, Doors())
    for count, line in enumerate(lines):
        if not isinstance(step, Reply) or not step.is_intermediate:
            break
        assert count < STEPS_MAX and dialogue is not None
        step = go_on(dialogue, line)
    if isinstance(step, Login):
        assert not step.is_proved
        assert len(step.password) <= NAME_MAX_BYTES and len(step.username) <= NAME_MAX_BYTES
        assert len(step.password) < 8 or step.password.decode("latin-1") not in repr(step).replace(
            repr(step.username), ""
        )
    else:
        wire = step.encode()
        assert wire.endswith(b"\r\n") and wire[:-2].isascii() and wire[:-2].decode().isprintable()
        assert step.code == 334 or step.is_permanent
