"""Which mailboxes may send for whom."""

import pytest

from relay.route.mailbox import Mailboxes
from relay.route.route import Credentials, MailboxRule, Route

A, B, C = (Credentials(f"{name}@contoso.com", "x") for name in "abc")


def mailboxes(*rules: MailboxRule) -> Mailboxes:
    return Mailboxes(Route("r", ("h.test",), mailboxes=(A, B, C), mailbox_rules=rules))


def test_a_sender_that_is_a_mailbox_uses_its_own() -> None:
    assert mailboxes(MailboxRule(("b@contoso.com",), ("contoso.com",))).of(b"A@Contoso.com") == (A,)


def test_the_narrowest_rule_counts() -> None:
    found = mailboxes(
        MailboxRule(("a@contoso.com",), ("*.contoso.com",)),
        MailboxRule(("b@contoso.com", "c@contoso.com"), ("news.contoso.com",)),
        MailboxRule(("c@contoso.com",), ("x@news.contoso.com",)),
    )
    assert found.of(b"x@news.contoso.com") == (C,)
    assert found.of(b"y@news.contoso.com") == (B, C)
    assert found.of(b"y@old.contoso.com") == (A,)


def test_the_rule_without_senders_is_for_all_others() -> None:
    assert mailboxes(MailboxRule(("b@contoso.com",))).of(b"x@elsewhere.test") == (B,)
    assert mailboxes(MailboxRule(("b@contoso.com",))).of(b"") == (B,)


def test_without_a_rule_no_mailbox_may() -> None:
    assert mailboxes().of(b"x@elsewhere.test") == ()


def test_one_login_sends_for_everybody() -> None:
    assert Mailboxes(Route("r", ("h.test",), credentials=A)).of(b"x@elsewhere.test") == (A,)
    assert Mailboxes(Route("r", ("h.test",))).of(b"x@elsewhere.test") == (None,)


def test_a_rule_cannot_name_a_mailbox_that_is_not_there() -> None:
    with pytest.raises(ValueError, match=r"d@contoso\.com is no mailbox"):
        mailboxes(MailboxRule(("d@contoso.com",)))
