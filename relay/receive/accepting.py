"""Accepting for a listener where something comes before the session: a PROXY header, a TLS handshake, or both.

A loop of its own, because uvloop's server would shake hands before it asks anybody,
and, for a protocol that starts TLS itself, would read the client's first bytes away
(it begins to read when `connection_made` returns, paused or not). Limits first, then
the header of a proxy that is named, then the handshake (RFC 8314).
"""

import asyncio
import socket

from relay.errors import ProtocolError
from relay.receive import policy
from relay.receive.common import Common
from relay.receive.options import ListenerTls
from relay.receive.session import Listener, Session
from relay.smtp.proxy import Proxied, parse_proxy
from relay.tls import explain

RETRY_S = 0.1
"""After a failed accept, as when no file descriptor is left."""
HANDSHAKE_ERRORS = (OSError, EOFError, RuntimeError)
"""ssl.SSLError and time-outs are OSErrors; uvloop raises RuntimeError for a transport that closed meanwhile."""


async def accept_forever(sock: socket.socket, listener: Listener, common: Common, backlog: int) -> None:
    """Accept until cancelled; what follows is a task for each, bounded by the limit of connections."""
    sock.setblocking(False)
    sock.listen(backlog)
    while True:
        try:
            connection, address = await common.loop.sock_accept(sock)
        except OSError:
            await asyncio.sleep(RETRY_S)
            continue
        peer = address[0]
        is_proxy = listener.access.proxies.allow(peer)
        refusal = None if is_proxy and _has_room(common) else _refusal(listener, common, peer)
        if refusal is not None:
            _refuse(connection, peer, refusal, listener, common)
        elif is_proxy:
            common.spawn(_proxied(connection, peer, listener, common))
        else:
            common.spawn(_begin(connection, peer, listener, common))


def _has_room(common: Common) -> bool:
    return len(common.tasks) < common.limits.connections


def _refusal(listener: Listener, common: Common, client: str) -> str | None:
    """Why there is no handshake. Without TLS the session says so itself."""
    if not _has_room(common):
        return str(policy.TOO_MANY_CONNECTIONS)
    if listener.options.tls is not ListenerTls.IMPLICIT:
        return None
    if not listener.access.may_connect(client):
        return str(policy.CLIENT_NOT_ALLOWED)
    reply = common.refusal(client)
    return None if reply is None else str(reply)


def _refuse(connection: socket.socket, client: str, reason: str, listener: Listener, common: Common) -> None:
    # Without TLS there is no way to say it.
    connection.close()
    common.turned_away.tell(client, listener.options.name, reason)


async def _proxied(connection: socket.socket, proxy: str, listener: Listener, common: Common) -> None:
    """Read the header that this proxy must send, then go on for the client that it names."""
    try:
        async with asyncio.timeout(common.limits.handshake_timeout_s):
            header = await _read_header(connection, common.loop)
    except (ProtocolError, OSError, EOFError) as problem:
        reason = "no PROXY header came in time" if isinstance(problem, TimeoutError) else str(problem)
        _refuse(connection, proxy, reason, listener, common)
        return
    except asyncio.CancelledError:
        connection.close()
        raise
    client = header.client or proxy
    refusal = _refusal(listener, common, client)
    if refusal is not None:
        _refuse(connection, client, refusal, listener, common)
        return
    await _begin(connection, client, listener, common)


async def _read_header(connection: socket.socket, loop: asyncio.AbstractEventLoop) -> Proxied:
    """No byte more than the header has: what follows may be a TLS handshake. Header and bound are `smtp.proxy`'s."""
    data = b""
    while True:
        result = parse_proxy(data)
        if isinstance(result, Proxied):
            return result
        piece = await loop.sock_recv(connection, result.count)
        if not piece:
            raise EOFError("the proxy closed the connection within its header")
        data += piece


async def _begin(connection: socket.socket, client: str, listener: Listener, common: Common) -> None:
    is_implicit = listener.options.tls is ListenerTls.IMPLICIT
    timeout_s = common.limits.handshake_timeout_s if is_implicit else None
    try:
        await common.loop.connect_accepted_socket(
            lambda: Session(common, listener, client),
            connection,
            ssl=listener.context if is_implicit else None,
            ssl_handshake_timeout=timeout_s,
        )
    except HANDSHAKE_ERRORS as error:
        common.turned_away.tell(client, listener.options.name, explain(error, "the client"))
