"""The demo's summary: numbers of tenant and relay, in the tenant's time."""

import io

import pytest
from rich.console import Console

from relay.cli.demo_plan import BILLING, MAILERS, ORDERS, OUTSIDE_A_DAY, SPEED
from relay.cli.demo_show import duration, show
from relay.cli.demo_summary import summarise
from tests.cli.demo_run import DAY, DENIED, good_run, without


def test_budgets_are_those_of_the_report() -> None:
    summary = summarise(good_run(), "/f")
    mailer, orders = summary.mailboxes
    assert (mailer.mailbox, mailer.peak_a_minute, mailer.recipients_used, mailer.recipients_left) == (
        MAILERS[0], 30, 900, 9100,
    )  # fmt: skip
    assert (orders.sent, orders.refused) == (4, 1)
    assert summary.outside.used + summary.outside.left == OUTSIDE_A_DAY
    assert summary.outside.used > 0


def test_waits_are_by_the_tenants_clock() -> None:
    high, normal, bulk = summarise(good_run(), "/f").priorities
    assert (high.priority, high.p50_s, high.max_s) == ("high", 0.05 * SPEED, 0.05 * SPEED)
    assert (normal.priority, bulk.priority) == ("normal", "bulk")
    assert bulk.max_s == 9.0 * SPEED


def test_what_waits_says_why_and_until_when() -> None:
    denied, beyond = summarise(good_run(), "/f").waiting
    assert (denied.mails, denied.why, denied.leaves_in_s) == (len(DAY.denied), DENIED, None)
    assert f"Add-RecipientPermission {BILLING} -Trustee {ORDERS}" in denied.next_step
    assert beyond.mails == DAY.outside_that_wait
    assert "1000 external recipients" in beyond.why
    assert beyond.leaves_in_s == 2800 * SPEED


def test_a_run_that_differs_is_not_as_expected() -> None:
    assert summarise(good_run(), "/f").is_as_expected
    summary = summarise(without(good_run(), DAY.mails[1]), "/f")
    assert not summary.is_as_expected and summary.problems


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-1, "0.0 s"), (0.25, "0.2 s"), (59.94, "59.9 s"), (60, "1 min"), (3599, "1 h 0 min"), (85_560, "23 h 46 min")],
)  # fmt: skip
def test_durations_are_for_people(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_all_of_it_stands_in_80_columns() -> None:
    text = io.StringIO()
    show(summarise(good_run(), "/f"), Console(file=text, width=80, highlight=False), is_kept=True)
    shown = text.getvalue()
    assert "…" not in shown
    for word in (MAILERS[0], "30 of 30", "23 h 20 min", "not before you act", "rm -r /f", "✓ as expected"):
        assert word in shown
