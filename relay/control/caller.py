"""Who is at the other end of the control socket: the kernel says so (SO_PEERCRED, unix(7))."""

import pwd
import socket
import struct
from dataclasses import dataclass

_UCRED = struct.Struct("3i")


@dataclass(frozen=True, slots=True)
class Caller:
    """A process of this machine, as it was when it connected."""

    pid: int
    uid: int
    user: str

    @property
    def name(self) -> str:
        """As it stands in reasons and in the log."""
        return self.user or f"uid {self.uid}"


def caller_of(connection: socket.socket) -> Caller:
    """OSError when the kernel does not say."""
    pid, uid, _ = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:
        user = ""
    return Caller(pid, uid, user)
