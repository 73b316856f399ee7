"""From `[[dkim]]` to policies and keys, with the checks that need more than one value."""

import datetime
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from relay.config.dkim_table import NAME_MAX, DkimTable, SelectorTable
from relay.config.findings import Findings
from relay.errors import ConfigurationError
from relay.identity.dkim import DomainPolicy, Existing, OnFailure, Selector
from relay.identity.dkim_key import SigningKey, load_key
from relay.message.dkim.canonical import Canonicalization
from relay.message.dkim.record import record_name

LIFETIME_SHORT_S = 432_000.0
"""Five days: mail may wait so long on its way (RFC 5321 section 4.5.4.1) and then fails where it arrives."""


class DkimBuilder:
    """Builds the policies; what is wrong gathers in `Findings`."""

    def __init__(self, found: Findings) -> None:
        self._found = found

    def build(self, tables: Sequence[DkimTable]) -> tuple[DomainPolicy, ...]:
        """The policies; of use only when no problems were found."""
        seen: dict[str, int] = {}
        for i, table in enumerate(tables):
            if table.domain in seen:
                self._found.problems.append(
                    f'dkim[{i}].domain: dkim[{seen[table.domain]}] is for "{table.domain}" already; '
                    "write its selectors there"
                )
            seen.setdefault(table.domain, i)
        return tuple(self._policy(f"dkim[{i}]", table) for i, table in enumerate(tables))

    def _policy(self, key: str, table: DkimTable) -> DomainPolicy:
        selectors = [
            self._selector(f"{key}.selector[{i}]", table, each) for i, each in enumerate(table.selector)
        ]
        policy = DomainPolicy(table.domain.encode(), tuple(each for each in selectors if each is not None))
        if table.canonicalization is not None:
            header, _, body = table.canonicalization.partition("/")
            policy = replace(
                policy, header=Canonicalization[header.upper()], body=Canonicalization[body.upper()]
            )
        if table.oversign is not None:
            policy = replace(policy, oversign=tuple(name.encode() for name in table.oversign))
        policy = replace(
            policy,
            subdomains=bool(table.subdomains),
            existing=Existing(table.existing) if table.existing else policy.existing,
            on_failure=OnFailure(table.on_failure) if table.on_failure else policy.on_failure,
            identity=table.identity.encode() if table.identity else None,
            lifetime_s=None if table.lifetime is None else int(table.lifetime),
        )
        self._check_policy(key, table)
        self._check_selectors(key, policy)
        return policy

    def _selector(self, key: str, table: DkimTable, selector: SelectorTable) -> Selector | None:
        if len(record_name(table.domain, selector.name)) > NAME_MAX:
            self._found.problems.append(f"{key}.name: makes a DNS name of more than {NAME_MAX} characters")
        active_from, retire_at = _seconds(selector.active_from), _seconds(selector.retire_at)
        if active_from is not None and retire_at is not None and retire_at <= active_from:
            self._found.problems.append(f"{key}.retire_at: is not after active_from, so the key never signs")
        loaded = self._key(key, self._found.file(selector.key_file))
        if loaded is None:
            return None
        return Selector(selector.name.encode(), loaded, active_from, retire_at)

    def _key(self, key: str, path: Path) -> SigningKey | None:
        try:
            loaded = load_key(path)
        except ConfigurationError as error:
            self._found.problems.append(f"{key}.key_file: {error}")
            return None
        self._found.warnings.extend(f"{key}.key_file: {warning}" for warning in loaded.warnings)
        return loaded

    def _check_policy(self, key: str, table: DkimTable) -> None:
        identity = table.identity.rpartition("@")[2] if table.identity else table.domain
        if identity != table.domain and not identity.endswith(f".{table.domain}"):
            self._found.problems.append(
                f'{key}.identity: must be of "{table.domain}" or a subdomain of it (RFC 6376 section 3.5)'
            )
        if table.oversign is not None and "from" not in map(str.lower, table.oversign):
            self._found.warnings.append(
                f"{key}.oversign: without From, a second From can be added to a signed mail"
            )
        if table.lifetime is not None and table.lifetime < LIFETIME_SHORT_S:
            self._found.warnings.append(
                f"{key}.lifetime: mail may be on its way for 5 days, and then the signature is of no use any more"
            )
        if table.on_failure == "unsigned":
            self._found.warnings.append(
                f"{key}.on_failure: mail leaves unsigned when signing fails; with DMARC it may be refused"
            )

    def _check_selectors(self, key: str, policy: DomainPolicy) -> None:
        domain = policy.domain.decode()
        for i, selector in enumerate(policy.selectors):
            for other in policy.selectors[:i]:
                self._check_pair(f"{key}.selector[{i}]", selector, other)
        if policy.selectors and policy.is_unset(self._found.now):
            first = min(selector.since for selector in policy.selectors)
            self._found.warnings.append(
                f"{key}.selector: no key of {domain} is active before {moment_text(first)}; until then its mail leaves unsigned"
            )
        elif policy.selectors and not policy.active(self._found.now):
            self._found.warnings.append(f"{key}.selector: {_without_key(policy)} now; {CURE}")
        elif (gap := first_gap(policy, self._found.now)) is not None:
            self._found.warnings.append(
                f"{key}.selector: {_without_key(policy)} from {moment_text(gap)} on; {CURE}"
            )

    def _check_pair(self, key: str, selector: Selector, other: Selector) -> None:
        name = selector.name.decode()
        if selector.name == other.name:
            self._found.problems.append(f'{key}.name: "{name}" stands twice; one name is one key in the DNS')
        elif selector.key.algorithm is other.key.algorithm and selector.since == other.since:
            self._found.problems.append(
                f'{key}.active_from: "{name}" and "{other.name.decode()}" are both {selector.key.key_type} and begin '
                "at the same time, and only the newest signs; give the newer one a later active_from"
            )
        elif selector.key.public_key == other.key.public_key:
            self._found.warnings.append(f'{key}.key_file: is the same key as that of "{other.name.decode()}"')


CURE = "add a selector with a later or no retire_at"


def first_gap(policy: DomainPolicy, now: float) -> float | None:
    """The first moment after now at which no key is active, None when there is none."""
    for end in sorted(selector.until for selector in policy.selectors if selector.until > now):
        if end != float("inf") and not policy.active(end):
            return end
    return None


def moment_text(moment: float) -> str:
    """`2026-12-01 00:00 UTC`."""
    return f"{datetime.datetime.fromtimestamp(moment, datetime.UTC):%Y-%m-%d %H:%M} UTC"


def _without_key(policy: DomainPolicy) -> str:
    what = {
        OnFailure.DEFER: "deferred (451)",
        OnFailure.REFUSE: "refused",
        OnFailure.UNSIGNED: "sent unsigned",
    }
    return f"all keys of {policy.domain.decode()} are retired and its mail is {what[policy.on_failure]}"


def _seconds(moment: datetime.datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()
