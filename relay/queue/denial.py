"""Denials: who may not send as whom for now, though the configuration lets them.

The next hop has said so, and each further try would make it block the mailbox
(learn: continuous-error-throttling-smtp-auth-submissions). Another mailbox that may send
for the same sender goes on.
"""


class Denials:
    """Mailboxes with senders, and domains of senders."""

    def __init__(self) -> None:
        self._pairs: set[tuple[str, bytes]] = set()
        self._domains: set[bytes] = set()

    def __bool__(self) -> bool:
        return bool(self._pairs or self._domains)

    def deny(self, mailbox: str, sender: bytes) -> None:
        """This mailbox (`route.tariff.mailbox_key`) does not send as that sender."""
        self._pairs.add((mailbox, sender.lower()))

    def allow(self, mailbox: str, sender: bytes) -> None:
        """It may try again."""
        self._pairs.discard((mailbox, sender.lower()))

    def deny_domain(self, domain: bytes) -> None:
        """No mailbox sends as anybody of that domain."""
        self._domains.add(domain.lower())

    def allow_domain(self, domain: bytes) -> None:
        """They may try again."""
        self._domains.discard(domain.lower())

    def may_send(self, mailbox: str, sender: bytes) -> bool:
        """Whether nothing speaks against it."""
        return (mailbox, sender.lower()) not in self._pairs

    def stops(self, sender: bytes) -> bytes:
        """The domain of the sender, where that is denied; else empty."""
        domain = domain_of(sender)
        return domain if domain in self._domains else b""


def text_of(address: bytes) -> str:
    """An address as a key: lower case, and the same bytes again by `bytes_of`, whatever they are."""
    return address.lower().decode("utf-8", "surrogateescape")


def bytes_of(text: str) -> bytes:
    """The address of such a key."""
    return text.encode("utf-8", "surrogateescape")


def domain_of(address: bytes) -> bytes:
    """Lower case; empty for the null sender."""
    return address[address.rfind(b"@") + 1 :].lower() if b"@" in address else b""
