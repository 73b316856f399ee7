"""No line of AUTH raises, proves a name that nobody has, or gets more than one reply of printable ASCII.

The first line is what follows AUTH; the others are answers to challenges. Few mutations of a mechanism's
name or of base64 are such again: another name stands in for what is none, and what is no base64 is put into
base64, except what begins with a question mark. A token is one word of ASCII that stands in what was said,
and of one that nobody has signed nothing is believed.
"""

import re
from base64 import b64decode, b64encode

from relay.identity.bearer import peek
from relay.smtp import bearer
from relay.smtp.reply import Reply
from relay.smtp.sasl_server import NAME_MAX_BYTES, Login, begin, go_on
from tests.fakes.tokens import verifier
from tests.fuzz.talk import Doors

STEPS_MAX = 4
"""SCRAM takes three lines of the client, LOGIN two."""
AS_IT_STANDS = re.compile(
    rb"\?.*|[*=]?|(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", re.DOTALL
)


def check(data: bytes) -> None:
    """One dialogue to its end."""
    first, *lines = data.split(b"\n")
    mechanism, space, initial = first.partition(b" ")
    first, lines = _named(mechanism) + space + _said(initial), [_said(line) for line in lines]
    dialogue, step = begin(first, Doors())
    for count, line in enumerate(lines):
        if not isinstance(step, Reply) or not step.is_intermediate:
            break
        assert count < STEPS_MAX and dialogue is not None
        step = go_on(dialogue, line)
    if isinstance(step, Login):
        assert not step.is_proved
        assert len(step.username) <= NAME_MAX_BYTES
        if step.mechanism in bearer.NAMES:
            _check_token(step.password, first.partition(b" ")[2] or lines[0])
        else:
            assert len(step.password) <= NAME_MAX_BYTES
        assert repr(step) == f"Login({step.mechanism}, {step.username!r}, …)"
    else:
        wire = step.encode()
        assert wire.endswith(b"\r\n") and wire[:-2].isascii() and wire[:-2].decode().isprintable()
        assert step.code == 334 or step.is_permanent


def _said(line: bytes) -> bytes:
    return line if AS_IT_STANDS.fullmatch(line) else b64encode(line)


def _named(name: bytes) -> bytes:
    names = Doors.mechanisms
    is_one = name.startswith(b"?") or name.upper().decode("latin-1") in names
    return name if is_one else names[sum(name) % len(names)].encode()


def _check_token(token: bytes, said: bytes) -> None:
    assert token in b64decode(said) and not set(token) - set(range(0x21, 0x7F))
    seen = peek(token)
    assert seen is None or (token.count(b".") == 2 and len(seen.key_id) <= 256)
    # The key is none that has signed anything.
    assert verifier().payload(token) is None
