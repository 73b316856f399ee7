"""Secrets and certificates that end are told in time, and once; when they end is told always."""

import time
from pathlib import Path

import pytest
from cryptography import x509

from relay.identity.expiry import (
    DAY_S,
    Credential,
    ExpiryWatch,
    days_left,
    of_application,
    of_certificate,
    sentence,
    soonest,
    stage,
)
from relay.route.oauth import Application, ClientCertificate, ClientSecret
from relay.trace import event as trace
from tests.fakes.certificate import Authority
from tests.fakes.clock import FakeClock

NOW = FakeClock().now()


def application(days: float | None, proof: ClientSecret | ClientCertificate | None = None) -> Application:
    expires_at = None if days is None else NOW + days * DAY_S
    return Application(
        "app", "https://a.test/t", "https://o.test/.default", proof or ClientSecret("s"), None, expires_at
    )


def ending(days: float, proof: ClientSecret | ClientCertificate | None = None) -> Credential:
    found = of_application(application(days, proof))
    assert found is not None
    return found


def certificate(life: float, left: float) -> Credential:
    return of_certificate("certificate of the route r", NOW - (life - left) * DAY_S, NOW + left * DAY_S)


@pytest.mark.parametrize(
    ("days", "reached"),
    [
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
def test_stages_are_thirty_seven_and_one_days_and_the_end(days: float, reached: int | None) -> None:
    assert stage(ending(days), NOW) == reached


def test_of_a_secret_without_a_date_nothing_is_known() -> None:
    assert of_application(application(None)) is None


@pytest.mark.parametrize(
    ("life", "left", "reached"),
    [(365, 30, 30), (365, 20, 30), (90, 20, None), (90, 14, 14), (47, 7, 7), (90, -1, 0), (101, 20, 30)],
)
def test_a_certificate_that_a_robot_renews_is_told_of_when_the_robot_has_failed(
    life: int, left: int, reached: int | None
) -> None:
    assert stage(certificate(life, left), NOW) == reached


@pytest.mark.parametrize(
    ("days", "words"), [(7.5, "in 7 days"), (1.2, "in 1 day;"), (0.5, "in 0 days"), (-0.5, "ended on")]
)
def test_the_sentence_says_when(days: float, words: str) -> None:
    told = sentence(ending(days), NOW)
    assert words in told and "the client secret of the application app" in told
    assert days_left(ending(days), NOW) == days // 1


def test_a_certificate_is_called_so() -> None:
    assert "the certificate of" in sentence(ending(3, ClientCertificate("c", "k")), NOW)
    assert "the certificate of the route r ends" in sentence(certificate(365, 3), NOW)


def test_of_one_name_the_soonest_end_counts() -> None:
    assert soonest([ending(9), ending(5), certificate(365, 9), ending(7)]) == (
        ending(5),
        certificate(365, 9),
    )


def test_each_stage_is_told_once() -> None:
    clock, events = FakeClock(), list[trace.Event]()
    watch = ExpiryWatch([ending(40), ending(40)], events.append, clock)
    levels = []
    for _ in range(45 * 24):
        before = len(events)
        watch.check()
        levels += [
            (event.days, event.level)
            for event in events[before:]
            if isinstance(event, trace.CredentialExpiring)
        ]
        clock.advance(3600)
    assert levels == [(30, "warning"), (7, "warning"), (1, "error"), (0, "error")], (
        "the same application in two routes is one"
    )


def test_the_end_is_told_at_every_look_for_the_metrics() -> None:
    clock, events = FakeClock(), list[trace.Event]()
    watch = ExpiryWatch([ending(400)], events.append, clock)
    watch.check()
    watch.check()
    name = "client secret of the application app"
    assert events == [trace.CredentialEnds(name, NOW + 400 * DAY_S)] * 2


def test_a_certificate_that_was_renewed_is_followed(tmp_path: Path) -> None:
    clock, events = FakeClock(time.time()), list[trace.Event]()
    authority = Authority(tmp_path)
    shown, _ = authority.issue("relay.example.com", days=5)
    left = Credential("certificate", clock.now() + 5 * DAY_S, "renew it", 14, file=str(shown))
    watch = ExpiryWatch([left], events.append, clock)
    watch.check()
    assert not watch.refresh()
    renewed, _ = authority.issue("relay.example.com", days=90)
    renewed.rename(shown)
    assert watch.refresh() and not watch.refresh()
    watch.check()
    ends = [event.at for event in events if isinstance(event, trace.CredentialEnds)]
    assert ends[1] == x509.load_pem_x509_certificate(shown.read_bytes()).not_valid_after_utc.timestamp()
    assert ends[1] - ends[0] > 80 * DAY_S
    # Its stages begin anew.
    clock.advance(85 * DAY_S)
    watch.check()
    assert sum(isinstance(event, trace.CredentialExpiring) for event in events) == 2


def test_a_revocation_list_is_followed_and_a_broken_file_is_not(tmp_path: Path) -> None:
    clock, events = FakeClock(time.time()), list[trace.Event]()
    authority = Authority(tmp_path)
    listed = authority.revoke(days=2)
    end = clock.now() + 2 * DAY_S
    watch = ExpiryWatch([Credential("list", end, "renew it", 1, file=str(listed))], events.append, clock)
    listed.unlink()
    authority.revoke(days=9)
    assert watch.refresh()
    watch.check()
    listed.unlink()
    assert watch.refresh()
    watch.check()
    (one, other) = [event.at for event in events if isinstance(event, trace.CredentialEnds)]
    assert one == other and one - end > 6 * DAY_S


@pytest.mark.parametrize(("left", "expected"), [(6.0, None), (1.5, None), (1.0, 1), (-0.1, 0)])
def test_what_lives_for_days_is_told_of_on_its_last(left: float, expected: int | None) -> None:
    assert stage(Credential("revocation list", NOW + left * DAY_S, "renew it", first_days=1), NOW) == expected
