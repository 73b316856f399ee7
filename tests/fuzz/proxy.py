"""A PROXY header is an address or a ProtocolError, and no byte behind it is ever asked for.

What follows the header may be a TLS handshake; whoever reads one byte of it breaks it.
"""

from ipaddress import ip_address

from relay.errors import ProtocolError
from relay.smtp.proxy import V1_MAX_BYTES, V2_HEAD_BYTES, V2_MAX_BYTES, Needs, Proxied, parse_proxy


def check(data: bytes) -> None:
    """One connection, read as `receive.accepting` does."""
    taken = 0
    try:
        result = parse_proxy(b"")
        while isinstance(result, Needs):
            assert result.count > 0
            if taken + result.count > len(data):
                return
            taken += result.count
            assert taken <= V2_MAX_BYTES
            result = parse_proxy(data[:taken])
    except ProtocolError as problem:
        assert "\n" not in str(problem)
        return
    assert isinstance(result, Proxied)
    assert not result.client or str(ip_address(result.client)) == result.client
    if data[:1] == b"P":
        assert taken == data.index(b"\r\n") + 2 <= V1_MAX_BYTES
    else:
        assert taken == V2_HEAD_BYTES + int.from_bytes(data[14:16])
