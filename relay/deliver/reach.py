"""The reach of one login of a route: whose limits it uses, and whose trouble stops it.

Two routes with the same mailbox, or to the same host, have some of it in common: what
stops there stops both.
"""

from relay.budget.limit import Scope as Whose
from relay.m365.preset import Kind
from relay.m365.row import Scope
from relay.queue.breaker import StopKey
from relay.queue.denial import domain_of, text_of
from relay.route.route import Login, Route
from relay.route.tariff import mailbox_key, scopes_of

_SCOPES = {
    Whose.MAILBOX: Scope.SENDER,
    Whose.ROUTE: Scope.ROUTE,
    Whose.SOURCE: Scope.SOURCE_ADDRESS,
    Whose.FOREST: Scope.FOREST,
    Whose.TENANT: Scope.TENANT,
}


class Reach:
    """Of one login, or of a route without any."""

    def __init__(self, route: Route, login: Login | None) -> None:
        self.route = route
        self.login = login
        self.identity = login.username if login else ""
        self.mailbox = mailbox_key(route, login)
        self.scopes = scopes_of(route, login)
        """As limits count."""
        self.is_microsoft = route.kind is not Kind.SMTP
        self.wants_proofs = self.is_microsoft and login is not None
        """Whether its server blocks a mailbox that goes on as somebody it may not be (`proofs`)."""
        found = {_SCOPES[scope]: StopKey(_SCOPES[scope], key) for scope, key in self.scopes}
        if not self.is_microsoft:
            # Another server that speaks of its tenant speaks of this route.
            del found[Scope.TENANT]
        self._found = found
        self.keys = tuple(found.values())
        """Any of which stops all its mail."""
        (tenant,) = (key for scope, key in self.scopes if scope is Whose.TENANT)
        self.outside = StopKey(Scope.TENANT_EXTERNAL, tenant if self.is_microsoft else route.name)

    def aside(self, sender: bytes, *, is_external: bool = True) -> tuple[StopKey, ...]:
        """What stops some of its mail alone: that to the outside, and that of the sender's domain."""
        domain = domain_of(sender) if self.is_microsoft else b""
        of_domain = (StopKey(Scope.SENDER_DOMAIN, text_of(domain)),) if domain else ()
        return (self.outside, *of_domain) if is_external else of_domain

    def key(self, scope: Scope, sender: bytes) -> StopKey:
        """What a trouble of that scope stops, told of a mail of that sender."""
        match scope:
            case Scope.TENANT_EXTERNAL:
                return self.outside
            case Scope.SENDER_AS | Scope.SENDER_DOMAIN:
                domain = domain_of(sender)
                if scope is Scope.SENDER_DOMAIN and domain and self.is_microsoft:
                    return StopKey(scope, text_of(domain))
                # The null sender has no domain, and another server's word holds for its route alone.
                return StopKey(Scope.SENDER_AS, self.mailbox, text_of(sender))
        return self._found.get(scope) or self._found[Scope.ROUTE]
