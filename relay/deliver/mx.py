"""The MX hosts of a route's domain: looked up, used as long as their TTL says, kept when DNS fails.

Microsoft's name for a tenant's MX cannot be derived from the domain (accepted domains
added since July 2026 live under mx.microsoft), so nothing is built here. A domain without
MX is a fault of configuration, never a reason to try its address records as RFC 5321
section 5.1 would: the tenant's mail goes to Microsoft or nowhere. When no name server
answers, the last good answer is used on for a day (RFC 8767 section 5: one to three).
"""

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable, Sequence

from relay.clock import Clock
from relay.deliver.mx_dns import LOOKUP_TIMEOUT_S, MxAnswer, NoAnswer, ask
from relay.m365.cloud import CLOUDS, is_mx_host
from relay.trace import event as trace

TTL_MIN_S = 60.0
"""A TTL of seconds, or none, must not make each connection wait for DNS; also the pause after a failure."""
TTL_MAX_S = 3600.0
"""A TTL of a day must not keep mail from where a tenant was moved to."""
STALE_MAX_S = 86_400.0
"""RFC 8767 section 5. A tenant's MX changes once in years, and a day of broken DNS is noticed."""
DEADLINE_S = LOOKUP_TIMEOUT_S + 2.0
"""Beyond the resolver's own, for what hangs elsewhere."""
HOSTS_MAX = 16
"""A tenant has one; a domain with more is somebody's joke, and each costs a look-up."""

Ask = Callable[[str], Awaitable[MxAnswer]]
"""Domain → what stands there; NoAnswer. In life `relay.deliver.mx_dns.ask`."""


class NoMx(Exception):
    """No host is known; `is_fault`: DNS says that there is none."""

    def __init__(self, reason: str, *, is_fault: bool) -> None:
        super().__init__(reason)
        self.is_fault = is_fault


class MxHosts:
    """Of one route."""

    def __init__(
        self,
        route: str,
        domain: str,
        record: trace.Record,
        clock: Clock,
        rng: Callable[[], float],
        ask: Ask = ask,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self._route = route
        self._domain = domain
        self._record = record
        self._clock = clock
        self._rng = rng
        self._ask = ask
        self._deadline_s = deadline_s
        self._hosts: tuple[str, ...] = ()
        self._answered_at = float("-inf")
        self._next_at = float("-inf")
        self._failure = ""
        """Why the hosts there are are old ones; empty while they are not."""

    async def hosts(self) -> tuple[str, ...]:
        """Host names, the preferred first, at least one; NoMx."""
        now = self._clock.monotonic()
        if self._hosts and now < self._next_at:
            return self._hosts
        try:
            async with asyncio.timeout(self._deadline_s):
                answer = await self._ask(self._domain)
        except NoAnswer as error:
            return self._without_answer(str(error))
        except TimeoutError:
            return self._without_answer(f"no answer for {self._domain} within {self._deadline_s:g} s")
        return self._enter(answer)

    def _enter(self, answer: MxAnswer) -> tuple[str, ...]:
        try:
            hosts = order(self._domain, answer, self._rng)
        except NoMx:
            self._hosts = ()
            raise
        now = self._clock.monotonic()
        is_news = set(hosts) != set(self._hosts) or self._failure
        self._hosts, self._answered_at, self._failure = hosts, now, ""
        self._next_at = now + min(max(answer.ttl_s, TTL_MIN_S), TTL_MAX_S)
        if is_news:
            doubt = foreign(hosts)
            level: trace.Level = "warning" if doubt else "info"
            self._record(trace.MxFound(self._route, self._domain, hosts, doubt, level))
        return hosts

    def _without_answer(self, reason: str) -> tuple[str, ...]:
        now = self._clock.monotonic()
        age_s = now - self._answered_at
        if not self._hosts or age_s >= STALE_MAX_S:
            self._hosts = ()
            raise NoMx(f"the MX of {self._domain} is not known: {reason}", is_fault=False)
        self._next_at = now + TTL_MIN_S
        if not self._failure:
            kept = f"{reason}; the answer of {age_s / 60:.0f} minutes ago is used on, for a day from then at most"
            self._record(trace.MxFound(self._route, self._domain, self._hosts, kept, "warning"))
        self._failure = reason
        return self._hosts


def order(domain: str, answer: MxAnswer, rng: Callable[[], float]) -> tuple[str, ...]:
    """The hosts to try, in order of preference, equal ones at random (RFC 5321 section 5.1); NoMx."""
    where = "compare mx_of and [tenant] domains"
    if not answer.exists:
        raise NoMx(f"the domain {domain} does not exist in DNS; {where}", is_fault=True)
    if not answer.records:
        raise NoMx(f"the domain {domain} has no MX record; {where}", is_fault=True)
    named = [(preference, rng(), host) for preference, host in answer.records if is_host_name(host)]
    if not named and all(host in ("", ".") for _, host in answer.records):
        # RFC 7505 section 3.
        raise NoMx(f"the domain {domain} says that it takes no mail (null MX); {where}", is_fault=True)
    if not named:
        raise NoMx(f"the MX record of {domain} names no host that can be; {where}", is_fault=True)
    return tuple(dict.fromkeys(host.lower() for *_, host in sorted(named)))[:HOSTS_MAX]


def is_host_name(name: str) -> bool:
    """RFC 5321 section 5.1 wants a name of a host; an address in its place is a mistake, or an attempt at one."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        labels = name.split(".")
        return all(label and label.isascii() and label.replace("-", "a").isalnum() for label in labels)
    return False


def foreign(hosts: Sequence[str]) -> str:
    """What to doubt about hosts that are not Microsoft's; empty when all are."""
    others = [host for host in hosts if not any(is_mx_host(host, cloud) for cloud in CLOUDS.values())]
    if not others:
        return ""
    return (
        f"{', '.join(others)} is no MX host of Microsoft's that we know: a filter in front of it knows no connector; "
        "with mx_of = the tenant's onmicrosoft.com domain mail goes past it"
    )
