"""Whom a session serves: its address, and the client that it has turned out to be, if any.

A login says more than a certificate, and that more than a network. What was said before
TLS is forgotten with it (RFC 3207 section 4.2), and a certificate is that of a proxy
once a proxy speaks for somebody else.
"""

from relay.identity.client import ANYTHING, Client
from relay.identity.directory import Directory
from relay.receive.accept import Origin
from relay.receive.learning import OVER, Learning
from relay.receive.options import Auth, ListenerOptions
from relay.receive.policy import CLIENT_NOT_ALLOWED
from relay.receive.sender_rule import judge_sender
from relay.route.network import Networks
from relay.smtp.reply import Reply
from relay.tls import PeerCertificate
from relay.trace.seen.sighting import CERTIFICATE, LEARNING, NETWORK, NOTHING, Who

MUST_LOG_IN = Reply(530, "5.7.0", "Log in first")
MUST_START_TLS = Reply(530, "5.7.0", "Start TLS and log in first")


class Access:
    """What the visitors of one listener are judged by."""

    def __init__(
        self, options: ListenerOptions, directory: Directory, learning: Learning | None = None
    ) -> None:
        """`learning` None: nobody unknown is let in."""
        self.name = options.name
        self.learning = learning
        self.auth = options.auth
        self.priority = options.priority
        self.priority_max = options.priority_max
        self.directory = directory
        self.networks = Networks(options.networks)
        self._without_tls = Networks(options.auth_without_tls_networks if options.auth_without_tls else ())
        self._xclient = Networks(options.xclient_networks)
        self.proxies = Networks(options.proxy_networks)

    def allow(self, address: str) -> bool:
        """Is this address served? The networks of clients are, too, and those that are learnt."""
        if self.networks.allow(address) or self.directory.by_address(address) is not None:
            return True
        learning = self.learning
        return learning is not None and learning.serves(address, self.name)

    def may_connect(self, address: str) -> bool:
        """May it connect, be it only to speak for others?"""
        return self.allow(address) or self._xclient.allow(address)

    def may_log_in_without_tls(self, address: str) -> bool:
        """Is AUTH offered to it although everybody on the way can listen?"""
        return self._without_tls.allow(address)

    def may_speak_for_others(self, address: str) -> bool:
        """Is XCLIENT believed from it?"""
        return self._xclient.allow(address)


class Visitor:
    """One a session."""

    __slots__ = ("_access", "_certificate", "_is_proxy", "_login", "_network", "address", "mechanism", "peer")

    def __init__(self, access: Access, address: str) -> None:
        self._access = access
        self.peer = self.address = address
        """Who is connected, and for whom it speaks."""
        self._is_proxy = False
        self._network = access.directory.by_address(address)
        self._certificate: Client | None = None
        self._login: Client | None = None
        self.mechanism = ""
        """Of the login."""

    @property
    def client(self) -> Client | None:
        """Who it is; None: nobody we know by name."""
        return self._login or self._certificate or self._network

    @property
    def learnt(self) -> Client | None:
        """Who it is while unknown devices are learnt; None: it is known, or is not one of them now."""
        learning = self._access.learning
        return None if learning is None or self.client is not None else learning.client_at(self.address)

    @property
    def who(self) -> Who:
        """The same, as the record of who was seen has it now; `stamp` is for a mail, and holds until its end."""
        client = self.client or self.learnt
        return Who("" if client is None else client.name, self.address, self._way(client))

    @property
    def is_logged_in(self) -> bool:
        """It has said AUTH (RFC 3848 marks its mails so)."""
        return self._login is not None

    def secured(self, certificate: PeerCertificate | None) -> None:
        """TLS has begun."""
        self._login = None
        if certificate is not None and not self._is_proxy:
            found = self._access.directory.by_certificate(certificate.names, certificate.fingerprint)
            self._certificate = found

    def logged_in(self, client: Client, mechanism: str) -> None:
        """AUTH succeeded."""
        self._login = client
        self.mechanism = mechanism

    def speaks_for(self, address: str) -> bool:
        """A proxy says who it is that it speaks for; False: that one may not connect."""
        self._is_proxy = True
        self.address = address or self.address
        self._login = self._certificate = None
        self._network = self._access.directory.by_address(self.address)
        return self._access.allow(self.address)

    def stamp(self, origin: Origin) -> None:
        """Say on a mail whose it is."""
        client = self.client or self.learnt
        origin.client = self.address
        origin.way = self._way(client)
        origin.is_logged_in = self.is_logged_in
        origin.account = "" if client is None else client.name
        policy = origin.policy = ANYTHING if client is None else client.policy
        if policy is ANYTHING:
            origin.priority, origin.priority_max = self._access.priority, self._access.priority_max
            return
        highest = origin.priority_max = self._access.priority_max.capped(policy.priority_max)
        priority = self._access.priority if policy.priority is None else policy.priority
        origin.priority = priority.capped(highest)

    def judge_mail(self, sender: bytes, *, is_tls: bool) -> Reply | None:
        """MAIL: may this visitor send, and as this sender? None: it may."""
        client = self.client
        if client is not None:
            return judge_sender(client.policy, sender)
        if self._access.learning is not None and (learnt := self.learnt) is not None:
            refusal = judge_sender(learnt.policy, sender)
            return refusal or self._access.learning.admit(learnt, self.address, self._access.name)
        if not self._access.allow(self.address):
            # A proxy that may speak for others, and has not done so.
            return CLIENT_NOT_ALLOWED
        if self._access.auth is not Auth.REQUIRED:
            return None
        can_log_in = is_tls or self._access.may_log_in_without_tls(self.address)
        return MUST_LOG_IN if can_log_in else MUST_START_TLS

    def judge_end(self, origin: Origin) -> Reply | None:
        """The end of a mail: whoever was learnt at MAIL must still be."""
        return OVER if origin.way == LEARNING and self.learnt is None else None

    def _way(self, client: Client | None) -> str:
        if self._login is not None:
            return self.mechanism
        if client is None:
            return NOTHING
        if client is self._certificate:
            return CERTIFICATE
        return NETWORK if client is self._network else LEARNING
