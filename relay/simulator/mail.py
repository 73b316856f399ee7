"""A mail on its way in: the envelope as it is given, and the few fields a decision needs."""

from msgspec import Struct

from relay.message.header import Header


class Later(Struct, frozen=True):
    """Ask again at this moment; nothing was decided."""

    at: float


class Mail(Struct, gc=False):
    """One transaction. Addresses are as they came; `same` says whether two are one."""

    sender: bytes
    began: float
    recipients: list[bytes] = []
    size: int = 0
    message_id: bytes = b""
    """With its angle brackets; empty when there is none."""
    author: bytes = b""
    """The address in From; empty when there is none or several."""
    header_size: int = 0
    external: int = 0
    """How many recipients are outside the tenant."""
    is_late: bool = False
    """It found the mailbox's minute full, and that was counted."""
    troubles: set[str] = set()
    """Of its recipients; each kind counts once a mail."""

    def read_header(self, header: Header) -> None:
        """Take from it what is needed."""
        self.header_size = header.end
        self.message_id = header.get(b"Message-ID") or b""
        self.author = address_of(header.get(b"From") or b"")


def address_of(value: bytes) -> bytes:
    """The address in the value of a From field with one mailbox; what is no such field gives what is compared in vain."""
    if value.endswith(b">"):
        return value[value.rfind(b"<") + 1 : -1].strip()
    return value.partition(b"(")[0].strip()


def folded(address: bytes) -> bytes:
    """For comparison: Exchange looks at neither half's case."""
    return address.lower()


def domain_of(address: bytes) -> bytes:
    """In lower case; empty for `postmaster` and the null sender."""
    return address.rpartition(b"@")[2].lower() if b"@" in address else b""
