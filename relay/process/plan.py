"""Which children a configuration asks for, and what each is told.

`Sockets` are the listening sockets by endpoint; they outlive children and, where the
new configuration names the same endpoint, configurations too.
"""

import socket
from collections.abc import Callable, Sequence
from dataclasses import replace

from relay.clock import Clock
from relay.config.configuration import Configuration
from relay.identity.client import Clients
from relay.identity.dkim import DomainPolicy
from relay.process import assignment, listen
from relay.process.assignment import Assignment, InheritedListener
from relay.process.child import Child
from relay.process.seat import Seat
from relay.trace.event import Record

RECEIVER = "relay.process.receiver"
DELIVERER = "relay.process.deliverer"
CONSOLE = "relay.console.main"
WEBHOOKS = "relay.process.webhooks"

NOBODY = Clients()

Endpoint = tuple[str, int, str]
"""Address, port, and for port 0, where the kernel chooses one, whose it is."""


class Sockets:
    """Listening sockets by the endpoint the configuration names."""

    def __init__(self) -> None:
        self._bound: dict[Endpoint, socket.socket] = {}

    def bind(self, configuration: Configuration) -> None:
        """Bind what is not bound yet; CannotListen, and then nothing new is."""
        new: dict[Endpoint, socket.socket] = {}
        try:
            for endpoint in _endpoints(configuration):
                if endpoint not in self._bound:
                    new[endpoint] = listen.listen(*endpoint[:2])
        except listen.CannotListen:
            for bound in new.values():
                bound.close()
            raise
        self._bound |= new

    def keep(self, configuration: Configuration) -> None:
        """Close what the configuration does not name."""
        wanted = _endpoints(configuration)
        for endpoint in [each for each in self._bound if each not in wanted]:
            self._bound.pop(endpoint).close()

    def close(self) -> None:
        """Close all."""
        for bound in self._bound.values():
            bound.close()
        self._bound.clear()

    def at(self, endpoint: Endpoint) -> socket.socket:
        """The socket of that endpoint."""
        return self._bound[endpoint]

    def names(self, configuration: Configuration) -> tuple[str, ...]:
        """What the listeners are bound to."""
        return tuple(
            listen.name(self.at(_listener_at(index, configuration)))
            for index in range(len(configuration.listeners))
        )


class Plan:
    """The seats of one configuration; nothing is started yet."""

    def __init__(
        self,
        configuration: Configuration,
        sockets: Sockets,
        record: Record,
        clock: Clock,
        on_end: Callable[[Seat, int, int], None],
    ) -> None:
        self._configuration = configuration
        self._sockets = sockets
        self._record = record
        self._clock = clock
        self._on_end = on_end

    def receivers(self) -> list[Seat]:
        """One a core that is free for it."""
        listeners = [self._inherited(index) for index in range(len(self._configuration.listeners))]
        count = self._configuration.relay.receivers
        keys, clients = self._configuration.dkim, self._configuration.clients
        return [
            self._seat(RECEIVER, f"receiver-{i}", i, listeners=tuple(listeners), dkim=keys, clients=clients)
            for i in range(count)
        ]

    def deliverer(self) -> list[Seat]:
        """The one that a spool has."""
        return [self._seat(DELIVERER, "deliverer", 0)]

    def console(self) -> list[Seat]:
        """One, or none."""
        console = self._configuration.console
        if console is None:
            return []
        bound = self._sockets.at(_endpoint(console.host, console.port, CONSOLE))
        return [self._seat(CONSOLE, "console", 0, console=bound.fileno())]

    def webhooks(self) -> list[Seat]:
        """One for all of them, or none."""
        return [] if self._configuration.webhooks is None else [self._seat(WEBHOOKS, "webhooks", 0)]

    def _inherited(self, index: int) -> InheritedListener:
        listener = self._configuration.listeners[index]
        bound = self._sockets.at(_listener_at(index, self._configuration))
        return InheritedListener(
            bound.fileno(),
            replace(listener.options, name=listen.name(bound)),
            *(
                None if path is None else str(path)
                for path in (
                    listener.certificate,
                    listener.key,
                    listener.client_ca_file,
                    listener.client_crl_file,
                )
            ),
        )

    def _seat(
        self,
        module: str,
        role: str,
        number: int,
        listeners: tuple[InheritedListener, ...] = (),
        dkim: tuple[DomainPolicy, ...] = (),
        clients: Clients = NOBODY,
        console: int | None = None,
    ) -> Seat:
        configuration = self._configuration
        told = Assignment(
            role=role,
            number=number,
            hostname=configuration.relay.hostname,
            drain_s=configuration.relay.drain_s,
            log_level=configuration.relay.log_level,
            run=configuration.relay.run,
            spool=configuration.spool,
            limits=configuration.limits.share(configuration.relay.receivers),
            deliverer=configuration.deliverer,
            report=configuration.report,
            routes=configuration.routes
            if module == DELIVERER
            else assignment.without_logins(configuration.routes),
            listeners=listeners,
            dkim=dkim,
            rewrites=configuration.rewrites,
            clients=clients,
            inbound=configuration.inbound if module == RECEIVER else None,
            tenant=configuration.tenant,
            spoofing=configuration.spoofing,
            brakes=configuration.brakes.share(configuration.relay.receivers),
            learning=configuration.learning,
            inventory=configuration.inventory,
            acted_at=self._clock.now(),
            history=configuration.history if module == DELIVERER and configuration.history.enabled else None,
            keeps_subject=module == RECEIVER
            and configuration.history.enabled
            and configuration.history.subject,
            credentials=configuration.credentials if module == DELIVERER else (),
            control=configuration.control if module == DELIVERER else None,
            graph=configuration.graph if module == DELIVERER else None,
            audit=None if module == CONSOLE else configuration.audit,
            webhooks=configuration.webhooks if module == WEBHOOKS else None,
            console=console,
        )
        payload = assignment.encode(told)
        descriptors = [each.descriptor for each in listeners] + ([] if console is None else [console])

        def start(on_ready: Callable[[], None]) -> Child:
            secrets = configuration.secret_names
            return Child(role, module, payload, descriptors, secrets, self._clock, on_ready)

        return Seat(role, start, self._record, self._clock, self._on_end)


def _endpoint(host: str, port: int, whose: str) -> Endpoint:
    return host, port, "" if port else whose


def _listener_at(index: int, configuration: Configuration) -> Endpoint:
    listener = configuration.listeners[index]
    return _endpoint(listener.host, listener.port, f"listener[{index}]")


def _endpoints(configuration: Configuration) -> Sequence[Endpoint]:
    endpoints = [_listener_at(index, configuration) for index in range(len(configuration.listeners))]
    if configuration.console is not None:
        endpoints.append(_endpoint(configuration.console.host, configuration.console.port, CONSOLE))
    return endpoints
