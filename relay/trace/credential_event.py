"""Events of tokens and certificates: fetched, reloaded, refused, about to end."""

from relay.trace.event_kind import Kind, Level


class TokenFetched(Kind, frozen=True):
    """An authority gave a token; every route of the application uses it."""

    application: str
    lifetime: float
    """Seconds."""
    seconds: float
    """How long it took."""
    level: Level = "info"


class TokenFailed(Kind, frozen=True):
    """An authority gave no token; told once for each reason. A token there is goes on being used until it ends."""

    application: str
    reason: str
    level: Level = "error"


class CredentialExpiring(Kind, frozen=True):
    """A secret or a certificate ends soon, or has ended."""

    credential: str
    reason: str
    days: int
    """Whole days left; negative when it has ended."""
    level: Level = "warning"


class CredentialEnds(Kind, frozen=True):
    """When a secret or a certificate ends; told at the start and every hour, for the metrics."""

    credential: str
    at: float
    """Seconds since the epoch."""
    level: Level = "debug"


class CertificateReloaded(Kind, frozen=True):
    """A listener shows a new certificate; sessions that are open keep theirs."""

    listener: str
    certificate: str
    """The file."""
    fingerprint: str
    """SHA-256 of the certificate."""
    before: str
    """That of the old one."""
    level: Level = "info"


class CertificateRefused(Kind, frozen=True):
    """A listener's certificate or key was changed and cannot be used; the old ones go on. Told once a change."""

    listener: str
    certificate: str
    reason: str
    level: Level = "error"
