"""The other end of the control socket: a command sends one request and reads the answer as it comes."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec

from relay.control.request import Request
from relay.errors import RelayError

CONNECT_WITHIN_S = 5.0
ANSWER_WITHIN_S = 600.0
"""Between two lines: an order says twice a second how far it is; one that waits for another's end says nothing."""
LINE_MAX_BYTES = 16_777_216
"""An answer to `why` names every recipient of the mail."""


class Unanswered(RelayError):
    """The deliverer is not there, or does not let us in; the text says what to do."""


class NotRunning(Unanswered):
    """Nobody listens: no relay runs with this configuration."""


def ask(path: Path, request: Request) -> Iterator[dict[str, object]]:
    """The objects of the answer, the last one with `end`; Unanswered."""
    with _connected(path) as connection:
        try:
            connection.sendall(msgspec.json.encode(request) + b"\n")
            connection.settimeout(ANSWER_WITHIN_S)
            yield from _lines(connection)
        except TimeoutError:
            raise Unanswered(
                f"the relay has not answered for {ANSWER_WITHIN_S:.0f} seconds; look at its log"
            ) from None
        except OSError as error:
            raise Unanswered(
                f"the relay hung up: {os.strerror(error.errno or 0)}; look at its log"
            ) from error


def _connected(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(CONNECT_WITHIN_S)
    try:
        connection.connect(str(path))
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        raise NotRunning(
            f"no relay runs with this configuration (nobody listens at {path}); "
            "start it (systemctl start m365-relay), or name its configuration with --config"
        ) from None
    except PermissionError:
        connection.close()
        raise Unanswered(
            f"{path} does not let you in; be the relay's user (sudo -u m365-relay), root, "
            "or in the group of [control] group"
        ) from None
    except OSError as error:
        connection.close()
        raise Unanswered(f"{path} cannot be connected to: {error}") from error
    return connection


def _lines(connection: socket.socket) -> Iterator[dict[str, object]]:
    buffer = bytearray()
    while True:
        data = connection.recv(65_536)
        if not data:
            raise Unanswered("the relay hung up before its answer was whole; look at its log, and ask again")
        buffer += data
        while (end := buffer.find(b"\n")) != -1:
            answer: dict[str, object] = msgspec.json.decode(bytes(buffer[:end]), type=dict[str, object])
            del buffer[: end + 1]
            yield answer
            if answer.get("end"):
                return
        if len(buffer) > LINE_MAX_BYTES:
            raise Unanswered("the relay's answer has no end; are both of the same release?")
