"""MX records as the name servers of this machine give them; dnspython's door for deliveries.

What is not there is an answer; that nobody answers is `NoAnswer`.
"""

from dataclasses import dataclass

from relay.errors import RelayError

QUERY_TIMEOUT_S = 2.0
"""One server; most answer within 100 ms, from the other side of the world within 500."""
LOOKUP_TIMEOUT_S = 10.0
"""All servers together: mail waits for nothing else meanwhile, and three of them get their turn."""
PAYLOAD_BYTES = 1232
"""What passes every network unfragmented (DNS flag day 2020); longer answers come over TCP."""


class NoAnswer(RelayError):
    """The DNS could not be asked; says nothing of what is published."""


@dataclass(frozen=True, slots=True)
class MxAnswer:
    """What stands at a domain."""

    records: tuple[tuple[int, str], ...] = ()
    """Preference and host without its final dot, in no order; empty: there is no MX."""
    ttl_s: float = 0.0
    exists: bool = True
    """False: the domain itself does not exist."""


async def ask(
    domain: str, server: tuple[str, int] | None = None, timeout_s: float = LOOKUP_TIMEOUT_S
) -> MxAnswer:
    """Ask this name server, else those that this machine is set up with; NoAnswer."""
    # A relay whose routes name their hosts needs no library for this (40 ms, 5 MiB).
    import dns.asyncresolver
    import dns.exception
    import dns.resolver

    try:
        # Anew each time, once in minutes: what the machine is set up with may have changed.
        resolver = dns.asyncresolver.Resolver(configure=server is None)
    except dns.exception.DNSException as error:
        raise NoAnswer(f"this machine has no name server set up: {error}") from None
    if server is not None:
        resolver.nameservers = [server[0]]
        resolver.port = server[1]
    resolver.timeout = min(QUERY_TIMEOUT_S, timeout_s)
    resolver.lifetime = timeout_s
    resolver.use_edns(0, 0, PAYLOAD_BYTES)
    try:
        answer = await resolver.resolve(f"{domain}.", "MX", raise_on_no_answer=False, search=False)
    except dns.resolver.NXDOMAIN:
        return MxAnswer(exists=False)
    except dns.resolver.NoNameservers:
        raise NoAnswer(f"no name server gives an answer for {domain}: they are broken, or refuse") from None
    except dns.exception.Timeout:
        raise NoAnswer(f"no name server answered for {domain} within {timeout_s:g} s") from None
    except (dns.exception.DNSException, OSError) as error:
        raise NoAnswer(f"cannot look up {domain}: {error}") from None
    records = (
        (record.preference, record.exchange.to_text(omit_final_dot=True)) for record in answer.rrset or ()
    )
    return MxAnswer(tuple(records), float(answer.chaining_result.minimum_ttl))
