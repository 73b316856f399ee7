"""A simulated tenant without sockets: sessions fed by hand, on a clock that moves when told."""

from base64 import b64encode
from itertools import count

from relay.simulator.fault import Faults
from relay.simulator.high_volume import HighVolume
from relay.simulator.ledger import Ledger
from relay.simulator.login import Doorkeeper
from relay.simulator.mx import Mx
from relay.simulator.options import ApplicationTable, ConnectorTable, FaultTable, File, MailboxTable
from relay.simulator.session import Session
from relay.simulator.submission import Submission
from relay.simulator.tenant import Tenant, Visit
from relay.simulator.token import AUDIENCES, Claims, TokenKey

KEY = TokenKey()
NOW = 1_763_896_340.0
"""Sun, 23 Nov 2025 11:12:20 +0000, when the transcript was captured."""
ORDERS = "orders@contoso.example"
NEWS = "news@contoso.example"
BULK = "bulk@contoso.example"
OUTSIDE = "someone@fabrikam.example"
INSIDE = "someone@contoso.example"
MAILBOXES = (
    MailboxTable(address=ORDERS, password="pw", send_as=("sales@contoso.example",)),
    MailboxTable(address=NEWS, password="pw"),
    MailboxTable(address=BULK, password="pw", kind="high-volume"),
)


class Office:
    """A tenant and its services."""

    def __init__(
        self,
        *,
        limits: dict[str, object] | None = None,
        tenant: dict[str, object] | None = None,
        connectors: tuple[ConnectorTable, ...] = (),
        application: ApplicationTable | None = None,
        mailboxes: tuple[MailboxTable, ...] = MAILBOXES,
    ) -> None:
        self.file = File.model_validate({"limits": limits or {}, "tenant": tenant or {}})
        self.now = NOW
        self.chance = 0.0
        self.ledger = Ledger(1000)
        self.faults = Faults(lambda: self.chance)
        self.tenant = Tenant(self.file.tenant, self.file.limits, mailboxes)
        self.application = application or ApplicationTable(secret="secret")
        ids = count(1)
        self.submission = Submission(self.tenant, self.ledger, ids)
        self.high_volume = HighVolume(self.tenant, self.ledger, ids)
        self.mx = Mx(self.tenant, self.ledger, ids, connectors)
        self._numbers = count(1)

    def session(
        self, service: Submission | Mx, client: str = "203.0.113.9", kept: list[bytes] | None = None
    ) -> "Talk":
        """A session that has just been opened."""
        doorkeeper = None
        if service.offers_auth:
            applications = {self.application.client_id: self.application}
            doorkeeper = Doorkeeper(self.tenant, service.name, KEY, applications)
        visit = Visit(client, f"{next(self._numbers):016X}", self.now)
        keep = None if kept is None else lambda content, number: kept.append(content)
        return Talk(
            self,
            Session(
                service, doorkeeper, visit, self.file.limits, self.faults, self.ledger, keep_content=keep
            ),
        )

    def logged_in(self, mailbox: str = ORDERS, service: Submission | None = None) -> "Talk":
        """A session that may send."""
        talk = self.session(service or self.submission)
        talk.secure()
        talk.say("AUTH LOGIN")
        talk.say(base64(mailbox))
        assert talk.say(base64("pw")).startswith("235")
        return talk

    def fault(self, **keys: object) -> None:
        """Set a fault."""
        self.faults.set(FaultTable.model_validate(keys), self.now)

    def token(self, **changes: object) -> str:
        """An access token as the authority would give it."""
        claims: dict[str, object] = {
            "aud": AUDIENCES[0], "iss": "https://localhost/", "appid": self.application.client_id, "oid": "o", "tid": "t",
            "iat": int(self.now), "nbf": int(self.now), "exp": int(self.now) + 3600,
            "roles": tuple(self.application.roles),
        }  # fmt: skip
        return KEY.sign(Claims(**(claims | changes)))  # type: ignore[arg-type]  # keys by name


class Talk:
    """One session, spoken to in lines."""

    def __init__(self, office: Office, session: Session) -> None:
        self.office = office
        self.session = session
        session.greet(office.now)
        self.greeting = session.take_output().decode()

    def feed(self, data: bytes) -> str:
        """Bytes as they come; what is answered."""
        buffer = bytearray(data)
        taken = self.session.receive(buffer, 0, len(buffer), self.office.now)
        assert taken == len(buffer) or self.session.wake_at, "all is taken, or the session waits"
        return self.session.take_output().decode()

    def say(self, *lines: str) -> str:
        """Lines in one write; what is answered, without the last line end."""
        return self.feed("".join(f"{line}\r\n" for line in lines).encode()).removesuffix("\r\n")

    def wake(self, now: float) -> str:
        """Time has come to this moment."""
        self.office.now = now
        self.session.receive(bytearray(), 0, 0, now)
        return self.session.take_output().decode().removesuffix("\r\n")

    def secure(self, *names: str) -> None:
        """EHLO, STARTTLS, and EHLO again."""
        self.say("EHLO client.example")
        assert self.say("STARTTLS") == "220 2.0.0 SMTP server ready"
        self.session.secured(names)
        self.say("EHLO client.example")

    def send(
        self,
        sender: str = ORDERS,
        *recipients: str,
        author: str | None = None,
        message_id: str = "<1@client.example>",
        body: str = "Hello",
    ) -> str:
        """A whole mail; the last reply."""
        lines = [f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{each}>" for each in recipients or (INSIDE,)), "DATA"]
        said = self.say(*lines).split("\r\n")
        if not said[-1].startswith("354"):
            return said[-1]
        header = (f"From: Shop <{author or sender}>", f"Message-ID: {message_id}", "Subject: x")
        return self.say(*header, "", body, ".")


def base64(text: str) -> str:
    return b64encode(text.encode()).decode()


def xoauth2(mailbox: str, token: str) -> str:
    return base64(f"user={mailbox}\x01auth=Bearer {token}\x01\x01")
