"""Which mailboxes of a route may send for a sender: its own, those a rule names, or the default.

Microsoft accepts a sender from the mailbox itself and from one that was granted SendAs.
A sender that is one of the route's mailboxes uses that one; else the narrowest rule
counts: its address, its domain, a domain above it; else the rule without senders. On a
route with one login that one sends for everybody, and a route without logs in nowhere.
"""

from relay.route.pattern import keys_of, rule_key
from relay.route.route import Login, MailboxRule, Route


class Mailboxes:
    """Of one route."""

    def __init__(self, route: Route) -> None:
        """ValueError for a rule that names a mailbox the route does not have."""
        self._single: tuple[Login | None, ...] = () if route.mailboxes else (route.credentials,)
        self._logins = {login.username.lower(): login for login in route.mailboxes}
        self._own = {name.encode(): (login,) for name, login in self._logins.items()}
        self._default: tuple[Login, ...] = ()
        self._rules: dict[bytes, tuple[Login, ...]] = {}
        for rule in route.mailbox_rules:
            self._enter(rule)

    def of(self, sender: bytes) -> tuple[Login | None, ...]:
        """Logins in the order of the rule, any of which may send; (None,) where none is needed, () where none may."""
        if self._single:
            return self._single
        own = self._own.get(sender.lower())
        if own is not None:
            return own
        for key in keys_of(sender):
            if (found := self._rules.get(key)) is not None:
                return found
        return self._default

    def _enter(self, rule: MailboxRule) -> None:
        try:
            logins = tuple(self._logins[name.lower()] for name in rule.mailboxes)
        except KeyError as error:
            raise ValueError(f"{error.args[0]} is no mailbox of the route") from None
        if not rule.senders:
            self._default = logins
        for pattern in rule.senders:
            self._rules.setdefault(rule_key(pattern), logins)
