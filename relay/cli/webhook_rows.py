"""Webhooks for `check-config`: every key that is in force, of secrets only that they are set."""

from relay.cli.webhook_named import shown_url
from relay.config.value import written_time
from relay.webhook.options import Webhooks

Row = tuple[str, str]


def webhook_rows(webhooks: Webhooks | None) -> list[Row]:
    """Of all of them."""
    rows: list[Row] = []
    for i, hook in enumerate(webhooks.hooks if webhooks is not None else ()):
        key = f"webhook[{i}]"
        rows += [
            (f"{key}.name", hook.name),
            (f"{key}.url", shown_url(hook.url)),
            (f"{key}.secret", "is set, and the previous one" if len(hook.secrets) > 1 else "is set"),
            (f"{key}.events", ", ".join(state.word for state in hook.events)),
            (f"{key}.routes", ", ".join(hook.routes) or "(all)"),
            (f"{key}.clients", ", ".join(hook.clients) or "(all)"),
            (f"{key}.batch_size", str(hook.batch_size)),
            (f"{key}.pause", written_time(hook.pause_s)),
            (f"{key}.timeout", written_time(hook.timeout_s)),
            (f"{key}.retry_first", written_time(hook.retry_first_s)),
            (f"{key}.retry_max", written_time(hook.retry_max_s)),
        ]
        if hook.ca_file is not None:
            rows.append((f"{key}.ca_file", hook.ca_file))
    return rows
