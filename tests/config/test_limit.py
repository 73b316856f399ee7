"""`[[route.limit]]` and `[tenant]`: what the kinds bring, what is written instead, what is wrong."""

from dataclasses import replace
from pathlib import Path

import pytest

from relay.budget.limit import DAY_S, LIFTED, Limit, Scope, Unit
from relay.config.configuration import Configuration
from relay.config.problem import InvalidConfiguration
from relay.config.read import read
from relay.route.tariff import describe

TEXT = """
[relay]
hostname = "relay.example.com"
[spool]
path = "spool"
[[listener]]
address = "127.0.0.1:0"
[[route]]
name = "r"
host = "smtp.example.net"
"""
LOGIN = 'username = "Orders@Contoso.com"\npassword_file = "password"\n'
A_MINUTE = Limit(Scope.MAILBOX, Unit.MESSAGES, 30, 60)
A_DAY = Limit(Scope.MAILBOX, Unit.RECIPIENTS, 10_000, DAY_S)
THREE = Limit(Scope.MAILBOX, Unit.CONNECTIONS, 3, least=1)
SUBMISSION = LOGIN + 'kind = "submission"\n'


def reading(folder: Path, route: str, rest: str = "") -> Configuration:
    (folder / "password").write_text("secret")
    (folder / "password").chmod(0o600)
    file = folder / "relay.toml"
    file.write_text(f"{TEXT}{route}\n{rest}")
    return read(file, 1_800_000_000.0)


def limits(folder: Path, route: str, rest: str = "") -> tuple[Limit, ...]:
    return reading(folder, route, rest).routes[0].limits


def problem(folder: Path, route: str, rest: str = "") -> str:
    with pytest.raises(InvalidConfiguration) as caught:
        reading(folder, route, rest)
    (only,) = caught.value.problems
    return only


def row(text: str) -> str:
    return f"[[route.limit]]\n{text}"


def test_a_route_of_no_kind_has_no_limits(tmp_path: Path) -> None:
    assert limits(tmp_path, LOGIN) == ()


def test_submission_brings_the_limits_of_a_mailbox(tmp_path: Path) -> None:
    assert limits(tmp_path, SUBMISSION) == (THREE, A_MINUTE, A_DAY)
    assert reading(tmp_path, SUBMISSION).routes[0].connections == 3


def test_azure_counts_the_route(tmp_path: Path) -> None:
    found = limits(tmp_path, LOGIN + 'kind = "acs"')
    assert found == (
        Limit(Scope.ROUTE, Unit.MESSAGES, 30, 60),
        Limit(Scope.ROUTE, Unit.MESSAGES, 100, 3600),
        Limit(Scope.ROUTE, Unit.CONNECTIONS, 250, least=1),
    )


def test_a_written_limit_takes_the_place_of_the_kinds(tmp_path: Path) -> None:
    written = (
        row('count = 25\nof = "messages"\nper = "1m"')
        + "\n"
        + row('count = "1 GB"\nof = "bytes"\nper = "1d"')
    )
    assert limits(tmp_path, SUBMISSION + written) == (
        THREE,
        Limit(Scope.MAILBOX, Unit.MESSAGES, 25, 60),
        A_DAY,
        Limit(Scope.MAILBOX, Unit.BYTES, 10**9, DAY_S),
    )


def test_an_empty_list_takes_the_limits_away(tmp_path: Path) -> None:
    assert limits(tmp_path, SUBMISSION + "limit = []") == ()


def test_what_is_written_may_be_all_there_is(tmp_path: Path) -> None:
    written = "kind_limits = false\n" + row('count = 30\nof = "messages"\nper = "2s"')
    assert limits(tmp_path, SUBMISSION + written) == (Limit(Scope.MAILBOX, Unit.MESSAGES, 30, 2),)


def test_a_route_without_a_username_is_counted_as_a_route(tmp_path: Path) -> None:
    assert limits(tmp_path, row('count = 5\nof = "messages"\nper = 2')) == (
        Limit(Scope.ROUTE, Unit.MESSAGES, 5, 2),
    )


