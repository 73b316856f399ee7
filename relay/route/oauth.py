"""What a route needs to log in with a token instead of a password: the application, and how it proves who it is.

Plain data. An application gets one token for all its mailboxes, so whoever fetches
tokens goes by `Application`, and each route adds its mailbox. Secrets never show in a repr.
"""

from msgspec import Struct


class ClientSecret(Struct, frozen=True, tag="secret"):
    """A text that the application shares with the authority."""

    value: str

    def __repr__(self) -> str:
        return "ClientSecret(…)"

    def __rich_repr__(self) -> list[tuple[str, str]]:
        return []


class ClientCertificate(Struct, frozen=True, tag="certificate"):
    """A certificate that the application is registered with; it signs each request (RFC 7523)."""

    certificate: str
    """PEM."""
    key: str
    """PEM, without a passphrase."""

    def __repr__(self) -> str:
        return "ClientCertificate(…)"

    def __rich_repr__(self) -> list[tuple[str, str]]:
        return []


class ManagedIdentity(Struct, frozen=True, tag="managed identity"):
    """The identity that Azure gives to this machine; it needs no secret."""

    client_id: str = ""
    """Of a user-assigned identity; empty is the machine's own."""


Proof = ClientSecret | ClientCertificate | ManagedIdentity


class Application(Struct, frozen=True):
    """Who asks for tokens, where, and for what."""

    client_id: str
    """Of the registered application; empty with a managed identity."""
    authority: str
    """`https://login.microsoftonline.com/<tenant>`; empty with a managed identity."""
    scope: str
    """`https://outlook.office365.com/.default`."""
    proof: Proof
    ca_file: str | None = None
    """Certificates to trust for the authority instead of the system's."""
    expires_at: float | None = None
    """When the secret or the certificate ends, seconds since the epoch, where it is known."""

    def __str__(self) -> str:
        match self.proof:
            case ManagedIdentity(client_id=""):
                return "the managed identity of this machine"
            case ManagedIdentity(client_id=client_id):
                return f"the managed identity {client_id}"
        return f"the application {self.client_id}"


class OAuth(Struct, frozen=True, tag="oauth"):
    """Log in to a mailbox with a token of the application."""

    username: str
    """The mailbox."""
    application: Application
    role: str = ""
    """The application permission that a token for this service carries."""
    audiences: tuple[str, ...] = ()
    """What the service takes as a token's audience; empty: not known."""
    margin_s: float = 60.0
    """A token with less time left opens no session: AUTH may take 10 seconds, and clocks differ."""
    ends_session: bool = True
    """A session ends before its token does. High volume demands it; elsewhere nothing is published, and it costs nothing."""
