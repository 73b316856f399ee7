"""Which breakers and suspensions `resume` means, and how what has stopped is shown."""

import math

import pytest

from relay.control.request import RESUMED
from relay.control.stops import concerns, stop_of_breaker, stop_of_suspension, suspensions_meant
from relay.m365.row import Scope
from relay.queue.breaker import Breaker, StopKey
from relay.queue.suspension import Suspension

KEYS = {
    "route": StopKey(Scope.ROUTE, "sink"),
    "mailbox": StopKey(Scope.SENDER, "orders@contoso.com"),
    "high volume": StopKey(Scope.SENDER, "high-volume:orders@contoso.com"),
    "as": StopKey(Scope.SENDER_AS, "orders@contoso.com", "news@contoso.com"),
    "as nobody": StopKey(Scope.SENDER_AS, "orders@contoso.com"),
    "domain": StopKey(Scope.SENDER_DOMAIN, "contoso.com"),
    "address": StopKey(Scope.SOURCE_ADDRESS, "mx"),
    "host": StopKey(Scope.FOREST, "contoso-com.mail.protection.outlook.com"),
    "tenant": StopKey(Scope.TENANT, "tenant"),
    "outside": StopKey(Scope.TENANT_EXTERNAL, "tenant"),
}


@pytest.mark.parametrize(
    ("kind", "name", "meant"),
    [
        ("route", "sink", {"route"}),
        ("route", "SINK", {"route"}),
        ("route", "other", set()),
        ("mailbox", "Orders@Contoso.com", {"mailbox", "high volume", "as", "as nobody"}),
        ("sender", "news@contoso.com", {"as"}),
        ("sender", "<>", {"as nobody"}),
        ("sender-domain", "contoso.com", {"domain"}),
        ("host", "contoso-com.mail.protection.outlook.com", {"host"}),
        ("address", "mx", {"address"}),
        ("tenant", "", {"tenant"}),
        ("outside", "", {"outside"}),
        ("campaign", "sink", set()),
        ("all", "", set(KEYS)),
    ],
)
def test_resume_means(kind: str, name: str, meant: set[str]) -> None:
    assert {which for which, key in KEYS.items() if concerns(kind, name)(key)} == meant


@pytest.mark.parametrize("which", KEYS)
def test_what_stopped_is_resumed_by_the_command_that_is_shown_with_it(which: str) -> None:
    stop = stop_of_breaker(Breaker(KEYS[which], "550 no (do it)", math.inf, 5.0), 100.0, 1000.0)
    assert stop.until is None and not stop.is_suspended and stop.kind in RESUMED
    kind, _, name = stop.todo.partition("m365-relay resume ")[2].partition(" ")
    assert concerns(kind, name)(KEYS[which])


def test_a_stop_that_passes_says_when() -> None:
    stop = stop_of_breaker(Breaker(KEYS["route"], "451 busy", 160.0, 5.0), 100.0, 1000.0)
    assert (stop.until, stop.since) == (1060.0, 5.0)
    assert "by itself" in stop.todo


def test_suspensions_are_meant_by_their_names() -> None:
    both = [
        Suspension("campaign", "May", "r", "fritz", 5.0),
        Suspension("sender-domain", "a.test", "", "x", 5.0),
    ]
    assert suspensions_meant("campaign", "May", both) == both[:1]
    assert suspensions_meant("sender-domain", "@A.test", both) == both[1:]
    assert suspensions_meant("campaign", "may", both) == []
    assert suspensions_meant("tenant", "", both) == []
    assert suspensions_meant("all", "", both) == both
    assert stop_of_suspension(both[0]).todo == "m365-relay resume campaign May"