def test_a_limit_may_count_days_from_midnight(tmp_path: Path) -> None:
    written = row('count = 5\nof = "external recipients"\nsince_midnight = true\nscope = "tenant"')
    assert limits(tmp_path, written) == (
        Limit(Scope.TENANT, Unit.EXTERNAL_RECIPIENTS, 5, DAY_S, since_midnight=True),
    )


def test_the_tenants_limit_follows_from_its_licences(tmp_path: Path) -> None:
    tenant = '[tenant]\ndomains = ["Contoso.com", "*.contoso.com"]\nlicences = 100'
    configuration = reading(tmp_path, SUBMISSION, tenant)
    assert configuration.routes[0].limits[-1] == Limit(Scope.TENANT, Unit.EXTERNAL_RECIPIENTS, 22_059, DAY_S)
    assert configuration.tenant.domains == ("contoso.com", "*.contoso.com")


def test_the_tenants_limit_holds_for_routes_that_microsoft_counts_only(tmp_path: Path) -> None:
    tenant = '[tenant]\ndomains = ["contoso.com"]\nexternal_recipients_per_day = 77'
    assert limits(tmp_path, LOGIN, tenant) == ()
    assert limits(tmp_path, LOGIN + 'kind = "high-volume"', tenant) == ()
    assert limits(tmp_path, 'kind = "connector"', tenant) == (
        Limit(Scope.FOREST, Unit.CONNECTIONS, 20, least=1),
        Limit(Scope.TENANT, Unit.EXTERNAL_RECIPIENTS, 77, DAY_S),
    )


def test_without_domains_everybody_is_external_and_that_is_said(tmp_path: Path) -> None:
    warnings = reading(tmp_path, SUBMISSION, "[tenant]\nlicences = 0").warnings
    assert any(warning.startswith("tenant.domains: is missing") for warning in warnings)


def test_more_connections_than_a_mailbox_may_have_are_told_and_allowed(tmp_path: Path) -> None:
    configuration = reading(tmp_path, SUBMISSION + "connections = 5")
    told = "route[0].connections: is 5 for a mailbox, and Microsoft allows 3"
    assert any(warning.startswith(told) for warning in configuration.warnings)
    assert Limit(Scope.MAILBOX, Unit.CONNECTIONS, 5, least=1) in configuration.routes[0].limits
    assert not any("connections" in warning for warning in reading(tmp_path, SUBMISSION).warnings)


def test_a_limit_may_be_learnt_and_counted_by_whom_one_likes(tmp_path: Path) -> None:
    written = "\n".join(
        (
            row('count = 8\nof = "connections"\nscope = "forest"\nleast = 2'),
            row('count = 600\nof = "messages"\nper = "1m"\nscope = "source"\nleast = 30'),
            row('count = 100\nof = "messages"\nper = "1h"\nscope = "recipient"'),
            row('count = 500\nof = "recipients"\nper = "1h"\nscope = "client"'),
        )
    )
    assert limits(tmp_path, f'kind = "connector"\n{written}', '[tenant]\ndomains = ["contoso.com"]') == (
        Limit(Scope.FOREST, Unit.CONNECTIONS, 8, least=2),
        Limit(Scope.SOURCE, Unit.MESSAGES, 600, 60, least=30),
        Limit(Scope.RECIPIENT, Unit.MESSAGES, 100, 3600),
        Limit(Scope.CLIENT, Unit.RECIPIENTS, 500, 3600),
    )


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ('count = 0\nof = "messages"\nper = 1', "route[0].limit[0].count: must be at least 1"),
        ('count = 1\nof = "mails"\nper = 1', "route[0].limit[0].of: must be one of"),
        ('count = 1\nof = "messages"', "route[0].limit[0].per: is missing"),
        ('count = 1\nof = "messages"\nper = 1\nsince_midnight = true', "exclude each other"),
        ('count = 1\nof = "messages"\nper = "500ms"', "whole seconds"),
        ('count = 1\nof = "messages"\nper = "2000d"', "whole seconds"),
        ('count = 1\nof = "messages"\nper = 1\nscope = "mailbox"', "has no username"),
        ('count = 1\nof = "messages"\nperr = 1', 'did you mean "per"'),
        ('count = 1\nof = "connections"\nper = 1', "route[0].limit[0].per: is of no use"),
        ('count = 1\nof = "connections"\nscope = "client"', "a connection carries mail of many"),
        ('count = 1\nof = "messages"\nper = 1\nleast = 2', "route[0].limit[0].least: is 2, above count = 1"),
        ('count = 9\nof = "messages"\nper = 1\nscope = "recipient"\nleast = 2', "learnt for each recipient"),
        ('count = 1\nof = "messages"\nper = 1\nscope = "sender"', "scope: must be one of"),
    ],
)
def test_a_limit_that_means_nothing_is_a_problem(tmp_path: Path, written: str, words: str) -> None:
    assert words in problem(tmp_path, row(written))


