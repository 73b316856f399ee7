"""Listening sockets: bound once by the supervisor, inherited by its children.

Receivers come and go (restarts, new configurations) and clients notice nothing: the
kernel keeps their connections in the socket's queue meanwhile.
"""

import errno
import socket

from relay.errors import RelayError

BACKLOG = 1024
"""Connections that wait while receivers are replaced; the kernel cuts it to net.core.somaxconn (4096)."""


class CannotListen(RelayError):
    """The address cannot be bound; the text says what is in the way. `is_taken`: it may pass by itself."""

    def __init__(self, text: str, *, is_taken: bool = False) -> None:
        super().__init__(text)
        self.is_taken = is_taken


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; CannotListen says what is in the way."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setblocking(False)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # Else [::] would take 0.0.0.0's port too, and whether it does would depend on a sysctl.
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind((host, port))
        bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        text = f"cannot listen on {endpoint(host, port)}: {_reason(error, port)}"
        raise CannotListen(text, is_taken=error.errno == errno.EADDRINUSE) from None
    return bound


def endpoint(host: str, port: int) -> str:
    """As it stands in the configuration: IPv6 in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def name(bound: socket.socket) -> str:
    """The endpoint a socket is bound to, with the port the kernel chose for 0."""
    host, port = bound.getsockname()[:2]
    return endpoint(host, port)


def _reason(error: OSError, port: int) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"another program has this port; see: ss -ltnp 'sport = :{port}'"
        case errno.EACCES:
            return f"port {port} takes the capability CAP_NET_BIND_SERVICE (AmbientCapabilities= in the unit)"
        case errno.EADDRNOTAVAIL:
            return "this machine does not have that address; see: ip address"
    return error.strerror or str(error)
