"""A client's policy in the words of its configuration: key and value, only what is written."""

from relay.config.client import quota_key
from relay.identity.client import Policy
from relay.message.priority import Priority


def policy_rows(policy: Policy) -> list[tuple[str, str]]:
    """All but senders and From, which are always told."""
    rows = [
        ("recipients", _list(policy.recipients)),
        ("routes", _list(policy.routes)),
        ("priority", "" if policy.priority is None else policy.priority.word),
        ("priority_max", "" if policy.priority_max is Priority.HIGH else policy.priority_max.word),
        ("message_size", f"{policy.message_bytes} bytes" if policy.message_bytes else ""),
        ("recipients_per_message", str(policy.recipients_per_message or "")),
        ("connections", str(policy.connections or "")),
        ("weight", "" if policy.weight == 1 else str(policy.weight)),
        ("campaign", policy.campaign),
    ]
    rows += [(quota_key(quota.of, quota.per), str(quota.count)) for quota in policy.quotas]
    return [(key, value) for key, value in rows if value]


def _list(values: tuple[str, ...] | None) -> str:
    return ", ".join(values or ())
