"""The route that the simulator prints is one that relay.toml takes, with the limits by the relay's clock."""

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from relay.budget.limit import DAY_S, Limit, Scope, Unit
from relay.cli.simulate_route import route_by_password, route_by_token
from relay.clock import SystemClock
from relay.config.configuration import Configuration
from relay.config.read import read
from relay.m365.limit import terrl
from relay.m365.preset import Kind
from relay.simulator.folder import Folder
from relay.simulator.options import ApplicationTable, File, MailboxTable
from relay.simulator.simulator import Simulator

HEAD = """\
[relay]
hostname = "relay.contoso.example"
[spool]
path = "spool"
[[listener]]
address = "127.0.0.1:0"
"""
EXTERNAL = (Scope.TENANT, Unit.EXTERNAL_RECIPIENTS)


def simulator(folder: Path, **keys: object) -> Simulator:
    """One that does not listen, but says that it does."""
    made = Folder(folder / "tenant", (), "relay.contoso.example")
    simulated = Simulator(made.completed(File.model_validate(keys)), made, SystemClock(), random.random)
    simulated.addresses = {"submission": "127.0.0.1:1587", "authority": "127.0.0.1:1443"}
    return simulated


def taken(folder: Path, route: str) -> Configuration:
    """As the relay reads it."""
    (folder / "relay.toml").write_text(HEAD + route)
    return read(folder / "relay.toml", time.time())


def by_scope(configuration: Configuration) -> dict[tuple[Scope, Unit], set[tuple[int, int]]]:
    """Count and window of the limits."""
    found: dict[tuple[Scope, Unit], set[tuple[int, int]]] = {}
    rows: tuple[Limit, ...] = configuration.routes[0].limits
    for row in rows:
        if row.unit is not Unit.CONNECTIONS:
            found.setdefault((row.scope, row.unit), set()).add((row.count, row.window_s))
    return found


def test_as_microsoft_is_the_kind_says_it_all(tmp_path: Path) -> None:
    text = route_by_password(simulator(tmp_path))
    assert "[[route.limit]]" not in text and "connection_age" not in text
    configuration = taken(tmp_path, text)
    assert configuration.routes[0].kind is Kind.SUBMISSION
    assert len(configuration.routes[0].mailboxes) == 4
    assert by_scope(configuration) == {
        (Scope.MAILBOX, Unit.MESSAGES): {(30, 60)},
        (Scope.MAILBOX, Unit.RECIPIENTS): {(10_000, DAY_S)},
        EXTERNAL: {(terrl(4), DAY_S)},
    }


@pytest.mark.parametrize("make", [route_by_password, route_by_token])
def test_a_clock_that_runs_faster_shortens_every_time(
    tmp_path: Path, make: Callable[[Simulator], str]
) -> None:
    configuration = taken(tmp_path, make(simulator(tmp_path, speed=30)))
    assert by_scope(configuration) == {
        (Scope.MAILBOX, Unit.MESSAGES): {(30, 2)},
        (Scope.MAILBOX, Unit.RECIPIENTS): {(10_000, 2880)},
        EXTERNAL: {(terrl(4), 2880)},
    }
    route = configuration.routes[0]
    assert (route.connection_age_s, route.connection_idle_s) == (36, 1)


def test_a_time_below_a_second_is_kept_for_a_second(tmp_path: Path) -> None:
    configuration = taken(tmp_path, route_by_password(simulator(tmp_path, speed=10_000)))
    assert by_scope(configuration)[Scope.MAILBOX, Unit.MESSAGES] == {(30, 1)}


def test_limits_of_the_simulator_are_the_relays(tmp_path: Path) -> None:
    limits = {"messages": 0, "recipients": 500, "external_recipients": 100, "connections": 2}
    configuration = taken(tmp_path, route_by_password(simulator(tmp_path, limits=limits)))
    assert by_scope(configuration) == {
        (Scope.MAILBOX, Unit.RECIPIENTS): {(500, DAY_S)},
        EXTERNAL: {(100, DAY_S)},
    }
    assert configuration.routes[0].connections == 2


def test_no_limits_are_none(tmp_path: Path) -> None:
    limits = {"messages": 0, "recipients": 0, "external_recipients": 0}
    assert by_scope(taken(tmp_path, route_by_password(simulator(tmp_path, limits=limits)))) == {}


def test_who_was_granted_send_as_is_named_at_the_mailbox(tmp_path: Path) -> None:
    mailboxes = [
        MailboxTable(address="a@contoso.example", send_as=("news@contoso.example",)),
        MailboxTable(address="b@contoso.example", send_as=("news@contoso.example",)),
        MailboxTable(address="own@contoso.example", password="another"),
        MailboxTable(address="hv@contoso.example", kind="high-volume"),
    ]
    simulated = simulator(tmp_path, mailbox=mailboxes)
    (rule,) = taken(tmp_path, route_by_password(simulated)).routes[0].mailbox_rules
    assert rule.mailboxes == ("a@contoso.example", "b@contoso.example")
    assert rule.senders == ("news@contoso.example",)
    # A token opens every mailbox, a password its own.
    assert "own@" in route_by_token(simulated) and "own@" not in route_by_password(simulated)
    assert "hv@" not in route_by_token(simulated)


def test_an_application_logs_in_where_it_may(tmp_path: Path) -> None:
    application = ApplicationTable(mailboxes=("News@contoso.example",))
    route = taken(tmp_path, route_by_token(simulator(tmp_path, application=[application]))).routes[0]
    assert [login.username for login in route.mailboxes] == ["news@contoso.example"]
    nowhere = simulator(tmp_path, application=[ApplicationTable(mailboxes=("x@contoso.example",))])
    assert route_by_token(nowhere) == ""
