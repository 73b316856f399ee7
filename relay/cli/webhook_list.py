"""`webhook list`: who is told what."""

from pathlib import Path

import msgspec

from relay.cli.webhook_named import shown_url, webhooks
from relay.process.exits import Exit


def show(path: Path, *, as_json: bool) -> Exit:
    """Print them."""
    hooks = webhooks(path).hooks
    if as_json:
        for hook in hooks:
            line = {
                "name": hook.name,
                "url": shown_url(hook.url),
                "events": [state.word for state in hook.events],
                "routes": hook.routes,
                "clients": hook.clients,
            }
            print(msgspec.json.encode(line).decode())
        return Exit.OK
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("name", "url", "events", "routes", "clients")
    for hook in hooks:
        words = (
            hook.name, shown_url(hook.url), ", ".join(state.word for state in hook.events),
            ", ".join(hook.routes) or "all", ", ".join(hook.clients) or "all",
        )  # fmt: skip
        table.add_row(*map(Text, words))
    Console(highlight=False).print(table)
    return Exit.OK
