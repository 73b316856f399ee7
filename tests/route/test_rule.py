"""What a route takes, whatever its matches say."""

from dataclasses import replace

import pytest

from relay.message.envelope import Envelope
from relay.route.route import Credentials, MailboxRule, Route, Withheld
from relay.route.rule import Rule, Rules, is_author
from relay.route.tenant import Tenant
from tests.route.mails import envelope, never

TENANT = Tenant(("contoso.com",))
A, B = Credentials("A@contoso.com", "x"), Credentials("b@contoso.com", "x")
INSIDE, OUTSIDE = b"y@contoso.com", b"y@b.example"


BARE = Route("r", ("h",))


def rules(route: Route) -> Rules:
    return Rules(route, TENANT)


def test_a_route_without_rules_takes_every_mail() -> None:
    assert rules(BARE).broken(envelope(OUTSIDE, sender=b""), [OUTSIDE], never) is None


@pytest.mark.parametrize(
    ("recipients", "broken"),
    [([INSIDE], None), ([OUTSIDE], Rule.INTERNAL_ONLY), ([INSIDE, OUTSIDE], Rule.INTERNAL_ONLY)],
)
def test_all_recipients_must_be_inside(recipients: list[bytes], broken: Rule | None) -> None:
    assert rules(replace(BARE, internal_only=True)).broken(envelope(*recipients), recipients, never) is broken


@pytest.mark.parametrize(
    ("sender", "author", "broken"),
    [
        (b"a@contoso.com", b"A@contoso.com", None),
        (b"A@CONTOSO.COM", b"a@contoso.com", None),
        (b"a@contoso.com", b"b@contoso.com", Rule.AUTHOR),
        (b"a@contoso.com", None, Rule.AUTHOR),
        (b"c@contoso.com", b"a@contoso.com", Rule.SENDER),
        (b"", b"a@contoso.com", Rule.SENDER),
    ],
)
def test_a_fixed_sender_is_a_mailbox_and_the_author(
    sender: bytes, author: bytes | None, broken: Rule | None
) -> None:
    mail = envelope(INSIDE, sender=sender)
    one = rules(replace(BARE, sender_fixed=True, credentials=A))
    several = rules(
        replace(BARE, sender_fixed=True, mailboxes=(A, B), mailbox_rules=(MailboxRule((A.username,)),))
    )
    assert one.broken(mail, [INSIDE], lambda: author) is broken
    assert several.broken(mail, [INSIDE], lambda: author) is broken


@pytest.mark.parametrize(("size", "broken"), [(1000, None), (1001, Rule.SIZE)])
def test_a_mail_may_have_the_size_that_is_allowed(size: int, broken: Rule | None) -> None:
    assert (
        rules(replace(BARE, message_size_bytes=1000)).broken(envelope(OUTSIDE, size=size), [OUTSIDE], never)
        is broken
    )


@pytest.mark.parametrize(
    ("mail", "broken"),
    [
        (envelope(OUTSIDE, sender=b"a@contoso.com"), None),
        (envelope(OUTSIDE, sender=b"x@news.contoso.com"), None),
        (envelope(OUTSIDE, sender=b"x@a.example"), Rule.SENDER),
        (envelope(OUTSIDE, sender=b""), Rule.SENDER),
    ],
)
def test_some_mailbox_must_send_for_the_sender(mail: Envelope, broken: Rule | None) -> None:
    rule = MailboxRule((A.username,), ("news.contoso.com",))
    known = rules(replace(BARE, mailboxes=(A, B), mailbox_rules=(rule,)))
    withheld = rules(
        replace(BARE, mailboxes=(Withheld(A.username), Withheld(B.username)), mailbox_rules=(rule,))
    )
    assert known.broken(mail, [OUTSIDE], never) is broken
    assert withheld.broken(mail, [OUTSIDE], never) is broken, "names are enough to judge by"


def test_nobody_is_no_author() -> None:
    assert is_author(b"a@b", b"A@B") and not is_author(b"a@b", None) and not is_author(b"", None)
