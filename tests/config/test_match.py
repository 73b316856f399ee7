"""`[[route.match]]`, the rules of routes, and which routes mail reaches."""

import typing
from pathlib import Path

import pytest

from relay.cli.check_config import in_force
from relay.config import value
from relay.config.configuration import Configuration
from relay.m365.preset import PRESETS, Kind
from relay.message.priority import Priority
from relay.message.uncertain import Uncertain
from relay.route.match import Match, Side
from relay.route.route import Route
from tests.config.test_read import Folder

HEAD = """
[relay]
hostname = "relay.example.com"
[spool]
path = "spool"
[[listener]]
address = "127.0.0.1:2525"
"""
TENANT = '[tenant]\ndomains = ["contoso.com"]\n'
LOGIN = 'username = "a@contoso.com"\npassword_file = "password"\n'


def route(name: str, keys: str = "") -> str:
    return f'[[route]]\nname = "{name}"\nhost = "smtp.example.net"\n{keys}\n'


def match(keys: str) -> str:
    return route("r", f"[[route.match]]\n{keys}")


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "password").write_text("opensesame\n")
    (tmp_path / "password").chmod(0o600)
    return Folder(tmp_path)


def read(folder: Folder, text: str, tenant: str = TENANT) -> Configuration:
    return folder.read(HEAD + tenant + text)


def problem(folder: Folder, text: str, tenant: str = TENANT) -> str:
    return folder.problem(HEAD + tenant + text)


def never_used(folder: Folder, *routes: str, head: str = "") -> list[str]:
    """Names of the routes that are warned of."""
    configuration = read(folder, head + "".join(routes))
    warned = [each.partition(":")[0] for each in configuration.warnings if "is never used" in each]
    return [each.name for i, each in enumerate(configuration.routes) if f"route[{i}]" in warned]


def test_the_choices_are_those_of_the_values() -> None:
    assert typing.get_args(value.PriorityWord) == tuple(each.name.lower() for each in Priority)
    assert typing.get_args(value.SideWord) == tuple(each.value for each in Side)
    assert typing.get_args(value.UncertainWord) == tuple(each.value for each in Uncertain)


def test_a_match_is_built_whole(folder: Folder) -> None:
    keys = """
senders = ["<>", "*.a.example"]
recipients = ["b.example"]
clients = ["10.0.0.0/8", "2001:db8::/32", "192.0.2.1", "erp"]
recipients_are = "outside"
larger_than = "1 MB"
up_to = 2000000
priorities = ["high", "bulk"]
campaigns = ["invoice", "spring-*"]
[[route.match]]
campaigns = ["*"]
"""
    configuration = read(folder, match(keys))
    assert configuration.routes[0].matches == (
        Match(
            senders=("<>", "*.a.example"),
            recipients=("b.example",),
            clients=("10.0.0.0/8", "2001:db8::/32", "192.0.2.1", "erp"),
            recipients_are=Side.OUTSIDE,
            larger_than_bytes=1_000_000,
            up_to_bytes=2_000_000,
            priorities=(Priority.HIGH, Priority.BULK),
            campaigns=("invoice", "spring-*"),
        ),
        Match(campaigns=("*",)),
    )
    rows = dict(in_force(configuration))
    assert rows["route[0].match[0].priorities"] == "high, bulk"
    assert rows["route[0].match[0].recipients_are"] == "outside"
    assert rows["route[0].match[1].campaigns"] == "*"
    assert "route[0].match[1].senders" not in rows


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ("", "route[0].match[0]: says nothing"),
        ("senders = []", "route[0].match[0].senders: must not be empty"),
        ('senders = ["*"]', "write an address such as"),
        ('recipients = ["<>"]', "every recipient has an address"),
        ('recipients = ["a@*.example"]', "write an address such as"),
        ('recipients = ["a@b.example "]', "write an address such as"),
        ('clients = ["10.0.0.1/8"]', 'did you mean "10.0.0.0/8"?'),
        ('clients = ["10.0.0"]', "write a network such as"),
        ('clients = ["erp/1"]', "write a network such as"),
        ('clients = [""]', "must not be empty"),
        ('recipients_are = "internal"', 'must be one of "inside" or "outside"'),
        ('larger_than = "1 M"', "route[0].match[0].larger_than: write bytes"),
        ("up_to = 0", "must be at least 1"),
        ("larger_than = 5\nup_to = 5", "route[0].match[0].up_to: must be above larger_than"),
        ('priorities = ["urgent"]', "must be one of"),
        ('campaigns = ["a*b"]', "route[0].match[0].campaigns[0]: write the name"),
        ('campain = ["a"]', 'did you mean "campaigns"?'),
    ],
)
def test_a_match_that_means_nothing_is_a_problem(folder: Folder, keys: str, words: str) -> None:
    assert words in problem(folder, match(keys))


