"""Prospects: when mail that comes now would leave, as the deliverer foresees it and receivers may tell.

One small file beside the socket of the hand-over, replaced as a whole once a second while
somebody would have to wait. A guess and no truth: it is not synced, what cannot be read
counts as absent, and what is old is not believed.
"""

import contextlib
from pathlib import Path

import msgspec
from msgspec import Struct

FILE = "prospects"
BELIEVED_S = 10.0
"""A deliverer that lives writes each second; one that restarts with a million mails needs some seconds more."""
PROSPECTS_MAX = 512
"""Lanes and priorities; some 60 bytes each."""
FILE_MAX_BYTES = 1_048_576

Key = tuple[str, tuple[str, ...], int]
"""Route, the user names of the mailboxes any of which may send (("",): nobody logs in), priority."""


class Prospect(Struct, frozen=True, array_like=True):
    """Of mail that may be sent by the same mailboxes of a route, and has the same priority."""

    key: Key
    leaves_at: float
    """Seconds since the epoch."""


class Prospects(Struct, frozen=True, array_like=True):
    """All that are worth telling: what is not there leaves at once, as far as anybody knows."""

    at: float
    """When they were written, seconds since the epoch."""
    each: tuple[Prospect, ...] = ()


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Prospects).decode


def write(path: Path, prospects: Prospects) -> None:
    """Replace the file. A full disk costs a notice, nothing else."""
    new = path.with_name(f"{path.name}.new")
    with contextlib.suppress(OSError):
        new.write_bytes(_encode(prospects))
        new.rename(path)


def read(path: Path) -> Prospects | None:
    """None: there are none, or nobody can read them."""
    try:
        with open(path, "rb") as file:
            return _decode(file.read(FILE_MAX_BYTES))
    except (OSError, msgspec.MsgspecError):
        return None
