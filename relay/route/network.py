"""Networks of clients: is an address in one of them?"""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

MAX_REMEMBERED = 4_096
"""Client addresses whose answer is remembered; an application server has a handful."""


class Networks:
    """In CIDR form; without any, no address is in them."""

    def __init__(self, networks: Sequence[str]) -> None:
        """ValueError for what is no network in CIDR form."""
        parsed = [ip_network(network, strict=False) for network in networks]
        self._v4 = [network for network in parsed if isinstance(network, IPv4Network)]
        self._v6 = [network for network in parsed if isinstance(network, IPv6Network)]
        self._known: dict[str, bool] = {}

    def allow(self, client: str) -> bool:
        """Whether they hold it; the answer is remembered."""
        allowed = self._known.get(client)
        if allowed is None:
            if len(self._known) >= MAX_REMEMBERED:
                self._known.clear()
            allowed = self._known[client] = self.hold(client)
        return allowed

    def hold(self, client: str) -> bool:
        """Whether they hold it. An IPv4 address that comes mapped into IPv6 counts as itself."""
        try:
            address = ip_address(client.partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, IPv6Address):
            if address.ipv4_mapped is None:
                return any(address in network for network in self._v6)
            address = address.ipv4_mapped
        return any(address in network for network in self._v4)
