"""Who signs a mail: the keys of a From domain at a moment.

A policy is for one domain and, when asked for, its subdomains; the exact domain comes
first, then the nearest parent. Of a policy's selectors those sign that are active:
of each algorithm the one whose `active_from` is the latest, so that a new key takes
over by its time alone, and RSA and Ed25519 sign side by side. The times are looked
at for each mail, so that publish, wait, switch, retire needs no restart.

What is left out: reading files and configuration (`dkim_key`, `relay.config.dkim`),
and the bytes that are signed (`relay.message.dkim`).
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from relay.errors import RelayError
from relay.identity.dkim_key import SigningKey
from relay.message.dkim.canonical import Canonicalization
from relay.message.dkim.signature import DEFAULT_OVERSIGN, Algorithm, SigningOptions

CACHE_MAX = 4096
"""From domains remembered; a relay for applications sees few. Starting over is cheap."""


class Existing(Enum):
    """What is done with a mail that bears a valid-looking aligned signature."""

    SIGN = "sign"
    LEAVE = "leave"


class OnFailure(Enum):
    """What is done with a mail that should be signed and cannot be."""

    DEFER = "defer"
    """451: the client keeps it and comes again. Never unsigned by accident."""
    UNSIGNED = "unsigned"
    REFUSE = "refuse"


class NoActiveKey(RelayError):
    """A policy is for this domain, and its keys are retired: `on_failure` says what to do."""


@dataclass(frozen=True, slots=True)
class Selector:
    """One key under its name, and when it signs: `active_from` <= now < `retire_at`, seconds since the epoch."""

    name: bytes
    key: SigningKey
    active_from: float | None = None
    """None: since ever."""
    retire_at: float | None = None
    """None: never."""

    @property
    def since(self) -> float:
        """`active_from`, to compare with."""
        return -math.inf if self.active_from is None else self.active_from

    @property
    def until(self) -> float:
        """`retire_at`, to compare with."""
        return math.inf if self.retire_at is None else self.retire_at

    def is_active(self, now: float) -> bool:
        """Whether it may sign now."""
        return self.since <= now < self.until


@dataclass(frozen=True, slots=True)
class DomainPolicy:
    """One `[[dkim]]` of the configuration."""

    domain: bytes
    """Lower case, A-labels (`xn--…`); d= of the signatures."""
    selectors: tuple[Selector, ...]
    subdomains: bool = False
    """Sign mail from subdomains too, with this domain as d= (DMARC's relaxed alignment)."""
    header: Canonicalization = Canonicalization.RELAXED
    body: Canonicalization = Canonicalization.RELAXED
    oversign: tuple[bytes, ...] = DEFAULT_OVERSIGN
    existing: Existing = Existing.SIGN
    on_failure: OnFailure = OnFailure.DEFER
    identity: bytes | None = None
    """i=, for example `@example.com`."""
    lifetime_s: int | None = None
    """x= is the time of signing and this; None: no x=."""

    def active(self, now: float) -> tuple[Selector, ...]:
        """The selectors that sign now, RSA first: verifiers that stop at one know RSA."""
        newest: dict[Algorithm, Selector] = {}
        for selector in self.selectors:
            other = newest.get(selector.key.algorithm)
            if selector.is_active(now) and (other is None or other.since < selector.since):
                newest[selector.key.algorithm] = selector
        return tuple(newest[algorithm] for algorithm in Algorithm if algorithm in newest)

    def is_unset(self, now: float) -> bool:
        """No key has begun yet: the domain is being set up, and its mail leaves unsigned on purpose."""
        return all(selector.since > now for selector in self.selectors)

    def options(self, selector: Selector) -> SigningOptions:
        """How a mail is signed with this selector."""
        return SigningOptions(
            domain=self.domain,
            selector=selector.name,
            algorithm=selector.key.algorithm,
            header=self.header,
            body=self.body,
            oversign=self.oversign,
            identity=self.identity,
            lifetime_s=self.lifetime_s,
        )


@dataclass(frozen=True, slots=True)
class Signer:
    """One signature to be made: how, and with what."""

    options: SigningOptions
    key: SigningKey


@dataclass(frozen=True, slots=True)
class _Choice:
    """Who signs for a domain, and the span of time in which that stays so."""

    policy: DomainPolicy | None
    signers: tuple[Signer, ...]
    since: float
    until: float


class KeyRing:
    """All policies. Cheap to ask for each mail: a choice is remembered until a key's time changes it."""

    def __init__(self, policies: Iterable[DomainPolicy] = ()) -> None:
        self.policies = tuple(policies)
        self._by_domain: dict[bytes, DomainPolicy] = {}
        for policy in self.policies:
            for spelling in {policy.domain, unicode_domain(policy.domain)}:
                if self._by_domain.setdefault(spelling, policy) is not policy:
                    raise ValueError(f"two policies are for {policy.domain.decode()}")
        # Made once: options keep what is the same for all mails, and making them costs more than a look-up.
        self._signers = {
            (policy.domain, selector.name): Signer(policy.options(selector), selector.key)
            for policy in self.policies
            for selector in policy.selectors
        }
        if len(self._signers) != sum(len(policy.selectors) for policy in self.policies):
            raise ValueError("two selectors of a domain have one name")
        self._choices: dict[bytes, _Choice] = {}

    def __bool__(self) -> bool:
        return bool(self.policies)

    def signers(self, from_domain: bytes, now: float) -> tuple[Signer, ...]:
        """The signatures a mail from this domain gets now; none when no policy is for it.

        None too while all keys of its policy are yet to come. NoActiveKey when those that were are retired.
        """
        choice = self._choices.get(from_domain)
        if choice is None or not choice.since <= now < choice.until:
            choice = self._choose(from_domain, now)
        if not choice.signers and choice.policy is not None and not choice.policy.is_unset(now):
            raise NoActiveKey(
                f"no DKIM key of {choice.policy.domain.decode()} is active; all that were are retired"
            )
        return choice.signers

    def policy(self, from_domain: bytes) -> DomainPolicy | None:
        """The policy for this From domain: its own, else its nearest parent's that takes subdomains."""
        if (choice := self._choices.get(from_domain)) is not None:
            return choice.policy
        exact, *parents = _self_and_parents(from_domain)
        if exact in self._by_domain:
            return self._by_domain[exact]
        found = (self._by_domain.get(parent) for parent in parents)
        return next((policy for policy in found if policy is not None and policy.subdomains), None)

    def keys(self) -> tuple[SigningKey, ...]:
        """Each key once."""
        return tuple(dict.fromkeys(signer.key for signer in self._signers.values()))

    def body_modes(self) -> frozenset[Canonicalization]:
        """Every body canonicalisation that a mail could need: what must be hashed before From is known."""
        return frozenset(policy.body for policy in self.policies if policy.selectors)

    def _choose(self, from_domain: bytes, now: float) -> _Choice:
        policy = self.policy(from_domain)
        if policy is None:
            choice = _Choice(None, (), -math.inf, math.inf)
        else:
            signers = tuple(self._signers[policy.domain, selector.name] for selector in policy.active(now))
            moments = [moment for each in policy.selectors for moment in (each.since, each.until)]
            choice = _Choice(
                policy,
                signers,
                since=max((moment for moment in moments if moment <= now), default=-math.inf),
                until=min((moment for moment in moments if moment > now), default=math.inf),
            )
        if len(self._choices) >= CACHE_MAX:
            self._choices.clear()
        self._choices[from_domain] = choice
        return choice


def unicode_domain(domain: bytes) -> bytes:
    """The domain with its A-labels as UTF-8, as From may say it in SMTPUTF8 mail (RFC 8616)."""
    return b".".join(_unicode_label(label) for label in domain.split(b"."))


def _unicode_label(label: bytes) -> bytes:
    if not label.startswith(b"xn--"):
        return label
    try:
        return label[4:].decode("punycode").encode()
    except UnicodeError:
        return label


def _self_and_parents(domain: bytes) -> Iterator[bytes]:
    domain = _normal(domain)
    yield domain
    while b"." in domain:
        domain = domain.partition(b".")[2]
        yield domain


def _normal(domain: bytes) -> bytes:
    """Lower case, without the final dot of a full name; other alphabets have a lower case too."""
    domain = domain.lower().removesuffix(b".")
    if domain.isascii():
        return domain
    return domain.decode("utf-8", "surrogateescape").lower().encode("utf-8", "surrogateescape")
