"""Which senders are rewritten, and to what: the rules of `[[rewrite]]`, compiled.

A mail is judged once, at MAIL, by its envelope sender and its client; the rule that matches
says about From, too. The null sender never matches: a report that got a sender would be
answered by a report. An address that already is the one it would become stays as it was
written, so a mail that comes by twice is changed once.
"""

from collections.abc import Sequence

from relay.receive.options import Rewrite
from relay.route.network import Networks
from relay.route.pattern import keys_of, rule_key


class Rule:
    """One of them."""

    def __init__(self, options: Rewrite) -> None:
        self.to = options.to.encode("ascii")
        self.rewrites_from = options.from_field
        self.keys = frozenset(map(rule_key, options.senders))
        self._networks = None if options.clients is None else Networks(options.clients)

    def serves(self, client: str) -> bool:
        """Is it for mail from this address?"""
        return self._networks is None or self._networks.allow(client)

    def changes(self, address: bytes) -> bool:
        """Does it speak of this address, and is that another than its own?"""
        return not self.keys.isdisjoint(keys_of(address)) and address.lower() != self.to.lower()

    def address_for(self, address: bytes) -> bytes:
        """The address that goes on in place of this one."""
        return self.to if self.changes(address) else address


class Rewrites:
    """All rules in the order of the configuration."""

    def __init__(self, rewrites: Sequence[Rewrite]) -> None:
        """ValueError for `clients` that are no networks in CIDR form."""
        self._rules = tuple(Rule(options) for options in rewrites)
        self._by_key: dict[bytes, list[int]] = {}
        for index, rule in enumerate(self._rules):
            for key in rule.keys:
                self._by_key.setdefault(key, []).append(index)

    def find(self, sender: bytes, client: str) -> Rule | None:
        """The first rule that speaks of this sender and client, or None."""
        if not self._by_key or not sender:
            return None
        matching = {index for key in keys_of(sender) for index in self._by_key.get(key, ())}
        for index in sorted(matching):
            if self._rules[index].serves(client):
                return self._rules[index]
        return None
