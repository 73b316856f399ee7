"""Whether an address is in a network."""

import pytest

from relay.receive.options import LOOPBACK
from relay.route.network import Networks


@pytest.mark.parametrize(
    "networks, client, allowed",
    [
        (LOOPBACK, "127.0.0.1", True),
        (LOOPBACK, "127.9.9.9", True),
        (LOOPBACK, "::1", True),
        (LOOPBACK, "::ffff:127.0.0.1", True),
        (LOOPBACK, "10.0.0.1", False),
        (LOOPBACK, "::ffff:10.0.0.1", False),
        (LOOPBACK, "fe80::1%eth0", False),
        (LOOPBACK, "", False),
        (LOOPBACK, "no address", False),
        (("10.0.0.0/8", "fe80::/10"), "10.1.2.3", True),
        (("10.0.0.0/8", "fe80::/10"), "fe80::1%eth0", True),
        (("10.0.0.0/8", "fe80::/10"), "127.0.0.1", False),
        (("192.0.2.7",), "192.0.2.7", True),
        (("192.0.2.7/24",), "192.0.2.200", True),
        ((), "127.0.0.1", False),
        (("0.0.0.0/0", "::/0"), "2001:db8::1", True),
    ],
)
def test_an_address_is_in_its_networks_only(networks: tuple[str, ...], client: str, allowed: bool) -> None:
    rules = Networks(networks)
    assert rules.allow(client) is allowed
    assert rules.allow(client) is allowed, "and remembers it"


def test_a_network_that_is_none_is_a_fault_of_the_configuration() -> None:
    with pytest.raises(ValueError):
        Networks(["10.0.0.0/64"])
