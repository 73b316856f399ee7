"""The brakes' options: how much a client may get wrong, and what comes of it; each default with its reason."""

from dataclasses import dataclass, replace

FAILURES_LEAST = 4
"""Of a receiver's part: somebody may mistype a password."""


@dataclass(frozen=True, slots=True)
class BrakeOptions:
    """`[brakes]`. What counts for an address counts for a network of 64 bits where it is IPv6: a host has as many."""

    exempt: tuple[str, ...] = ()
    """Networks that no brake holds. Not this machine: whoever has an account on it could guess from here."""
    connections_per_minute: int = 60_000
    """Of one address. An application that logs in anew for each of 1,000 mails a second still passes."""
    login_failures: int = 20
    """Of one address within the period, then it is banned. The same wrong password once more is no guess and does not
    count: an application that was not told the new one must not shut out its neighbours."""
    name_failures: int = 50
    """For one name within the period, from wherever; then addresses that never logged in by it get slow answers.
    The name is never locked: whoever knows it could lock out its owner."""
    refused_recipients: int = 100
    """Of one address within the period, then 421 at each further one: a list with dead entries has some, who tries
    out names has hundreds."""
    faulty_sessions: int = 50
    """Sessions of one address within the period that ended by too many errors or commands, by words before the
    greeting or by content that came too slowly; then it is banned, and from a quarter on it is greeted later and later.
    A broken program that tries each minute stays below; one session with mail, and all are forgiven."""
    period_s: float = 600.0
    """In which so many are forgotten, steadily."""
    delay_max_s: float = 10.0
    """Answers to what was wrong are held back, up to this as the limit comes near. Clients wait 5 minutes."""
    ban_s: float = 600.0
    """Short: behind an address there may be others, and who guesses has lost enough by it."""
    remembered: int = 16_384
    """Addresses and names, of each kind; the oldest are forgotten. Some 200 bytes each."""

    def share(self, receivers: int) -> "BrakeOptions":
        """One receiver's part: each sees only what comes to it."""
        return replace(
            self,
            connections_per_minute=max(1, self.connections_per_minute // receivers),
            login_failures=max(FAILURES_LEAST, self.login_failures // receivers),
            name_failures=max(FAILURES_LEAST, self.name_failures // receivers),
            refused_recipients=max(FAILURES_LEAST, self.refused_recipients // receivers),
            faulty_sessions=max(FAILURES_LEAST, self.faulty_sessions // receivers),
        )
