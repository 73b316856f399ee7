"""`[[rewrite]]` tables, and the priorities of listeners."""

import time
import typing
from pathlib import Path

import pytest

from relay.config import value
from relay.config.configuration import Configuration
from relay.config.problem import InvalidConfiguration
from relay.config.read import read
from relay.message.priority import PRIORITIES, Priority
from relay.receive.options import Rewrite
from tests.config.test_read import LEAST


def configuration(folder: Path, text: str) -> Configuration:
    file = folder / "relay.toml"
    file.write_text(text)
    return read(file, time.time())


def problem(folder: Path, text: str) -> str:
    with pytest.raises(InvalidConfiguration) as caught:
        configuration(folder, text)
    (found,) = caught.value.problems
    return found


def rewrite(senders: str, to: str = '"x@contoso.com"', more: str = "") -> str:
    return f"[[rewrite]]\nsenders = {senders}\nto = {to}\n{more}\n"


def listener(keys: str) -> str:
    return LEAST.replace("[[route]]", f"{keys}\n[[route]]")


def test_a_rewriting_is_built_whole(tmp_path: Path) -> None:
    text = rewrite('["p@local", "*.corp.local"]', more='from_field = false\nclients = ["10.0.0.0/8"]')
    found = configuration(tmp_path, LEAST + text + rewrite('["local"]'))
    assert found.warnings == ()
    assert found.rewrites == (
        Rewrite(("p@local", "*.corp.local"), "x@contoso.com", False, ("10.0.0.0/8",)),
        Rewrite(("local",), "x@contoso.com"),
    )


@pytest.mark.parametrize(
    "sender", ["p@local", "local", "*.corp.local", "my_host.local", "p@[192.0.2.1]", "bücher.example"]
)
def test_what_routes_take_as_a_sender_is_taken(tmp_path: Path, sender: str) -> None:
    (found,) = configuration(tmp_path, LEAST + rewrite(f'["{sender}"]')).rewrites
    assert found.senders == (sender,)


@pytest.mark.parametrize(
    "sender", ["", "a b", "*", "*.", "@local", "p@", "a@b@c", ".local", "<p@local>", "p@*.x"]
)
def test_a_pattern_that_matches_nothing_is_refused(tmp_path: Path, sender: str) -> None:
    found = problem(tmp_path, LEAST + rewrite(f'["{sender}"]'))
    assert found.startswith("rewrite[0].senders[0]: write an address or a domain")


def test_the_null_sender_is_never_rewritten(tmp_path: Path) -> None:
    assert "the null sender is never rewritten" in problem(tmp_path, LEAST + rewrite('["<>"]'))


@pytest.mark.parametrize(
    "to", ["", "x", "x@", "jörg@contoso.com", "Desk <x@contoso.com>", "a@b, c@d", "x@y\\n", "postmaster"]
)
def test_the_new_address_is_one_address_in_ascii(tmp_path: Path, to: str) -> None:
    found = problem(tmp_path, LEAST + rewrite('["local"]', f'"{to}"'))
    assert found.startswith("rewrite[0].to: write one address in ASCII")


def test_lists_must_not_be_empty_and_networks_be_networks(tmp_path: Path) -> None:
    assert problem(tmp_path, LEAST + rewrite("[]")) == "rewrite[0].senders: must not be empty"
    empty = rewrite('["local"]', more="clients = []")
    assert problem(tmp_path, LEAST + empty) == "rewrite[0].clients: must not be empty"
    wrong = rewrite('["local"]', more='clients = ["10.0.0.1/8"]')
    assert 'did you mean "10.0.0.0/8"' in problem(tmp_path, LEAST + wrong)


def test_a_table_that_is_never_used_is_warned_of(tmp_path: Path) -> None:
    text = rewrite('["local", "a@b.c"]') + rewrite('["d.e"]', more='clients = ["10.0.0.0/8"]')
    found = configuration(tmp_path, LEAST + text + rewrite('["LOCAL"]') + rewrite('["d.e"]'))
    assert found.warnings == ("rewrite[2]: is never used, since tables before it take all of its senders",)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("", (Priority.NORMAL, Priority.HIGH)),
        ('priority = "bulk"', (Priority.BULK, Priority.HIGH)),
        ('priority = "high"', (Priority.HIGH, Priority.HIGH)),
        ('priority_max = "normal"', (Priority.NORMAL, Priority.NORMAL)),
        ('priority_max = "bulk"', (Priority.BULK, Priority.BULK)),
        ('priority = "bulk"\npriority_max = "normal"', (Priority.BULK, Priority.NORMAL)),
    ],
)
def test_a_listener_has_its_priorities(
    tmp_path: Path, keys: str, expected: tuple[Priority, Priority]
) -> None:
    (found,) = configuration(tmp_path, listener(keys)).listeners
    assert (found.options.priority, found.options.priority_max) == expected


def test_a_priority_above_the_highest_is_refused(tmp_path: Path) -> None:
    found = problem(tmp_path, listener('priority = "normal"\npriority_max = "bulk"'))
    assert found.startswith('listener[0].priority: "normal" is above priority_max = "bulk"')
    assert "must be one of" in problem(tmp_path, listener('priority = "urgent"'))


def test_the_words_are_those_of_the_mail() -> None:
    assert typing.get_args(value.PriorityWord) == tuple(PRIORITIES)
