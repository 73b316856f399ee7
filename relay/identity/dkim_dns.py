"""TXT records as the world sees them: dnspython's door for DKIM (`relay.deliver.mx_dns` is the other).

What is not there is an answer; that nobody answers is `NoAnswer`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from relay.errors import RelayError

if TYPE_CHECKING:
    import dns.resolver

QUERY_TIMEOUT_S = 2.0
"""One server; most answer within 100 ms, from the other side of the world within 500."""
LOOKUP_TIMEOUT_S = 6.0
"""All servers together: a person waits."""
PAYLOAD_BYTES = 1232
"""What passes every network unfragmented (DNS flag day 2020); longer answers come over TCP."""
DNS_PORT = 53


class NoAnswer(RelayError):
    """The DNS could not be asked; says nothing of what is published."""


@dataclass(frozen=True, slots=True)
class TxtAnswer:
    """What stands at a name."""

    name: str
    texts: tuple[bytes, ...] = ()
    """Each TXT record, its strings put together (RFC 6376 section 3.6.2.2)."""
    cnames: tuple[str, ...] = ()
    """The names it was followed to, the last one being where the records stand, or would."""


Lookup = Callable[[str], TxtAnswer]
"""Looks a name up; NoAnswer when that cannot be done."""


def lookup_by(server: tuple[str, int] | None = None) -> Lookup:
    """Ask this name server, else those that this machine is set up with."""
    import dns.exception
    import dns.resolver

    try:
        resolver = dns.resolver.Resolver(configure=server is None)
    except dns.exception.DNSException as error:
        raise NoAnswer(f"this machine has no name server set up: {error}; name one with --resolver") from None
    if server is not None:
        resolver.nameservers = [server[0]]
        resolver.port = server[1]
    resolver.timeout = QUERY_TIMEOUT_S
    resolver.lifetime = LOOKUP_TIMEOUT_S
    resolver.use_edns(0, 0, PAYLOAD_BYTES)
    return lambda name: _txt(resolver, name)


def _txt(resolver: "dns.resolver.Resolver", name: str) -> TxtAnswer:
    import dns.exception
    import dns.resolver

    try:
        answer = resolver.resolve(f"{name}.", "TXT", raise_on_no_answer=False, search=False)
    except dns.resolver.NXDOMAIN as error:
        last = error.canonical_name.to_text(omit_final_dot=True)
        return TxtAnswer(name, cnames=() if last.lower() == name.lower() else (last,))
    except dns.resolver.NoNameservers:
        raise NoAnswer(f"no name server gives an answer for {name}: they are broken, or refuse") from None
    except dns.exception.Timeout:
        raise NoAnswer(f"no name server answered for {name} within {LOOKUP_TIMEOUT_S:g} s") from None
    except (dns.exception.DNSException, OSError) as error:
        raise NoAnswer(f"cannot look up {name}: {error}") from None
    chained = answer.chaining_result.cnames
    return TxtAnswer(
        name,
        tuple(b"".join(record.strings) for record in answer.rrset or ()),
        tuple(record.target.to_text(omit_final_dot=True) for rrset in chained for record in rrset),
    )
