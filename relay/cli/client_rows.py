"""The clients, for `check-config`: every key with its value, and of secrets that they are set."""

from relay.cli.policy_rows import policy_rows
from relay.identity.client import Client, Clients


def client_rows(clients: Clients) -> list[tuple[str, str]]:
    """Key and value."""
    return [row for client in clients.clients for row in _rows(client)]


def _rows(client: Client) -> list[tuple[str, str]]:
    key = f"client.{client.name}"
    senders, authors = client.policy.senders, client.policy.authors
    rows = [
        ("username", client.username),
        ("password", "is set" if client.passwords else ""),
        ("certificates", ", ".join(client.certificates)),
        ("networks", ", ".join(client.networks)),
        ("oauth_app", client.oauth_app),
        ("oauth_users", ", ".join(client.oauth_users)),
        ("senders", "(any)" if senders is None else ", ".join(senders) or "(none)"),
        ("from", "(any)" if authors is None else ", ".join(authors) or "(none)"),
        *policy_rows(client.policy),
        ("disabled", "true" if client.is_disabled else ""),
    ]
    return [(f"{key}.{name}", value) for name, value in rows if value]
