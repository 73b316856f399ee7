"""The simulator put together: a tenant, its services on their sockets, its authority with the control.

Everything runs in one loop; a request for a token signs with RSA in it, for a
millisecond, which no client notices.
"""

import asyncio
import socket
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path

from relay import tls
from relay.clock import Clock
from relay.config.value import endpoint
from relay.process.listen import listen, name
from relay.simulator import graph, report
from relay.simulator.authority import Authority
from relay.simulator.connection import Connection, Shared
from relay.simulator.control import PREFIX, Control
from relay.simulator.directory import Directory
from relay.simulator.fault import Faults
from relay.simulator.folder import Folder
from relay.simulator.graph import Graph
from relay.simulator.high_volume import HighVolume
from relay.simulator.http import Request, Response
from relay.simulator.ledger import Ledger
from relay.simulator.login import Doorkeeper
from relay.simulator.mx import Mx
from relay.simulator.options import File
from relay.simulator.pace import Pace
from relay.simulator.report import Report
from relay.simulator.service import Service
from relay.simulator.session import Session
from relay.simulator.submission import Submission
from relay.simulator.tenant import Tenant, Visit
from relay.simulator.token import TokenKey
from relay.simulator.web import Web

SWEEP_S = 0.05
"""Real seconds: at `--speed 60` a session is cut within 3 of its seconds."""


class Simulator:
    """`start`, then mails come; `report` at any time; `close`."""

    def __init__(self, file: File, folder: Folder, clock: Clock, chance: Callable[[], float]) -> None:
        """`file` as `Folder.completed` gives it; `chance` is uniform in [0, 1)."""
        self.file = file
        self.folder = folder
        self.addresses: dict[str, str] = {}
        """Where each service is, once started."""
        self.pace = Pace(clock, file.speed)
        self.ledger = Ledger(file.keep)
        self.faults = Faults(chance)
        self.tenant = Tenant(file.tenant, file.limits, file.mailbox)
        self._clock = clock
        self._began = self.pace.now()
        self._key = TokenKey()
        self._applications = {each.client_id: each for each in file.application}
        ids = count(1)
        self._mx = Mx(self.tenant, self.ledger, ids, file.connector)
        self._services: tuple[Service, ...] = (
            Submission(self.tenant, self.ledger, ids),
            HighVolume(self.tenant, self.ledger, ids),
            self._mx,
        )
        self.authority = Authority(
            file.tenant.id, self._applications, file.limits, self._key, self.faults, self.ledger
        )
        self.graph = Graph(
            file.tenant.id, self.tenant.is_missing, self._applications, file.limits, self._key, self.faults,
            self.ledger, Directory(file.tenant, file.mailbox),
        )  # fmt: skip
        self._control = Control(self.ledger, self.tenant, self.faults, self.pace, self.report)
        self._web = Web(self._answer)
        self._shared: list[Shared] = []
        self._servers: list[asyncio.Server] = []
        self._sweeper: asyncio.TimerHandle | None = None
        for fault in file.fault:
            self.faults.set(fault, self._began)

    async def start(self) -> None:
        """Listen everywhere; CannotListen when that fails."""
        addresses = self.file.listen.model_dump(exclude={"expose", "names"})
        sockets = {key: listen(*endpoint(address)) for key, address in addresses.items() if address}
        self.addresses = {key: name(sock) for key, sock in sockets.items()}
        for service in self._services:
            if service.name in sockets:
                await self._serve(service, sockets[service.name])
        context = tls.server_context(str(self.folder.certificate_file), str(self.folder.key_file))
        self.authority.base = self.graph.base = f"https://{self.addresses['authority']}"
        self._servers.append(
            await asyncio.start_server(self._web.serve, sock=sockets["authority"], ssl=context)
        )
        self._sweep()

    async def close(self) -> None:
        """Hang up on everybody."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        for server in self._servers:
            server.close()
        for shared in self._shared:
            for connection in list(shared.open):
                connection.abort()
            await asyncio.gather(*shared.tasks, return_exceptions=True)
        await self._web.close()

    def report(self) -> Report:
        """What happened so far."""
        return report.make(self.ledger, self.tenant, self._mx, self._began, self.pace.now())

    async def _serve(self, service: Service, sock: socket.socket) -> None:
        # Only the MX asks for a client certificate, as Microsoft's do.
        client_ca = None if service.offers_auth else str(self.folder.ca_file)
        context = tls.server_context(
            str(self.folder.certificate_file), str(self.folder.key_file), client_ca_file=client_ca
        )
        shared = Shared(partial(self._session, service), context, self.pace)
        self._shared.append(shared)
        loop = asyncio.get_running_loop()
        self._servers.append(await loop.create_server(lambda: Connection(shared), sock=sock))

    def _session(self, service: Service, visit: Visit) -> Session:
        doorkeeper = None
        if service.offers_auth:
            doorkeeper = Doorkeeper(self.tenant, service.name, self._key, self._applications)
        keep = self._keep if self.file.keep_content else None
        return Session(
            service, doorkeeper, visit, self.file.limits, self.faults, self.ledger, keep_content=keep
        )

    def _keep(self, content: bytes, number: int) -> None:
        Path(self.folder.path / f"{number:06}.eml").write_bytes(content)

    def _answer(self, request: Request) -> Response | str:
        if request.path.startswith(PREFIX):
            return self._control.answer(request)
        if request.path.startswith(graph.PREFIX):
            return self.graph.answer(request, self.pace.now())
        return self.authority.answer(request, self.pace.now(), self._clock.now())

    def _sweep(self) -> None:
        self._sweeper = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep)
        for shared in self._shared:
            shared.sweep()
