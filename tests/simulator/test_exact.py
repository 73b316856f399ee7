"""The simulator's judgement against a plain recount of everything that was taken."""

from hypothesis import given
from hypothesis import strategies as st

from relay.simulator.ledger import Kept
from tests.simulator.office import INSIDE, NEWS, NOW, ORDERS, OUTSIDE, Office

MESSAGES, RECIPIENTS, EXTERNAL = 3, 8, 6
LIMITS: dict[str, object] = {
    "messages": MESSAGES, "recipients": RECIPIENTS, "recipients_per": 300, "external_recipients": EXTERNAL,
    "external_recipients_per": 200, "session": 0, "idle": 0, "licences": 1,
}  # fmt: skip
Attempts = st.lists(
    st.tuples(
        st.integers(0, 80),
        st.sampled_from([ORDERS, NEWS]),
        st.lists(st.sampled_from([INSIDE, OUTSIDE]), min_size=1, max_size=4),
    ),
    max_size=25,
)


def recount(
    mails: list[Kept], now: float, window_s: float, mailbox: str = "", *, outside: bool = False
) -> int:
    """Recipients that were taken in the window that ends now."""
    return sum(
        sum(1 for recipient in mail.recipients if recipient == OUTSIDE or not outside)
        for mail in mails
        if mail.time > now - window_s and mailbox in ("", mail.mailbox)
    )


def expected(mails: list[Kept], now: float, mailbox: str, recipients: list[str]) -> str:
    """The reply that the limits demand, by counting all over again."""
    outside = recipients.count(OUTSIDE)
    if recount(mails, now, 300, mailbox) + len(recipients) > RECIPIENTS:
        return "554 5.2.0"
    if outside and recount(mails, now, 200, outside=True) + outside > EXTERNAL:
        return "550 5.7.233"
    recent = [mail for mail in mails if mail.time > now - 60 and mail.mailbox == mailbox]
    return "432 4.3.2" if len(recent) >= MESSAGES else "250 2.0.0"


@given(Attempts)
def test_every_mail_is_judged_as_a_recount_would(attempts: list[tuple[int, str, list[str]]]) -> None:
    office = Office(limits=LIMITS | {"messages_mode": "refuse"})
    talks = {mailbox: office.logged_in(mailbox) for mailbox in (ORDERS, NEWS)}
    refused = 0
    for wait_s, mailbox, recipients in attempts:
        office.now += wait_s
        due = expected(office.ledger.mails, office.now, mailbox, recipients)
        refused += not due.startswith("250")
        assert talks[mailbox].send(mailbox, *recipients).startswith(due)
    assert sum(office.ledger.violations.values()) == refused
    assert office.ledger.accepted == len(attempts) - refused


@given(Attempts)
def test_whoever_must_wait_waits_until_a_recount_lets_it_through(
    attempts: list[tuple[int, str, list[str]]],
) -> None:
    office = Office(limits=LIMITS)
    talks = {mailbox: office.logged_in(mailbox) for mailbox in (ORDERS, NEWS)}
    for wait_s, mailbox, recipients in attempts:
        office.now += wait_s
        due = expected(office.ledger.mails, office.now, mailbox, recipients)
        talk = talks[mailbox]
        said = talk.send(mailbox, *recipients)
        assert bool(said) is (due != "432 4.3.2")
        if not said:
            moment = talk.session.wake_at
            assert expected(office.ledger.mails, moment - 0.01, mailbox, recipients) == "432 4.3.2"
            assert talk.wake(moment).startswith("250 2.0.0")
    for account in office.tenant.accounts.values():
        assert account.messages.peak <= MESSAGES and account.recipients.peak <= RECIPIENTS
    assert office.tenant.external.peak <= EXTERNAL
    assert office.now >= NOW
