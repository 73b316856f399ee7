"""`[[dkim]]` as check-config shows it: which key signs what, how, and when."""

from relay.cli.dkim_check import state_of
from relay.cli.dkim_say import key_words
from relay.config.dkim import moment_text
from relay.config.value import written_time
from relay.identity.dkim import DomainPolicy, Selector

Row = tuple[str, str]


def dkim_rows(policies: tuple[DomainPolicy, ...], now: float) -> list[Row]:
    """Every key with its value, defaults included."""
    return [row for i, policy in enumerate(policies) for row in _policy_rows(f"dkim[{i}]", policy, now)]


def _policy_rows(key: str, policy: DomainPolicy, now: float) -> list[Row]:
    rows = [
        (f"{key}.domain", policy.domain.decode()),
        (f"{key}.subdomains", str(policy.subdomains).lower()),
        (f"{key}.canonicalization", f"{policy.header.name}/{policy.body.name}".lower()),
        (f"{key}.oversign", ", ".join(name.decode() for name in policy.oversign) or "(none)"),
        (f"{key}.existing", policy.existing.value),
        (f"{key}.on_failure", policy.on_failure.value),
    ]
    if policy.identity is not None:
        rows.append((f"{key}.identity", policy.identity.decode()))
    if policy.lifetime_s is not None:
        rows.append((f"{key}.lifetime", written_time(policy.lifetime_s)))
    return rows + [
        (f"{key}.selector[{i}]", _selector_text(policy, selector, now))
        for i, selector in enumerate(policy.selectors)
    ]


def _selector_text(policy: DomainPolicy, selector: Selector, now: float) -> str:
    text = f"{selector.name.decode()}: {state_of(policy, selector, now)}"
    if selector.retire_at is not None and selector.until > now:
        text += f", retires {moment_text(selector.until)}"
    return f"{text}; {key_words(selector.key)}; {selector.key.source}"
