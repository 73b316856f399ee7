"""Campaigns of many mailboxes: the whole limit is used, no window is exceeded, high goes first."""

import random
from bisect import bisect_left

import pytest

from relay.budget.limit import Limit
from relay.message.priority import Priority
from tests.budget.campaign import COMMIT_US, DAY, MINUTE, TERRL, Campaign, Mail, Mailbox
from tests.budget.naive import SECOND

INTERVAL = 2 * SECOND
"""30 a minute, evenly."""


def most_in_any_window(limit: Limit, mails: list[Mail]) -> int:
    """The most a next hop can have counted in a window, wherever between begin and end it counts each."""
    begins = sorted(mail.begin for mail in mails)
    ends = sorted(mail.end for mail in mails)
    width = limit.window_s * SECOND
    return max(bisect_left(begins, start + width) - bisect_left(ends, start) for start in ends)


def test_ten_mailboxes_send_fifty_thousand_at_full_rate_over_a_kill_and_a_restart() -> None:
    mailboxes = [Mailbox(f"m{number}@example.com", 5000) for number in range(10)]
    campaign = Campaign(mailboxes, latency_s=0.1, seed=1)
    for mailbox in mailboxes:
        campaign.ask(mailbox)
    for minute in (31, 97):
        campaign.run(until=minute * 60 * SECOND)
        campaign.kill(down_us=SECOND // 2)
    campaign.run()
    for mailbox in mailboxes:
        assert len(mailbox.done) >= 5000
        assert not any(mailbox.waiting.values())
        assert most_in_any_window(MINUTE, mailbox.done) == MINUTE.count
        assert most_in_any_window(DAY, mailbox.done) <= DAY.count
    sent = [mail for mailbox in mailboxes for mail in mailbox.done]
    assert most_in_any_window(TERRL, sent) <= TERRL.count
    allowed = len(sent) / 10 / 30 * 60 * SECOND
    assert allowed / campaign.now >= 0.99


@pytest.mark.parametrize("latency_s", [0.02, 0.1, 0.5])
def test_a_campaign_delays_a_password_reset_by_one_mail_at_most(latency_s: float) -> None:
    """One that comes alone goes within one send interval, of those that come together each in its turn."""
    rng = random.Random(int(latency_s * 100))
    mailbox = Mailbox("m@example.com", 3000)
    campaign = Campaign([mailbox], latency_s, seed=1)
    campaign.ask(mailbox)
    for _ in range(300):
        campaign.come(mailbox, Priority.HIGH, round(rng.uniform(0, 3000) * SECOND))
    campaign.run()
    resets = sorted(
        (mail for mail in mailbox.done if mail.priority is Priority.HIGH), key=lambda mail: mail.begin
    )
    others = sorted(mail.begin for mail in mailbox.done if mail.priority is Priority.BULK)
    assert len(resets) == 300
    # A send is open for its latency and its commit: 30 places come free that much later.
    interval = INTERVAL + (latency_s * 1.5 + 0.01) * SECOND
    before = -10 * SECOND
    for reset in resets:
        alone = reset.came >= before + 3 * interval
        assert reset.begin <= max(reset.came, before) + interval * (1 if alone else 2)
        assert bisect_left(others, reset.begin) - bisect_left(others, reset.came + COMMIT_US + 1) <= 1
        before = reset.begin


def test_three_priorities_share_and_use_the_whole_limit() -> None:
    mailbox = Mailbox("m@example.com", 1000)
    campaign = Campaign([mailbox], latency_s=0.1, seed=3)
    for number in range(1000):
        campaign.come(mailbox, Priority.NORMAL, number * 1000)
    campaign.ask(mailbox)
    campaign.run()
    assert most_in_any_window(MINUTE, mailbox.done) == MINUTE.count
    first = mailbox.done[:1000]
    assert 0.15 <= sum(mail.priority is Priority.BULK for mail in first) / 1000 <= 0.3
    assert 2000 / 30 * 60 * SECOND / campaign.now >= 0.98
