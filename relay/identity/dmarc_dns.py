"""TXT records of `_dmarc` names, asked for without waiting in the loop; dnspython's door for DMARC.

What is not there is an answer; that nobody answers is `NoAnswer`.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from relay.identity.dkim_dns import PAYLOAD_BYTES, NoAnswer

QUERY_TIMEOUT_S = 1.0
"""One server; most answer within 100 ms, and a mail waits."""
LOOKUP_TIMEOUT_S = 3.0
"""All servers together."""


@dataclass(frozen=True, slots=True)
class Texts:
    """Each TXT record, its strings put together; none is an answer too."""

    texts: tuple[bytes, ...] = ()
    ttl_s: float = 0.0


LookUp = Callable[[str], Awaitable[Texts]]
"""Looks a name up; NoAnswer when that cannot be done."""


async def ask(name: str, server: tuple[str, int] | None = None) -> Texts:
    """Ask this name server, else those that this machine is set up with; NoAnswer."""
    import dns.asyncresolver
    import dns.exception
    import dns.resolver

    try:
        resolver = dns.asyncresolver.Resolver(configure=server is None)
    except dns.exception.DNSException as error:
        raise NoAnswer(f"this machine has no name server set up: {error}") from None
    if server is not None:
        resolver.nameservers = [server[0]]
        resolver.port = server[1]
    resolver.timeout = QUERY_TIMEOUT_S
    resolver.lifetime = LOOKUP_TIMEOUT_S
    resolver.use_edns(0, 0, PAYLOAD_BYTES)
    try:
        answer = await resolver.resolve(f"{name}.", "TXT", raise_on_no_answer=False, search=False)
    except dns.resolver.NXDOMAIN:
        return Texts()
    except dns.resolver.NoNameservers:
        raise NoAnswer(f"no name server gives an answer for {name}: they are broken, or refuse") from None
    except dns.exception.Timeout:
        raise NoAnswer(f"no name server answered for {name} within {LOOKUP_TIMEOUT_S:g} s") from None
    except (dns.exception.DNSException, OSError, UnicodeError) as error:
        raise NoAnswer(f"cannot look up {name}: {error}") from None
    records = answer.rrset or ()
    return Texts(
        tuple(b"".join(record.strings) for record in records), float(answer.chaining_result.minimum_ttl)
    )