def test_who_asks_for_the_inside_must_say_what_that_is(folder: Folder) -> None:
    for text in (match('recipients_are = "inside"'), route("r", "internal_only = true")):
        assert "[tenant] domains" in problem(folder, text, tenant="")
        assert read(folder, text).routes
    of_kind = problem(folder, route("r", 'kind = "direct"'), tenant="")
    assert 'of kind = "direct"' in of_kind and "internal_only = false" in of_kind
    assert read(folder, route("r", 'kind = "direct"\ninternal_only = false'), tenant="").routes


def test_a_fixed_sender_needs_a_mailbox(folder: Folder) -> None:
    assert "route[0].sender_fixed: " in problem(folder, route("r", "sender_fixed = true"))
    assert read(folder, route("r", LOGIN + "sender_fixed = true")).routes[0].sender_fixed


@pytest.mark.parametrize("kind", Kind)
def test_a_kind_brings_its_rules_and_what_is_written_counts(folder: Folder, kind: Kind) -> None:
    preset = PRESETS[kind]
    login = LOGIN if preset.mechanisms else ""
    (plain,) = read(folder, route("r", f'kind = "{kind.value}"\n{login}')).routes
    assert (plain.internal_only, plain.sender_fixed) == (preset.internal_only, preset.sender_fixed)
    assert plain.message_size_bytes == preset.size_bytes
    assert (plain.recipients_per_message, plain.recipients_per_domain) == (
        preset.recipients,
        preset.recipients_per_domain,
    )
    own = "internal_only = false\nsender_fixed = false\nmessage_size = 0\nrecipients_per_domain = 0\n"
    (written,) = read(folder, route("r", f'kind = "{kind.value}"\n{own}{login}')).routes
    assert (written.internal_only, written.sender_fixed, written.message_size_bytes) == (False, False, 0)
    assert written.recipients_per_domain == 0


def test_what_becomes_of_an_uncertain_mail_is_said_by_the_route(folder: Folder) -> None:
    configuration = read(folder, route("a") + route("b", 'uncertain = "hold"'))
    assert [each.on_uncertain for each in configuration.routes] == [Uncertain.RETRY, Uncertain.HOLD]
    assert dict(in_force(configuration))["route[1].uncertain"] == "hold"
    assert "must be one of" in problem(folder, route("a", 'uncertain = "never"'))


TO_A = 'recipients = ["a.example"]'


@pytest.mark.parametrize(
    ("first", "hides"),
    [
        (route("first"), True),
        (route("first", TO_A), False),
        (route("first", '[[route.match]]\npriorities = ["high"]'), False),
        (route("first", "internal_only = true"), False),
        (route("first", LOGIN + "sender_fixed = true"), False),
        (route("first", 'message_size = "10 MB"'), False),
        (route("first", 'message_size = "150 MiB"'), True),
        (route("first", LOGIN + 'kind = "submission"'), True),
        (route("first", LOGIN + 'kind = "acs"'), False),
        (route("first", 'kind = "connector"'), True),
        (route("first", 'kind = "direct"'), False),
    ],
)
def test_a_route_behind_one_that_takes_every_mail_is_warned_of(
    folder: Folder, first: str, hides: bool
) -> None:
    assert never_used(folder, first, route("late"), route("later", TO_A))[:1] == (
        ["late"] if hides else ["later"]
    )


def test_a_route_that_others_spill_to_is_used(folder: Folder) -> None:
    assert never_used(folder, route("first", 'spill = "late"'), route("late"), route("lost")) == ["lost"]


def test_a_size_limit_hides_nothing_that_a_client_may_send(folder: Folder) -> None:
    first = route("first", 'message_size = "10 MB"')
    assert never_used(folder, '[limits]\nmessage_size = "10 MB"\n', first, route("late")) == ["late"]


@pytest.mark.parametrize(
    ("routes", "words"),
    [
        (route("a", 'spill = "b"'), 'route[0].spill: names no route: "b"; there are a'),
        (route("a", 'spill = "a"'), "route[0].spill: comes back to where it began (a → a)"),
        (
            route("z") + route("a", 'spill = "b"') + route("b", 'spill = "a"'),
            "route[1].spill: comes back to where it began (a → b → a)",
        ),
        (
            route("x", 'spill = "b"') + route("b", 'spill = "c"') + route("c", 'spill = "b"'),
            "route[1].spill: comes back to where it began (b → c → b)",
        ),
    ],
)
def test_a_spill_leads_to_another_route_and_not_round(folder: Folder, routes: str, words: str) -> None:
    assert problem(folder, routes).startswith(words)


def test_spills_may_follow_each_other(folder: Folder) -> None:
    text = route("a", 'spill = "b"\n' + TO_A) + route("b", 'spill = "c"\n' + TO_A) + route("c")
    assert [each.spill for each in read(folder, text).routes] == ["b", "c", ""]


def test_a_plain_route_asks_nothing(folder: Folder) -> None:
    assert read(folder, route("r"), tenant="").routes == (Route("r", ("smtp.example.net",)),)
