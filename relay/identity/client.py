"""A client: a name, how it proves that it is the one, and what it may do.

Plain data; `relay.config` builds it, `relay.identity.directory` finds the one who came.
"""

from dataclasses import dataclass

from relay.smtp.scram import Verifier


@dataclass(frozen=True, slots=True)
class Password:
    """A password that is good, as far as we keep it."""

    hash: str
    """Argon2id, as a PHC string."""
    scram: Verifier | None = None
    """For SCRAM-SHA-256; a hash alone cannot serve it."""
    until: float | None = None
    """Good until then, seconds since the epoch; None: until it is replaced."""

    def __repr__(self) -> str:
        return f"Password(until={self.until}, …)"

    def is_good(self, now: float) -> bool:
        """Does it open the door now?"""
        return self.until is None or now < self.until


@dataclass(frozen=True, slots=True)
class Policy:
    """What a client may do. None: nothing is ruled about it."""

    senders: tuple[str, ...] | None = None
    """Envelope senders, written as in routes: an address, a domain, `*.domain`, `<>` for the null sender."""
    authors: tuple[str, ...] | None = None
    """Addresses in the header's From, written alike."""


ANYTHING = Policy()


@dataclass(frozen=True, slots=True)
class Client:
    """One `[[client]]`; each of its ways in is enough."""

    name: str
    username: str = ""
    """For AUTH; empty: it does not log in."""
    passwords: tuple[Password, ...] = ()
    """The newest first."""
    certificates: tuple[str, ...] = ()
    """Names (DNS or e-mail) or SHA-256 fingerprints, lower case, of certificates of its own."""
    networks: tuple[str, ...] = ()
    """In CIDR form."""
    policy: Policy = ANYTHING
    is_disabled: bool = False
    """It is known, and let in nowhere."""


@dataclass(frozen=True, slots=True)
class Clients:
    """All of them."""

    clients: tuple[Client, ...] = ()
    seed: str = ""
    """Secret, and the same over restarts: what is made up for names that nobody has must not change, or it would tell."""

    def __repr__(self) -> str:
        return f"Clients({len(self.clients)})"
