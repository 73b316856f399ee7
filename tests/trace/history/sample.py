"""Mails as the deliverer tells of them, and a history that they are written to."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from relay.message.queue_id import QueueIdSource, format_id
from relay.trace import event as events
from relay.trace.event import Event
from relay.trace.history import database, mail
from relay.trace.history.mail import MailLine
from relay.trace.history.options import HistoryOptions
from relay.trace.history.question import Wanted, find
from relay.trace.history.writer import Writer
from tests.fakes.clock import FakeClock

TAKEN = "250 2.0.0 OK <%s> [Hostname=SYBP282MB2635.AUSP282.PROD.OUTLOOK.COM]"
BUSY = "451 4.7.500 Server busy. Please try again later from [203.0.113.9]. (AS761)"
NOT_FOUND = "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient %s not found by SMTP address lookup"


@dataclass
class Telling:
    """Writes what is told at once; `clock` says when."""

    path: Path
    clock: FakeClock = field(default_factory=FakeClock)
    told: list[Event] = field(default_factory=list)
    """What the history says of itself."""
    changes: dict[str, object] = field(default_factory=dict)
    """Of the options."""

    def __post_init__(self) -> None:
        self.ids = QueueIdSource(3, self.clock)
        # The names are checked at run time.
        self.options = HistoryOptions(self.path, **self.changes)  # type: ignore[arg-type]
        self.writer = Writer(self.options, self.clock, self.told.append)

    def write(self, *happened: Event) -> None:
        self.writer.write([(self.clock.now(), event) for event in happened])

    def queued(self, *recipients: str, **changes: object) -> events.MailQueued:
        """A mail that comes in now, not written yet."""
        id = format_id(self.ids.next())
        plain: dict[str, object] = {
            "id": id,
            "message_id": f"<{id}@app.example.com>",
            "sender": "app@contoso.com",
            "recipients": recipients or ("b@example.net",),
            "size": 1_000,
            "client": "10.0.0.1",
            "account": "",
            "priority": "normal",
            "campaign": "",
            "received_at": self.clock.now(),
        }
        # Likewise.
        return events.MailQueued(**(plain | changes))  # type: ignore[arg-type]

    def delivered(self, mail: events.MailQueued, *recipients: str, **changes: object) -> events.Delivered:
        plain: dict[str, object] = {
            "id": mail.id,
            "recipients": recipients or mail.recipients,
            "route": "exchange-online",
            "host": "smtp.office365.com",
            "reply": TAKEN % mail.message_id.strip("<>"),
            "attempts": 1,
            "seconds": 1.5,
            "identity": "relay@contoso.com",
            "session": "0123456789ABCDEF",
            "internal_id": "7619272024915",
            "remote": "SYBP282MB2635.AUSP282.PROD.OUTLOOK.COM",
        }
        if "reply" in changes:
            # Of a next hop that is not Microsoft's.
            plain |= {"internal_id": "", "remote": ""}
        # Likewise.
        return events.Delivered(**(plain | changes))  # type: ignore[arg-type]

    def deferred(self, mail: events.MailQueued, *recipients: str, reply: str = BUSY) -> events.Deferred:
        again_at = self.clock.now() + 60
        return events.Deferred(
            mail.id, recipients or mail.recipients, "exchange-online", "h", reply, 1, again_at
        )

    def held(self, mail: events.MailQueued, *recipients: str, reply: str = "") -> events.Held:
        who = recipients or mail.recipients
        return events.Held(mail.id, who, "exchange-online", "h", reply or NOT_FOUND % who[0], 1)

    def find(self, limit: int = 100, **wanted: object) -> list[str]:
        """Ids of the mails that are wanted, newest first."""
        return [each.id for each in self.read(limit, **wanted)]

    def read(self, limit: int = 100, **wanted: object) -> list[MailLine]:
        with database.reading(self.path) as connection:
            # Likewise.
            ids = find(connection, Wanted(**wanted), limit)  # type: ignore[arg-type]
            return list(mail.read(connection, ids))

    def rows(self, table: str) -> int:
        with database.reading(self.path) as connection:
            return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])

    def everything(self) -> bytes:
        """The bytes of the file and its WAL, to look for what must not be there."""
        found = b""
        for suffix in database.BESIDE:
            with suppress(FileNotFoundError):
                found += self.path.with_name(self.path.name + suffix).read_bytes()
        return found

    def of(self, kind: type[Event]) -> Sequence[Event]:
        return [event for event in self.told if isinstance(event, kind)]
