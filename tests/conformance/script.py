"""Dialogue scripts: what the client says and what the server must say.

# a comment
O: recipients_per_message 2       a limit, see relay.receive.options.Limits; or refuse_bare_lf 1
C: MAIL FROM:<a@example.com>      sent with CRLF; C lines in a row leave in one write
C- NOOP\\n                         sent as it stands, with Python's escapes (so are C lines)
S: 250 2.1.0 Sender ok            one line of a reply, exactly
S: 250 2.0.0 queued as ...        a line that begins so
S<                                the server closes
"""

from dataclasses import dataclass, fields, replace
from pathlib import Path

from relay.receive.options import Limits, ListenerOptions

DIALOGS = sorted((Path(__file__).parent / "dialogs").glob("*.smtp"))
_LIMITS = {field.name for field in fields(Limits)}


@dataclass(frozen=True)
class Turn:
    """The client's bytes, and the lines that must come then; None stands for the close."""

    says: bytes
    expects: tuple[str | None, ...]


@dataclass(frozen=True)
class Script:
    limits: Limits
    listener: ListenerOptions
    turns: tuple[Turn, ...]


def load(path: Path) -> Script:
    """The script in a file; ValueError with its line for what is none."""
    limits, listener = Limits(), ListenerOptions("script")
    turns: list[Turn] = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        kind, rest = line[:2], line[3:]
        match kind:
            case "" | "# ":
                continue
            case "O:":
                name, _, value = rest.partition(" ")
                if name in _LIMITS:
                    limits = replace(limits, **{name: int(value)})
                else:
                    listener = replace(listener, refuse_bare_lf={"refuse_bare_lf 1": True}[rest])
            case "C:" | "C-":
                said = rest.encode("utf-8").decode("unicode_escape")
                data = said.encode("latin-1") + (b"\r\n" if kind == "C:" else b"")
                if turns and not turns[-1].expects:
                    turns[-1] = Turn(turns[-1].says + data, ())
                else:
                    turns.append(Turn(data, ()))
            case "S:" | "S<":
                if not turns:
                    turns.append(Turn(b"", ()))
                expected = rest if kind == "S:" else None
                turns[-1] = replace(turns[-1], expects=(*turns[-1].expects, expected))
            case _:
                raise ValueError(f"{path}:{number}: not a line of a script: {line!r}")
    return Script(limits, listener, tuple(turns))


def fits(expected: str, line: str) -> bool:
    """Is the line what the script wants?"""
    if expected.endswith("..."):
        return line.startswith(expected[:-3])
    return line == expected