def test_two_limits_for_the_same_are_a_problem(tmp_path: Path) -> None:
    twice = row('count = 1\nof = "messages"\nper = 60') + "\n" + row('count = 2\nof = "messages"\nper = "1m"')
    assert "one before it" in problem(tmp_path, twice)


@pytest.mark.parametrize("domain", ["contoso", "a@contoso.com", "*", "*.*.com", ".contoso.com", ""])
def test_a_domain_that_is_none_is_a_problem(tmp_path: Path, domain: str) -> None:
    assert "tenant.domains[0]" in problem(tmp_path, "", f'[tenant]\ndomains = ["{domain}"]')


def test_two_ways_to_say_the_tenants_limit_are_a_problem(tmp_path: Path) -> None:
    tenant = '[tenant]\ndomains = ["contoso.com"]\nlicences = 1\nexternal_recipients_per_day = 1'
    assert "exclude each other" in problem(tmp_path, "", tenant)


RAMP = 'of = "messages"\nramp = [200, 500]\nramp_start = 2026-12-01\n'


def test_a_ramp_is_of_days_and_lifted_in_the_end_or_followed_by_a_count(tmp_path: Path) -> None:
    day = 20_788
    lifted = Limit(Scope.ROUTE, Unit.MESSAGES, LIFTED, DAY_S, True, ramp=(200, 500), ramp_day=day)
    assert limits(tmp_path, row(RAMP)) == (lifted,)
    assert limits(tmp_path, row(RAMP + "since_midnight = true")) == (lifted,)
    assert limits(tmp_path, row(RAMP + "count = 500")) == (replace(lifted, count=500),)
    assert "200, 500 messages a day (UTC) from 2026-12-01 on of the route" in describe(lifted)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("ramp_start = 2026-12-01", ""), "ramp_start: is missing"),
        (("ramp = [200, 500]", "count = 1\nsince_midnight = true"), "ramp_start: goes with ramp"),
        (("[200, 500]", "[500, 200]"), "ramp: must not fall"),
        (("[200, 500]", "[]"), "ramp: must not be empty"),
        (("[200, 500]", "[0, 200]"), "ramp[0]: must be at least 1"),
        (("2026-12-01", '"2026-12-01"'), "ramp_start: write a date without quotes"),
        (("messages", "bytes"), "of: has no ramp"),
        (("messages", "connections"), "of: has no ramp"),
        (("ramp =", "count = 499\nramp ="), "count: is what holds after the ramp"),
        (("ramp =", 'per = "1h"\nramp ='), "per: and since_midnight exclude each other"),
        (("ramp =", "count = 900\nleast = 2\nramp ="), "least: and ramp exclude each other"),
        (("ramp = [200, 500]\nramp_start = 2026-12-01", 'per = "1m"'), "count: is missing"),
    ],
)
def test_a_ramp_that_means_nothing_is_told(tmp_path: Path, change: tuple[str, str], words: str) -> None:
    assert f"route[0].limit[0].{words}" in problem(tmp_path, row(RAMP.replace(*change)))
