"""Where a route's hosts are: names to addresses, in the order to try them.

The names are the route's own, or those of its MX (`relay.deliver.mx`). Resolved anew every minute, and when no name server answers used on for a day; an address that failed is passed over for a while that
grows with each failure, as long as another one is left.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from relay.clock import Clock
from relay.deliver.mx import STALE_MAX_S, MxHosts, NoMx
from relay.deliver.options import DelivererOptions
from relay.queue.retry import delay
from relay.route.route import Route


@dataclass(frozen=True, slots=True)
class Address:
    """One place to connect to, and the name it was found by."""

    host: str
    ip: str
    port: int

    @property
    def is_ipv6(self) -> bool:
        """Which of both."""
        return ":" in self.ip

    def __str__(self) -> str:
        ip = f"[{self.ip}]" if ":" in self.ip else self.ip
        return f"{ip}:{self.port}" if self.host == self.ip else f"{self.host} ({ip}:{self.port})"


class Unresolved(Exception):
    """No host of the route has an address; `is_fault`: DNS says that there is none."""

    def __init__(self, reason: str, *, is_fault: bool) -> None:
        super().__init__(reason)
        self.is_fault = is_fault


Resolve = Callable[[str, bool], Awaitable[list[str]]]
"""Host and whether only IPv4 will do → addresses as text; socket.gaierror."""


async def resolve(host: str, ipv4_only: bool) -> list[str]:
    """The system's resolver, in its order (RFC 6724)."""
    try:
        return [str(ipaddress.ip_address(host.strip("[]")))]
    except ValueError:
        pass
    family = socket.AF_INET if ipv4_only else socket.AF_UNSPEC
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, None, family=family, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


class AddressBook:
    """The addresses of one route."""

    def __init__(
        self,
        route: Route,
        options: DelivererOptions,
        clock: Clock,
        rng: Callable[[], float],
        resolve: Resolve = resolve,
        mx: MxHosts | None = None,
    ) -> None:
        """`mx` for a route that names none of its hosts."""
        self._route = route
        self._options = options
        self._clock = clock
        self._rng = rng
        self._resolve = resolve
        self._mx = mx
        self._found: list[Address] = []
        self._found_at = float("-inf")
        self._looked_at = float("-inf")
        """Later than `_found_at` while nobody answers and the addresses of before are used on."""
        self._failures: dict[Address, int] = {}
        self._avoided_until: dict[Address, float] = {}

    async def candidates(self) -> list[Address]:
        """Addresses worth trying, in order, at least one; Unresolved."""
        now = self._clock.monotonic()
        if now - self._looked_at >= self._options.resolve_interval_s:
            await self._refresh(now)
        good = [address for address in self._found if self._avoided_until.get(address, 0.0) <= now]
        return good or self._found

    def failed(self, address: Address) -> None:
        """Pass it over for a while."""
        options, failures = self._options, self._failures.get(address, 0) + 1
        self._failures[address] = failures
        first_s, max_s = options.address_backoff_first_s, options.address_backoff_max_s
        self._avoided_until[address] = self._clock.monotonic() + delay(failures, first_s, 2, max_s, self._rng)

    def worked(self, address: Address) -> None:
        """Its failures are forgotten."""
        self._failures.pop(address, None)
        self._avoided_until.pop(address, None)

    async def _refresh(self, now: float) -> None:
        """Look up anew; what is known is used on when nobody answers, and nothing when the answer is that there is none."""
        try:
            self._found = await self._look_up()
        except Unresolved as error:
            if error.is_fault or not self._found or now - self._found_at >= STALE_MAX_S:
                self._found, self._looked_at = [], float("-inf")
                raise
        else:
            self._found_at = now
        self._looked_at = now

    async def _look_up(self) -> list[Address]:
        hosts = await self._hosts()
        found: list[Address] = []
        troubles: list[str] = []
        is_fault = True
        for host in hosts:
            try:
                async with asyncio.timeout(self._route.connect_timeout_s):
                    ips = await self._resolve(host, self._route.ipv4_only)
            except (OSError, UnicodeError) as error:
                is_fault = is_fault and _is_final(error)
                troubles.append(
                    f"{host}: {getattr(error, 'strerror', None) or str(error) or 'no answer from DNS'}"
                )
                continue
            found += [
                Address(host, ip, self._route.port)
                for ip in ips
                if not self._route.ipv4_only or ":" not in ip
            ]
        if not found:
            why = "; ".join(troubles) or "IPv6 only, and the route is ipv4_only"
            raise Unresolved(f"no address found ({why})", is_fault=is_fault)
        if set(found) != set(self._found):
            self._failures.clear()
            self._avoided_until.clear()
        return found

    async def _hosts(self) -> tuple[str, ...]:
        if self._mx is not None:
            try:
                return await self._mx.hosts()
            except NoMx as error:
                raise Unresolved(str(error), is_fault=error.is_fault) from None
        if not self._route.hosts:
            raise Unresolved(f"no route named {self._route.name} is configured any more", is_fault=True)
        return self._route.hosts


def _is_final(error: OSError | UnicodeError) -> bool:
    """DNS says that there is no such name, or it cannot be one; anything else may pass."""
    return isinstance(error, UnicodeError) or error.errno in (socket.EAI_NONAME, socket.EAI_NODATA)
