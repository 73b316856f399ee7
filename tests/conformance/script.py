"""Dialogue scripts: what the client says and what the server must say.

# a comment
O: recipients_per_message 2       a limit, see relay.receive.options.Limits; or a key of the listener:
                                  refuse_bare_lf 1, auth required, auth_without_tls 1, xclient_networks 127.0.0.1/32
O: client erp                     one of tests.fakes.clients is known
C: MAIL FROM:<a@example.com>      sent with CRLF; C lines in a row leave in one write
C- NOOP\\n                         sent as it stands, with Python's escapes (so are C lines)
S: 250 2.1.0 Sender ok            one line of a reply, exactly
S: 250 2.0.0 queued as ...        a line that begins so
S<                                the server closes
"""

from dataclasses import dataclass, fields, replace
from pathlib import Path

from relay.identity.client import Clients
from relay.receive.options import Auth, Limits, ListenerOptions
from tests.fakes.clients import ERP, LEFT, LOCAL, SEED

DIALOGS = sorted((Path(__file__).parent / "dialogs").glob("*.smtp"))
_LIMITS = {field.name for field in fields(Limits)}
_CLIENTS = {client.name: client for client in (ERP, LEFT, LOCAL)}


@dataclass(frozen=True)
class Turn:
    """The client's bytes, and the lines that must come then; None stands for the close."""

    says: bytes
    expects: tuple[str | None, ...]


@dataclass(frozen=True)
class Script:
    limits: Limits
    clients: Clients
    listener: ListenerOptions
    turns: tuple[Turn, ...]


def load(path: Path) -> Script:
    """The script in a file; ValueError with its line for what is none."""
    limits, listener, known = Limits(), ListenerOptions("script"), Clients()
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
                elif name == "client":
                    known = Clients((*known.clients, _CLIENTS[value]), SEED)
                else:
                    listener = _with(listener, name, value)
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
    return Script(limits, known, listener, tuple(turns))


def _with(listener: ListenerOptions, key: str, value: str) -> ListenerOptions:
    match key, value:
        case "refuse_bare_lf", "1":
            return replace(listener, refuse_bare_lf=True)
        case "auth", _:
            return replace(listener, auth=Auth(value))
        case "auth_without_tls", "1":
            return replace(listener, auth_without_tls=True)
        case "xclient_networks", _:
            return replace(listener, xclient_networks=(value,))
    raise ValueError(f"no option of a script: {key} {value}")


def fits(expected: str, line: str) -> bool:
    """Is the line what the script wants?"""
    if expected.endswith("..."):
        return line.startswith(expected[:-3])
    return line == expected
