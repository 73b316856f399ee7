"""Every way in, and every rule of a policy: what is said in each place of the matrix.

A way is how a client comes to be known; a rule is a policy, and two transactions: one it
allows and one it refuses. Each transaction is written as in the dialogues beside this file:
what the client says, and how the reply to it begins.
"""

from dataclasses import dataclass, field

from relay.budget.ring import Counted, Per, Quota
from relay.identity.client import Policy
from relay.message.priority import Priority
from relay.receive.options import Action, SpoofingOptions
from relay.route.route import Route
from relay.route.tenant import Tenant

Turns = tuple[tuple[str, str], ...]

TENANT = Tenant(("contoso.com",))
ROUTES = (
    Route("inside", ("mx.inside.example",), recipients=("contoso.com",)),
    Route("world", ("mx.world.example",)),
)
HEADER = "From: Alice <alice@contoso.com>\r\n\r\nHello\r\n."


def mail(
    *,
    sender: str = "alice@contoso.com",
    parameters: str = "",
    recipients: tuple[str, ...] = ("bob@contoso.com",),
    content: str = HEADER,
    says: tuple[str, ...] = ("250 2.1.0", "250 2.1.5", "354", "250 2.0.0"),
) -> Turns:
    """One transaction, up to the reply that ends it; `says` are the replies in order."""
    commands = (
        f"MAIL FROM:<{sender}>{parameters}",
        *(f"RCPT TO:<{recipient}>" for recipient in recipients),
        "DATA",
        content,
    )
    return tuple(zip(commands, says, strict=False))


OK = mail()


@dataclass(frozen=True)
class Rule:
    """A policy, a transaction that it allows and one that it refuses."""

    policy: Policy
    refused: Turns
    allowed: Turns = OK
    spoofing: SpoofingOptions = field(default_factory=SpoofingOptions)
    listed: tuple[str, ...] = ()
    """Who is there, by the tenant's directory; empty: nobody asks it."""
    is_spent: bool = False
    """What is allowed uses it up: the refused one comes after it, else before it."""


def _author(name: str) -> Turns:
    return mail(
        content=f"From: {name}\r\n\r\nHello\r\n.", says=("250 2.1.0", "250 2.1.5", "354", "550 5.7.1")
    )


RULES: dict[str, Rule] = {
    "envelope sender": Rule(
        Policy(senders=("contoso.com",)),
        mail(sender="alice@else.example", says=("550 5.7.1 You may not send with this envelope sender",)),
    ),
    "null sender": Rule(
        Policy(senders=("contoso.com",)),
        mail(sender="", says=("550 5.7.1 You may not send with the null sender",)),
    ),
    "null sender allowed": Rule(
        Policy(senders=("<>",)),
        mail(says=("550 5.7.1 You may not send with this envelope sender",)),
        mail(sender=""),
    ),
    "From": Rule(Policy(authors=("alice@contoso.com",)), _author("eve@contoso.com")),
    "From of several": Rule(
        Policy(authors=("contoso.com",)), _author("alice@contoso.com, eve@contoso.com")
    ),
    "From of the tenant": Rule(
        Policy(), _author("eve@else.example"), spoofing=SpoofingOptions(from_field=Action.REFUSE)
    ),
    "name in From": Rule(
        Policy(),
        _author('"boss@rival.example" <alice@contoso.com>'),
        spoofing=SpoofingOptions(display_name=Action.REFUSE),
    ),
    "recipients inside": Rule(
        Policy(recipients=("inside",)),
        mail(
            recipients=("eve@else.example",),
            says=("250 2.1.0", "550 5.7.1 You may not send to this recipient"),
        ),
    ),
    "recipients by list": Rule(
        Policy(recipients=("partner.example",)),
        mail(says=("250 2.1.0", "550 5.7.1 You may not send to this recipient")),
        mail(recipients=("bob@partner.example",)),
    ),
    "directory": Rule(
        Policy(),
        mail(recipients=("nobody@contoso.com",), says=("250 2.1.0", "550 5.1.1")),
        listed=("bob@contoso.com",),
    ),
    "route": Rule(
        Policy(routes=("inside",)),
        mail(
            recipients=("eve@else.example",),
            says=("250 2.1.0", "550 5.7.1 No route that you may use leads to this recipient"),
        ),
    ),
    "declared size": Rule(
        Policy(message_bytes=1_000), mail(parameters=" SIZE=1001", says=("552 5.3.4 A mail of yours may have 1000",))
    ),
    "size": Rule(
        Policy(message_bytes=1_000),
        mail(
            content=HEADER[:-1] + "x" * 900 + "\r\n" + "x" * 100 + "\r\n.",
            says=("250 2.1.0", "250 2.1.5", "354", "552 5.3.4 A mail of yours may have 1000"),
        ),
    ),
    "recipients of a mail": Rule(
        Policy(recipients_per_message=1),
        mail(
            recipients=("bob@contoso.com", "carol@contoso.com"),
            says=("250 2.1.0", "250 2.1.5", "452 4.5.3"),
        ),
    ),
    "messages": Rule(
        Policy(quotas=(Quota(Counted.MESSAGES, Per.DAY, 1),)),
        mail(says=("450 4.7.1 Your messages for this day are used up; try again in ",)),
        is_spent=True,
    ),
    "recipients": Rule(
        Policy(quotas=(Quota(Counted.RECIPIENTS, Per.HOUR, 2),)),
        mail(
            recipients=("bob@contoso.com", "carol@contoso.com"),
            says=("250 2.1.0", "250 2.1.5", "450 4.7.1 Your recipients for this hour are used up"),
        ),
        is_spent=True,
    ),
    "priority": Rule(
        Policy(priority_max=Priority.BULK),
        # No refusal: the mail matters more than its place in a queue (RFC 6710).
        mail(parameters=" MT-PRIORITY=4", says=("250 2.3.6 -4 is the highest priority here",)),
        mail(parameters=" MT-PRIORITY=-4"),
    ),
}  # fmt: skip
