"""A webhook between a history that a test writes and a receiver that it scripts."""

import hmac
import json
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

from relay.trace import event as events
from relay.trace.event import Event
from relay.trace.history import database
from relay.webhook.options import WebhookOptions, Webhooks
from relay.webhook.position import Position, PositionFile
from relay.webhook.post import Answer, Unanswered
from relay.webhook.webhook import Webhook
from tests.trace.history.sample import Telling

SECRET = b"0123456789abcdef01234567"
T = TypeVar("T")


@dataclass
class Receiver:
    """Answers 200 unless the script says otherwise; keeps what it took."""

    script: list[Answer | Unanswered] = field(default_factory=list)
    asked: list[dict[str, object]] = field(default_factory=list)
    """Every body, taken or not."""
    taken: list[dict[str, object]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    before_answer: Callable[[], None] = lambda: None
    is_closed: bool = False

    async def __call__(self, headers: Mapping[str, str], body: bytes) -> Answer:
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        good = b64encode(hmac.new(SECRET, signed, sha256).digest()).decode()
        assert f"v1,{good}" in headers["webhook-signature"].split(" ")
        found = json.loads(body)
        self.asked.append(found)
        self.ids.append(headers["webhook-id"])
        self.before_answer()
        said = self.script.pop(0) if self.script else Answer(200)
        if isinstance(said, Unanswered):
            raise said
        if said.is_taken:
            self.taken.append(found)
        return said

    async def close(self) -> None:
        self.is_closed = True

    def events(self) -> list[tuple[str, str]]:
        """Kind and recipient of each event that was taken, in order."""
        return [
            (event["type"].removeprefix("mail."), event["recipient"])
            for batch in self.taken
            for event in batch["data"]["events"]  # type: ignore[index]
        ]


async def at_once(work: Callable[[], T]) -> T:
    """In place of the thread."""
    return work()


class World:
    """One webhook, crash after crash; `random` is in the middle, so that pauses are exact."""

    def __init__(self, folder: Path, **changes: object) -> None:
        history = changes.pop("history", {})
        assert isinstance(history, dict)
        self.telling = Telling(folder / "history.db", changes=history)
        self.clock = self.telling.clock
        self.receiver = Receiver()
        self.told: list[Event] = []
        plain: dict[str, object] = {"pause_s": 1.0}
        # The names are checked at run time.
        self.options = WebhookOptions("crm", "https://crm.example/e", (SECRET,), **(plain | changes))  # type: ignore[arg-type]
        self.all = Webhooks("relay.example.com", self.telling.path, folder / "webhooks", (self.options,))
        self.file = PositionFile(self.all.folder, "crm")
        self.start()

    def start(self) -> None:
        """A new process; the old one is gone as after SIGKILL."""
        self.hook = Webhook(
            self.all, self.options, self.receiver, at_once, self.told.append, self.clock, lambda: 0.5
        )

    def position(self) -> Position:
        """On the disk."""
        found = self.file.read()
        assert found is not None
        return found

    def mail(self, *recipients: str, **changes: object) -> events.MailQueued:
        """One that came in."""
        mail = self.telling.queued(*recipients, **changes)
        self.telling.write(mail)
        return mail

    def deliver(self, *recipients: str, **changes: object) -> events.MailQueued:
        """One that came in and was delivered."""
        mail = self.mail(*recipients, **changes)
        self.telling.write(self.telling.delivered(mail))
        return mail

    def take_away_history(self) -> None:
        """As somebody may; the writer begins another."""
        self.telling.writer.close()
        for suffix in database.BESIDE:
            Path(f"{self.telling.path}{suffix}").unlink(missing_ok=True)

    def of(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.told if isinstance(event, kind)]
