"""The webhooks of a configuration, for commands; what of them may be shown."""

import time
from pathlib import Path
from urllib.parse import urlsplit

from relay.config.read import read
from relay.errors import ConfigurationError
from relay.webhook.options import WebhookOptions, Webhooks


def webhooks(path: Path) -> Webhooks:
    """All of them; ConfigurationError when there is none."""
    found = read(path, time.time()).webhooks
    if found is None:
        raise ConfigurationError(f"{path}: there is no [[webhook]]")
    return found


def named(all_: Webhooks, name: str) -> WebhookOptions:
    """The one of that name; ConfigurationError."""
    for options in all_.hooks:
        if options.name == name:
            return options
    names = ", ".join(options.name for options in all_.hooks)
    raise ConfigurationError(f'there is no webhook "{name}"; there are {names}')


def shown_url(url: str) -> str:
    """Without its query, which is where receivers have their own keys."""
    parts = urlsplit(url)
    return url if not parts.query else f"{parts.scheme}://{parts.netloc}{parts.path}?…"
