"""The tenant's MX, as at *.mail.protection.outlook.com:25: connector, direct send, or from outside.

A client is the tenant's own when its certificate or its address matches a connector and
the certificate's domain or the envelope sender's is an accepted one (the rule since
November 2023). Only that may send to recipients outside.
"""

from collections import Counter
from collections.abc import Sequence
from ipaddress import IPv4Address, ip_address, ip_network
from itertools import count

from relay.simulator import texts
from relay.simulator.ledger import Ledger
from relay.simulator.mail import Later, Mail, domain_of
from relay.simulator.options import ConnectorTable
from relay.simulator.submission import book
from relay.simulator.tenant import Tenant, Visit


class Mx:
    """A `Service`."""

    name = "mx"
    front = texts.MX_FRONT
    offers_auth = False

    def __init__(
        self, tenant: Tenant, ledger: Ledger, ids: "count[int]", connectors: Sequence[ConnectorTable]
    ) -> None:
        self.tenant = tenant
        self.ledger = ledger
        self.limits = tenant.limits
        self.message_size = self.limits.message_size
        self.open = 0
        self.peak = 0
        self._ids = ids
        self._names = [name.lower() for each in connectors for name in each.certificate_names]
        self._networks = [ip_network(network) for each in connectors for network in each.networks]

    def keywords(self, is_secured: bool) -> tuple[bytes, ...]:
        """As on the submission ports, without AUTH."""
        size = b"SIZE %d" % self.message_size if self.message_size else b"SIZE"
        starttls = () if is_secured else (b"STARTTLS",)
        rest = (b"8BITMIME", b"BINARYMIME", b"CHUNKING", b"SMTPUTF8")
        return (size, b"PIPELINING", b"DSN", b"ENHANCEDSTATUSCODES", *starttls, *rest)

    def enter(self) -> None:
        """A session begins."""
        self.ledger.sessions[self.name] += 1
        self.open += 1
        self.peak = max(self.peak, self.open)

    def leave(self, visit: Visit) -> None:
        """It is over."""
        self.open -= 1

    def turn_away(self, now: float) -> bytes | None:
        """When the forest has as many connections as it takes."""
        allowed = self.limits.forest_connections
        if not allowed or self.open < allowed:
            return None
        self.ledger.violations["forest_connections"] += 1
        return texts.FOREST_FULL

    def judge_sender(self, visit: Visit, sender: bytes, now: float) -> bytes:
        """Anybody may try."""
        return texts.SENDER_OK

    def judge_recipient(self, visit: Visit, mail: Mail, recipient: bytes, now: float) -> bytes:
        """Who the client is decides which recipients it may have."""
        is_inside = self.tenant.is_inside(recipient)
        refusal = self._attribution(visit, domain_of(mail.sender), is_inside)
        if refusal is not None:
            self.ledger.violations["attribution"] += 1
            return refusal
        if is_inside and self.tenant.is_missing(recipient):
            return texts.BLOCKED_AT_EDGE
        if self._is_full(mail, recipient):
            return texts.TOO_MANY_RECIPIENTS
        mail.external += not is_inside
        return texts.RECIPIENT_OK

    def judge_mail(self, visit: Visit, mail: Mail, now: float) -> bytes | Later:
        """The tenant's limit is the only one that counts here."""
        if mail.external and not self.tenant.external.fits(now, mail.external):
            self.ledger.violations["external_recipients"] += 1
            return texts.TENANT_LIMIT
        self.tenant.external.add(now, mail.external)
        id = next(self._ids)
        message_id = book(self.ledger, id, self.name, "", visit, mail, now)
        # InternalIds of real hosts count in steps of this size.
        return texts.queued(message_id, 7_619_272_024_064 + (id << 8), mail.size, now - mail.began)

    def _attribution(self, visit: Visit, sender_domain: bytes, is_inside: bool) -> bytes | None:
        has_certificate = self._matches_certificate(visit)
        if has_certificate or self._matches_address(visit):
            is_ours = has_certificate or self.tenant.is_accepted_domain(sender_domain)
            return None if is_ours or is_inside else texts.NOT_ACCEPTED_DOMAIN
        if not is_inside:
            return texts.NOT_ATTRIBUTED
        locked = self.tenant.options.reject_direct_send and self.tenant.is_accepted_domain(sender_domain)
        return texts.DIRECT_SEND_LOCKED if locked else None

    def _matches_certificate(self, visit: Visit) -> bool:
        """A name of a connector, in the certificate, in an accepted domain or right under one."""
        return bool(visit.certificate_names) and any(
            _is_covered(name, wanted) and self._is_ours(name)
            for name in (each.lower() for each in visit.certificate_names)
            for wanted in self._names
        )

    def _is_ours(self, name: str) -> bool:
        domain = name.removeprefix("*.").encode()
        return self.tenant.is_accepted_domain(domain) or self.tenant.is_accepted_domain(
            domain.partition(b".")[2]
        )

    def _matches_address(self, visit: Visit) -> bool:
        if not self._networks:
            return False
        address = ip_address(visit.client)
        # Inbound connectors match IPv4 only.
        return isinstance(address, IPv4Address) and any(address in network for network in self._networks)

    def _is_full(self, mail: Mail, recipient: bytes) -> bool:
        in_all, per_domain = self.limits.recipients_per_message, self.limits.recipients_per_domain
        if in_all and len(mail.recipients) >= in_all:
            self._violate(mail, "recipients_per_message")
            return True
        if not per_domain or len(mail.recipients) < per_domain:
            return False
        if Counter(map(domain_of, mail.recipients))[domain_of(recipient)] < per_domain:
            return False
        self._violate(mail, "recipients_per_domain")
        return True

    def _violate(self, mail: Mail, limit: str) -> None:
        """Once a mail, however many recipients are too many."""
        self.ledger.violations[limit] += limit not in mail.troubles
        mail.troubles.add(limit)


def _is_covered(name: str, wanted: str) -> bool:
    """`relay.contoso.example` and `*.contoso.example` by `*.contoso.example`; else the same name."""
    return name == wanted or (wanted.startswith("*.") and name.partition(".")[2] == wanted[2:])
