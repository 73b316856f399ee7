"""Secrets and certificates that end are told in time, and once."""

import pytest

from relay.identity.expiry import DAY_S, ExpiryWatch, days_left, sentence, stage
from relay.route.oauth import Application, ClientCertificate, ClientSecret
from relay.trace import event as trace
from tests.fakes.clock import FakeClock

NOW = FakeClock().now()


def ending(days: float | None, proof: ClientSecret | ClientCertificate | None = None) -> Application:
    expires_at = None if days is None else NOW + days * DAY_S
    return Application(
        "app", "https://a.test/t", "https://o.test/.default", proof or ClientSecret("s"), None, expires_at
    )


@pytest.mark.parametrize(
    ("days", "reached"),
    [
        (None, None),
        (31, None),
        (30.01, None),
        (30, 30),
        (8, 30),
        (7, 7),
        (1.5, 7),
        (1, 1),
        (0.1, 1),
        (0, 0),
        (-5, 0),
    ],
)
def test_stages_are_thirty_seven_and_one_days_and_the_end(days: float | None, reached: int | None) -> None:
    assert stage(ending(days), NOW) == reached


@pytest.mark.parametrize(
    ("days", "words"), [(7.5, "in 7 days"), (1.2, "in 1 day;"), (0.5, "in 0 days"), (-0.5, "ended on")]
)
def test_the_sentence_says_when(days: float, words: str) -> None:
    assert words in sentence(ending(days), NOW) and "the client secret of the application app" in sentence(
        ending(days), NOW
    )
    assert days_left(ending(days), NOW) == days // 1


def test_a_certificate_is_called_so() -> None:
    assert "the certificate of" in sentence(ending(3, ClientCertificate("c", "k")), NOW)


def test_each_stage_is_told_once() -> None:
    clock, events = FakeClock(), list[trace.Event]()
    watch = ExpiryWatch([ending(40), ending(40), ending(None)], events.append, clock)
    levels = []
    for _ in range(45 * 24):
        before = len(events)
        watch.check()
        if len(events) > before:
            event = events[-1]
            assert isinstance(event, trace.CredentialExpiring)
            levels.append((event.days, event.level))
        clock.advance(3600)
    assert levels == [(30, "warning"), (7, "warning"), (1, "error"), (0, "error")]
    assert len(events) == 4, "the same application in two routes is one"
