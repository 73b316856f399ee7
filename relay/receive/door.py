"""Who is let in: whoever there is no room for, or who is banned, gets his reply before anything is made for him.

The first protocol of a connection. It asks for the address alone, and hands those who are
welcome to a session; the others cost no session, no line of the log each, and no TLS.
"""

import asyncio
from typing import cast

from relay.receive.common import Common
from relay.receive.session import Listener, Session


class Door(asyncio.BufferedProtocol):
    """One a connection, for a moment."""

    __slots__ = ("_common", "_listener")

    def __init__(self, common: Common, listener: Listener) -> None:
        self._common = common
        self._listener = listener

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let in, or turn away."""
        connection = cast(asyncio.Transport, transport)  # a stream's transport is one
        peer = transport.get_extra_info("peername")
        address = peer[0] if peer else ""
        refusal = self._common.refusal(address)
        if refusal is None:
            session = Session(self._common, self._listener, address)
            connection.set_protocol(session)
            session.connection_made(connection)
            return
        self._common.turned_away.tell(address, self._listener.options.name, str(refusal))
        connection.write(refusal.encode())
        connection.close()

    def get_buffer(self, sizehint: int) -> memoryview:
        """For what comes before a connection that was turned away is closed: read and forgotten."""
        return memoryview(bytearray(512))

    def buffer_updated(self, nbytes: int) -> None:
        """It is of no interest."""

    def eof_received(self) -> None:
        """Closed already."""
