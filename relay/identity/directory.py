"""The clients, found by what they show: an address, a certificate, a user name, a token.

For a name that nobody has there are decoys: hashes and verifiers of the same cost and
shape as somebody's, which nothing fits. Whoever asks does the same work for every name
(and no reply may differ), so that nobody learns which names there are.
"""

import hmac
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from relay.identity import password
from relay.identity.client import Client, Clients, Password
from relay.identity.password import Entropy
from relay.smtp.scram import ITERATIONS, KEY_BYTES, Verifier

REMEMBERED_MAX = 4_096
"""Addresses whose client is remembered; an application server has a handful."""
SALT_BYTES = 16
SHOWN_MAX = 64
"""Characters of a name that is written down; the longest is that of an address' local part."""
HASH_SHOWN_BYTES = 4
"""Enough to see that it is the same name again, and to tell some thousand apart."""
_PLAIN_HASH = (
    f"$argon2id$v=19$m={password.MEMORY_KIB},t={password.TIME_COST},p={password.PARALLELISM}"
    f"${'A' * 22}${'A' * 43}"
)


class Directory:
    """`clients` do not change; a new configuration makes a new directory."""

    def __init__(self, known: Clients, entropy: Entropy) -> None:
        """`entropy` makes up decoys."""
        self.clients = known.clients
        self._seed = known.seed.encode() or entropy(32)
        self._by_username = {each.username.lower(): each for each in self.clients if each.username}
        self._names = {
            shown.lower() for each in self.clients for shown in (each.name, each.username, each.oauth_app)
        }
        self._by_token = {
            (each.oauth_app, user): each
            for each in self.clients
            if each.oauth_app
            for user in each.oauth_users or ("",)
        }
        active = [each for each in self.clients if not each.is_disabled]
        self._by_certificate = {shown: each for each in active for shown in each.certificates}
        networks = [(ip_network(network), each) for each in active for network in each.networks]
        # The narrowest network says who it is.
        networks.sort(key=lambda pair: pair[0].prefixlen, reverse=True)
        self._v4 = [(net, each) for net, each in networks if isinstance(net, IPv4Network)]
        self._v6 = [(net, each) for net, each in networks if isinstance(net, IPv6Network)]
        self._known: dict[str, Client | None] = {}
        self._entropy = entropy
        self._decoys = self._make_decoys()

    @property
    def has_scram(self) -> bool:
        """Can anybody log in with SCRAM?"""
        return any(word.scram for each in self.clients for word in each.passwords)

    @property
    def has_tokens(self) -> bool:
        """Can anybody log in with a token?"""
        return bool(self._by_token)

    def by_address(self, address: str) -> Client | None:
        """Whose network an address is in. An IPv4 address that comes mapped into IPv6 counts as itself."""
        if not self._v4 and not self._v6:
            return None
        if address not in self._known:
            if len(self._known) >= REMEMBERED_MAX:
                self._known.clear()
            self._known[address] = self._look_up(address)
        return self._known[address]

    def by_certificate(self, names: Sequence[str], fingerprint: str) -> Client | None:
        """Whose certificate it is; a fingerprint says more than a name."""
        for shown in (fingerprint, *names):
            client = self._by_certificate.get(shown.lower())
            if client is not None:
                return client
        return None

    def by_username(self, username: str) -> Client | None:
        """Who logs in so, disabled or not. ASCII letters match in either case."""
        return self._by_username.get(username.lower())

    def shown(self, username: str) -> str:
        """What may be written down of a name that somebody gave.

        It may be a password in the wrong place, and the audit log forgets nothing. So a name is written down when it
        is a client's, or empty; of any other, a keyed hash. The form of an address excuses none: passwords have an @ too.
        """
        if username.lower() in self._names or not username:
            return username[:SHOWN_MAX].encode("unicode_escape").decode()
        return f"unknown:{self._derived(b'shown', username)[:HASH_SHOWN_BYTES].hex()}"

    def by_token(self, application: str, user: str) -> Client | None:
        """Whose a token is, disabled or not: of the application for itself (`user` empty), or for a user."""
        return self._by_token.get((application, user))

    def passwords(self, username: str, now: float) -> Sequence[Password]:
        """What a password is to be checked against: the good ones of the client, or decoys; never none."""
        client = self.by_username(username)
        words = () if client is None else client.passwords
        found = [each for each in words if each.is_good(now)]
        decoy = self._decoy(username, now)
        return found or decoy

    def verifiers(self, username: str, now: float) -> Sequence[Verifier]:
        """The same for SCRAM. One who has none, only a hash, is answered as one who is not known."""
        client = self.by_username(username)
        words = () if client is None else client.passwords
        found = [each.scram for each in words if each.scram is not None and each.is_good(now)]
        # Made up in any case: what it takes to do so must not tell.
        decoy = self._decoy_verifier(username)
        return found or (decoy,)

    def _look_up(self, address: str) -> Client | None:
        try:
            parsed = ip_address(address.partition("%")[0])
        except ValueError:
            return None
        if isinstance(parsed, IPv6Address):
            if parsed.ipv4_mapped is None:
                return next((each for net, each in self._v6 if parsed in net), None)
            parsed = parsed.ipv4_mapped
        return next((each for net, each in self._v4 if parsed in net), None)

    def _make_decoys(self) -> list[tuple[Password, ...]]:
        """One a client that logs in: a stranger's name costs as much to check as one of theirs."""
        decoys = [
            tuple(
                Password(password.decoy(word.hash, self._entropy), until=word.until)
                for word in each.passwords
            )
            for each in self.clients
            if each.passwords
        ]
        return decoys or [(Password(password.decoy(_PLAIN_HASH, self._entropy)),)]

    def _decoy(self, username: str, now: float) -> Sequence[Password]:
        """Always the same for a name; an old password costs time only while it is good."""
        words = self._decoys[int.from_bytes(self._derived(b"hash", username)) % len(self._decoys)]
        return [word for word in words if word.is_good(now)] or words[:1]

    def _decoy_verifier(self, username: str) -> Verifier:
        """Always the same salt for a name, as a client has; over restarts too, if there is a seed."""
        salt = self._derived(b"salt", username)[:SALT_BYTES]
        return Verifier(salt, ITERATIONS, self._entropy(KEY_BYTES), self._entropy(KEY_BYTES))

    def _derived(self, purpose: bytes, username: str) -> bytes:
        name = username.lower().encode("utf-8", "surrogatepass")
        return hmac.digest(self._seed, purpose + b"\0" + name, "sha256")
