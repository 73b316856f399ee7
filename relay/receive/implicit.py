"""Accepting for a listener with TLS from the first byte (RFC 8314): limits first, then the handshake.

A loop of its own, because uvloop's server would shake hands before it asks anybody,
and, for a protocol that starts TLS itself, would read the client's first bytes away
(it begins to read when `connection_made` returns, paused or not).
"""

import asyncio
import socket

from relay.receive import policy
from relay.receive.common import Common
from relay.receive.session import Listener, Session
from relay.tls import explain
from relay.trace.event import SessionRefused

RETRY_S = 0.1
"""After a failed accept, as when no file descriptor is left."""
HANDSHAKE_ERRORS = (OSError, EOFError, RuntimeError)
"""ssl.SSLError and time-outs are OSErrors; uvloop raises RuntimeError for a transport that closed meanwhile."""


async def accept_forever(sock: socket.socket, listener: Listener, common: Common, backlog: int) -> None:
    """Accept until cancelled; each handshake is a task of its own, bounded by the limit of connections."""
    sock.setblocking(False)
    sock.listen(backlog)
    while True:
        try:
            connection, address = await common.loop.sock_accept(sock)
        except OSError:
            await asyncio.sleep(RETRY_S)
            continue
        refusal = _refusal(listener, common, address[0])
        if refusal is not None:
            # Without TLS there is no way to say it.
            connection.close()
            common.record(SessionRefused(address[0], listener.options.name, refusal))
            continue
        common.spawn(_secure(connection, address[0], listener, common))


def _refusal(listener: Listener, common: Common, client: str) -> str | None:
    if not listener.access.allow(client):
        return str(policy.CLIENT_NOT_ALLOWED)
    if len(common.tasks) >= common.limits.connections:
        return str(policy.TOO_MANY_CONNECTIONS)
    reply = common.refusal(client)
    return None if reply is None else str(reply)


async def _secure(connection: socket.socket, client: str, listener: Listener, common: Common) -> None:
    try:
        await common.loop.connect_accepted_socket(
            lambda: Session(common, listener),
            connection,
            ssl=listener.context,
            ssl_handshake_timeout=common.limits.handshake_timeout_s,
        )
    except HANDSHAKE_ERRORS as error:
        common.record(SessionRefused(client, listener.options.name, explain(error, "the client")))
