"""When a batch is tried again."""

from email.utils import formatdate

import pytest

from relay.webhook.options import WebhookOptions
from relay.webhook.retry import RETRY_AFTER_MAX_S, asked_s, pause_s

OPTIONS = WebhookOptions("crm", "https://crm.example", (b"k" * 32,), retry_first_s=5.0, retry_max_s=600.0)
NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("failures", "pause"), [(1, 5), (2, 10), (3, 20), (7, 320), (8, 600), (9, 600), (100_000, 600)]
)
def test_pauses_double_up_to_the_longest(failures: int, pause: float) -> None:
    assert pause_s(OPTIONS, failures, 0.0, 0.5) == pause


def test_pauses_are_spread_by_a_fifth_to_both_sides() -> None:
    assert pause_s(OPTIONS, 1, 0.0, 0.0) == pytest.approx(4.0)
    assert pause_s(OPTIONS, 1, 0.0, 0.999_999_9) == pytest.approx(6.0)


def test_a_receiver_may_ask_for_more_time_and_not_for_less_nor_for_days() -> None:
    assert pause_s(OPTIONS, 1, 120.0, 0.5) == 120
    assert pause_s(OPTIONS, 8, 1.0, 0.5) == 600
    assert pause_s(OPTIONS, 1, 86_400.0, 0.5) == RETRY_AFTER_MAX_S


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("120", 120.0),
        (" 7 ", 7.0),
        (formatdate(NOW + 90, usegmt=True), 90.0),
        (formatdate(NOW - 90, usegmt=True), 0.0),
        ("", 0.0),
        ("soon", 0.0),
        ("-5", 0.0),
        ("١٢", 0.0),
        ("9" * 5_000, 999_999_999.0),
        ("Wed, 25 Nov 99999 10:00:00 GMT", 0.0),
    ],
)
def test_retry_after_is_a_date_or_seconds_and_anything_else_is_nothing(said: str, seconds: float) -> None:
    assert asked_s(said, NOW) == seconds
