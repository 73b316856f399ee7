"""Clients for tests: their hashes cost nothing to check."""

from argon2 import PasswordHasher

from relay.identity.client import Client, Clients, Password, Policy
from relay.smtp.scram import verifier_of

_CHEAP = PasswordHasher(1, 8, 1)
SEED = "seed of the tests"


def password(text: str, until: float | None = None) -> Password:
    """A password as it is kept."""
    return Password(_CHEAP.hash(text), verifier_of(text, b"salt of 16 bytes"), until)


ERP = Client(
    "erp",
    "erp",
    (password("sesame"),),
    policy=Policy(("example.com", "<>"), ("example.com",)),
)
"""Logs in with "sesame", sends as example.com and with the null sender."""
LEFT = Client("left", "left", (password("sesame"),), is_disabled=True)
"""Knows its password, and is disabled."""
LOCAL = Client("local", networks=("127.0.0.1/32",), policy=Policy(("a@example.org",), ("*.example.org",)))
"""Everybody on this machine."""
WEB = Client("web", certificates=("web.example.com",))


def clients(*known: Client) -> Clients:
    """These, or ERP and LEFT."""
    return Clients(known or (ERP, LEFT), SEED)
