"""`dkim check`: every key that signs, will sign or signed, beside what is published."""

import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from relay.cli.dkim_say import domain_of, lookup_of, printable, selector_of
from relay.config.dkim import moment_text
from relay.config.read import find, read
from relay.errors import ConfigurationError
from relay.identity import dkim_check
from relay.identity.dkim import DomainPolicy, Selector
from relay.identity.dkim_check import Finding, Level
from relay.identity.dkim_dns import Lookup
from relay.identity.dkim_key import load_key
from relay.message.dkim.record import record_name
from relay.process.exits import Exit

MARKS = {Level.ERROR: "✗", Level.WARNING: "!", Level.NOTE: "·"}


@dataclass(frozen=True, slots=True)
class Row:
    """One selector and what is to be said about it."""

    domain: str
    selector: str
    state: str
    findings: tuple[Finding, ...]

    @property
    def is_good(self) -> bool:
        """Nothing a verifier would trip over."""
        return all(finding.level is not Level.ERROR for finding in self.findings)


def check_configured(domain: str | None, config: Path | None, resolver: str | None, *, as_json: bool) -> Exit:
    """All selectors of the configuration, or those of one domain."""
    now = time.time()
    path = find(config)
    policies = read(path, now).dkim
    wanted = None if domain is None else domain_of(domain)
    chosen = [policy for policy in policies if wanted in (None, policy.domain.decode())]
    if not chosen:
        what = "no [[dkim]] table" if wanted is None else f"no [[dkim]] table for {wanted}"
        raise ConfigurationError(f"{path} has {what}; make a key with: m365-relay dkim new")
    look_up = lookup_of(resolver)
    return _tell(
        [_row(policy, each, look_up, now) for policy in chosen for each in policy.selectors], as_json
    )


def check_key(domain: str, selector: str, key: Path, resolver: str | None, *, as_json: bool) -> Exit:
    """One key that is not configured yet."""
    domain, selector = domain_of(domain), selector_of(selector)
    findings = dkim_check.check(domain, selector, load_key(key), lookup_of(resolver))
    return _tell([Row(domain, selector, "not configured", findings)], as_json)


def state_of(policy: DomainPolicy, selector: Selector, now: float) -> str:
    """What the key does now, in words."""
    if selector.until <= now:
        return f"retired since {moment_text(selector.until)}"
    if selector.since > now:
        return f"signs from {moment_text(selector.since)}"
    if selector in policy.active(now):
        return "signs now"
    return "superseded by a newer one"


def _row(policy: DomainPolicy, selector: Selector, look_up: Lookup, now: float) -> Row:
    domain, name = policy.domain.decode(), selector.name.decode()
    if selector.until <= now:
        findings = dkim_check.check_retired(domain, name, look_up)
    else:
        identity = None if policy.identity is None else policy.identity.decode().rpartition("@")[2]
        findings = dkim_check.check(domain, name, selector.key, look_up, identity)
    return Row(domain, name, state_of(policy, selector, now), findings)


def _tell(rows: list[Row], as_json: bool) -> Exit:
    is_good = all(row.is_good for row in rows)
    if as_json:
        print(msgspec.json.encode({"good": is_good, "selectors": rows}).decode())
    else:
        for row in rows:
            print(f"{'✓' if row.is_good else '✗'} {record_name(row.domain, row.selector)}  ({row.state})")
            for finding in row.findings:
                print(f"    {MARKS[finding.level]} {printable(finding.text)}")
    return Exit.OK if is_good else Exit.FOUND
