"""`dkim rotate`: the next key, and what to do when. The administrator's TOML stays the administrator's."""

import shlex
import time
from pathlib import Path

import typer

from relay.cli.dkim_say import domain_of, key_words, record_text, selector_of, selector_toml, toml_time
from relay.config.dkim import moment_text
from relay.config.read import find, read
from relay.config.value import time_s
from relay.errors import ConfigurationError
from relay.identity.dkim import DomainPolicy, Selector
from relay.identity.dkim_new_key import KeyKind, create_key
from relay.identity.dkim_rotation import coming, next_name, plan, same_kind
from relay.process.exits import Exit


def rotate(
    domain: str, config: Path | None, selector: str | None, kind: str | None, out: Path | None, wait: str
) -> Exit:
    """Make the key that follows the one that signs now."""
    now = time.time()
    path = find(config)
    policy = _policy(read(path, now).dkim, domain_of(domain), path)
    old = _old(policy, kind, now)
    if (follower := coming(policy, old, now)) is not None:
        raise ConfigurationError(
            f"a rotation is under way: {follower.name.decode()} follows {old.name.decode()} at "
            f"{moment_text(follower.since)}; wait for that, or take it out of {path}"
        )
    taken = {each.name.decode() for each in policy.selectors}
    name = next_name(old.name.decode(), taken) if selector is None else selector_of(selector)
    if name in taken:
        raise ConfigurationError(f"{path} has a selector {name} already; a new key gets a new name")
    file = (out or Path(old.key.source).parent / f"{policy.domain.decode()}.{name}.pem").absolute()
    wait_s = _seconds(wait)
    key = create_key(file, KeyKind(kind) if kind else same_kind(old))
    moments = plan(now, wait_s)
    print(
        f"Wrote {file} ({key_words(key)}; mode 0600). The user the relay runs as must be able to read it.\n"
        f"{old.name.decode()} goes on signing until {moment_text(moments.switch)}.\n\n"
        f"1. Publish, now. {record_text(policy.domain.decode(), name, key)}\n"
        f"2. Switch. Add to {path}, below the [[dkim]] of {policy.domain.decode()}, and reload (SIGHUP). Nothing\n"
        f"   changes before the time; from then on the new key signs, without a restart:\n\n"
        f"{selector_toml(name, file, moments.switch)}\n"
        f"   And in the [[dkim.selector]] of {old.name.decode()}:\n\n"
        f"retire_at = {toml_time(moments.retire)}\n\n"
        f"3. Wait. Before {moment_text(moments.switch)} this must find nothing wrong; else give active_from a later time:\n\n"
        f"m365-relay dkim check {policy.domain.decode()} --config {shlex.quote(str(path))}\n\n"
        f"4. Retire, after {moment_text(moments.retire)}, when no mail signed with {old.name.decode()} is on its way any more:\n"
        f'   set its DNS record to "v=DKIM1; p=" (revoked), take its selector out of {path},\n'
        f"   reload, and delete {old.key.source}.\n",
        end="",
    )
    return Exit.OK


def _policy(policies: tuple[DomainPolicy, ...], domain: str, path: Path) -> DomainPolicy:
    for policy in policies:
        if policy.domain.decode() == domain:
            return policy
    raise ConfigurationError(
        f"{path} has no [[dkim]] table for {domain}; make its first key with: m365-relay dkim new"
    )


def _old(policy: DomainPolicy, kind: str | None, now: float) -> Selector:
    """The key to follow: RSA first, unless another kind is asked for."""
    active = policy.active(now)
    if not active:
        raise ConfigurationError(
            f"no key of {policy.domain.decode()} signs now, so there is none to rotate; make one with: m365-relay dkim new"
        )
    if kind is None:
        return active[0]
    wanted = "ed25519" if kind == KeyKind.ED25519.value else "rsa"
    for selector in active:
        if selector.key.key_type == wanted:
            return selector
    raise ConfigurationError(
        f"{policy.domain.decode()} has no {wanted} key that signs now; a first one is made with: m365-relay dkim new"
    )


def _seconds(wait: str) -> float:
    try:
        seconds = time_s(wait)
    except ValueError as error:
        raise typer.BadParameter(f"--wait: {error}") from None
    assert isinstance(seconds, float)
    return seconds
