"""What an administrator may set about reports (`[report]`); a route says whether and when."""

from dataclasses import dataclass
from enum import Enum


class Unreportable(Enum):
    """What becomes of mail that failed and whose sender may not be told: he is null, or it is an answer itself."""

    HOLD = "hold"
    """Kept for the administrator: nothing is lost without a word."""
    DROP = "drop"


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """Of one relay."""

    hostname: str
    from_address: str = ""
    """Of From. Empty: the envelope sender where that is not null, else MAILER-DAEMON at the relay's name."""
    sender: str = ""
    """Envelope sender where the null one is not taken: a mailbox, or one it may send as. Empty: the first mailbox
    of the route, as itself."""
    route: str = ""
    """Of all reports; empty: as the route table says for the null sender and whoever is told."""
    delay_after_s: float = 14_400.0
    """Age at which a sender is told that his mail waits: 4 hours, as Sendmail and Exchange do. 0: never."""
    per_sender_per_hour: int = 20
    """Reports to one sender; what fails beyond is told in one digest an hour."""
    returned_bytes: int = 65_536
    """The largest mail that is returned whole where RET=FULL asks for it; of others the header goes back."""
    unreportable: Unreportable = Unreportable.HOLD
    suppress_s: float = 0.0
    """For how long no mail is taken for an address that is not there; 0: it is taken, and fails again."""

    def author(self, envelope_sender: str) -> str:
        """Whom the report is from."""
        return self.from_address or envelope_sender or f"MAILER-DAEMON@{self.hostname}"
