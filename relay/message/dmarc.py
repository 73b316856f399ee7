"""What a domain's DMARC record asks for, and what is aligned with it (RFC 9989).

The organizational domain is found by the tree walk (section 4.10): the highest domain above the author's that publishes a record. So no list of
public suffixes is needed, which would be a dependency, and old the day after.
"""

from collections.abc import Mapping
from dataclasses import dataclass

WALK_MAX = 8
"""Look-ups for one domain (section 4.10): of a longer name the labels in the middle are passed over."""
_WANTING = frozenset((b"quarantine", b"reject"))


@dataclass(frozen=True, slots=True)
class Record:
    """One `v=DMARC1`, as far as we ask."""

    policy: bytes
    subdomain_policy: bytes
    strict_dkim: bool = False
    strict_spf: bool = False
    psd: bytes = b"u"
    """`y`: a public suffix, which nobody sends for; `n`: the organizational domain, whatever stands above."""


@dataclass(frozen=True, slots=True)
class Demand:
    """For mail of one author's domain."""

    is_wanted: bool = False
    """The domain wants mail that is not aligned quarantined or rejected."""
    organization: str = ""
    strict_dkim: bool = False
    strict_spf: bool = False

    def is_met(self, author: str, signing: str, sender: str) -> bool:
        """Is the signing domain aligned, or that of the envelope sender? Empty: there is none."""
        return (
            not self.is_wanted
            or self._is_aligned(author, signing, self.strict_dkim)
            or self._is_aligned(author, sender, self.strict_spf)
        )

    def _is_aligned(self, author: str, other: str, is_strict: bool) -> bool:
        if is_strict:
            return other == author
        return other == self.organization or other.endswith("." + self.organization)


NOTHING = Demand()


def parse(texts: tuple[bytes, ...]) -> Record | None:
    """The record among the TXT records of a name; None: none, or several, which count as none (RFC 9989 section 4.10)."""
    found = [text for text in texts if text.split(b";", 1)[0].replace(b" ", b"") == b"v=DMARC1"]
    if len(found) != 1:
        return None
    tags: dict[bytes, bytes] = {}
    for part in found[0].split(b";")[1:]:
        name, _, value = part.partition(b"=")
        tags.setdefault(name.strip().lower(), value.strip().lower())
    policy = tags.get(b"p", b"none")
    return Record(
        policy,
        tags.get(b"sp", policy),
        tags.get(b"adkim") == b"s",
        tags.get(b"aspf") == b"s",
        tags.get(b"psd", b"u"),
    )


def walk(domain: str) -> list[str]:
    """The domains whose records are asked for, the author's own first."""
    labels = domain.split(".")
    parents = labels[1:][-(WALK_MAX - 1) :]
    return [domain, *(".".join(parents[index:]) for index in range(len(parents)))]


def demand(domain: str, records: Mapping[str, Record]) -> Demand:
    """What is asked of mail from this domain; `records` are those that the walk found."""
    own, organization, suffix = records.get(domain), domain, None
    walked = walk(domain)
    for index, each in enumerate(walked):
        record = records.get(each)
        if record is None:
            continue
        if record.psd == b"y" and index:
            # A public suffix is nobody's organization: that is one below, and heeds it when it says nothing itself.
            organization, suffix = walked[index - 1], record
            break
        organization = each
        if record.psd == b"n":
            break
    if own is not None:
        return Demand(own.policy in _WANTING, organization, own.strict_dkim, own.strict_spf)
    above = records.get(organization) or suffix
    if above is None:
        return NOTHING
    return Demand(above.subdomain_policy in _WANTING, organization, above.strict_dkim, above.strict_spf)
