"""What a configuration's keys, certificates and secrets are now, to see when one is another.

Certificates and DKIM keys are public and told by their fingerprint; secrets are for
`relay.audit.settings`, which keeps no more of them than a mark.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from relay import tls
from relay.config.configuration import Configuration
from relay.errors import ConfigurationError
from relay.route.oauth import ClientCertificate, ClientSecret, OAuth
from relay.route.route import Credentials, Login, Route


def fingerprints(configuration: Configuration) -> dict[str, str]:
    """By key: of each certificate that is shown, each authority's file, each key that signs."""
    found: dict[str, str] = {}
    for i, listener in enumerate(configuration.listeners):
        if listener.certificate is not None:
            found[f"listener[{i}].certificate.fingerprint"] = _of_certificate(listener.certificate)
        for name, file in (
            ("client_ca_file", listener.client_ca_file),
            ("client_crl_file", listener.client_crl_file),
        ):
            if file is not None:
                found[f"listener[{i}].{name}.sha256"] = _of_file(file)
    for i, route in enumerate(configuration.routes):
        if route.client_certificate is not None:
            found[f"route[{i}].client_certificate.fingerprint"] = _of_certificate(
                Path(route.client_certificate)
            )
        for key, login in _logins(i, route):
            if isinstance(login, OAuth) and isinstance(login.application.proof, ClientCertificate):
                found[f"{key}.oauth.certificate.fingerprint"] = tls.fingerprint(
                    login.application.proof.certificate
                )
    graph = configuration.graph
    if graph is not None and isinstance(graph.application.proof, ClientCertificate):
        found["graph.certificate.fingerprint"] = tls.fingerprint(graph.application.proof.certificate)
    for i, policy in enumerate(configuration.dkim):
        for j, selector in enumerate(policy.selectors):
            found[f"dkim[{i}].selector[{j}].fingerprint"] = selector.key.fingerprint
    return found


def secrets(configuration: Configuration) -> dict[str, bytes]:
    """By key."""
    found: dict[str, bytes] = {}
    for i, route in enumerate(configuration.routes):
        for key, login in _logins(i, route):
            secret = _secret(login)
            if secret:
                found[f"{key}.secret"] = secret.encode()
    graph = configuration.graph
    if graph is not None and isinstance(graph.application.proof, ClientSecret):
        found["graph.secret"] = graph.application.proof.value.encode()
    for i, spool_key in enumerate(configuration.spool.keys):
        found[f"spool.key_file[{i}].secret"] = spool_key.secret
    if configuration.webhooks is not None:
        for hook in configuration.webhooks.hooks:
            found[f"webhook.{hook.name}.secret"] = b"\0".join(hook.secrets)
    for client in configuration.clients.clients:
        if client.passwords:
            words = "\n".join(f"{each.hash} {each.scram or ''} {each.until}" for each in client.passwords)
            found[f"client.{client.name}.passwords"] = words.encode()
    return found


def _secret(login: Login) -> str:
    match login:
        case Credentials():
            return login.password
        case OAuth() if isinstance(login.application.proof, ClientSecret):
            return login.application.proof.value
    return ""


def _logins(number: int, route: Route) -> Iterator[tuple[str, Login]]:
    if route.credentials is not None:
        yield f"route[{number}]", route.credentials
    for j, login in enumerate(route.mailboxes):
        yield f"route[{number}].mailbox[{j}]", login


def _of_certificate(path: Path) -> str:
    try:
        return tls.fingerprint(path.read_text("latin-1"))
    except (OSError, ConfigurationError):
        # It was good a moment ago; whoever replaces it just now is told of at the next look.
        return "(not readable)"


def _of_file(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return "(not readable)"
