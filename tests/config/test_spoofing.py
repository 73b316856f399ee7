"""`[spoofing]`: what is asked by default, and what is written instead."""

import typing
from pathlib import Path

import pytest

from relay.config import value
from relay.receive.options import Action, SpoofingOptions
from tests.config.test_read import LEAST, Folder

TENANT = '[tenant]\ndomains = ["contoso.com"]\n'


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_a_smarthost_without_domains_asks_nothing(folder: Folder) -> None:
    assert folder.read(LEAST).spoofing == SpoofingOptions()


def test_a_tenant_refuses_foreign_authors_and_warns_of_the_rest(folder: Folder) -> None:
    assert folder.read(LEAST + TENANT).spoofing == SpoofingOptions(
        Action.REFUSE, Action.WARN, Action.WARN, Action.WARN, Action.OFF
    )


def test_each_rule_may_be_written(folder: Folder) -> None:
    text = '[spoofing]\nfrom = "off"\nsender = "refuse"\ndisplay_name = "off"\nnull_sender = "refuse"\nalignment = "warn"\n'
    assert folder.read(LEAST + TENANT + text).spoofing == SpoofingOptions(
        Action.OFF, Action.REFUSE, Action.OFF, Action.REFUSE, Action.WARN
    )


@pytest.mark.parametrize("key", ["from", "sender"])
def test_without_domains_a_rule_about_them_is_told_to_judge_the_form_only(folder: Folder, key: str) -> None:
    (warning,) = folder.read(LEAST + f'[spoofing]\n{key} = "refuse"\n').warnings
    assert warning.startswith(f"spoofing.{key}: judges only the field's form")


def test_a_word_that_is_none_is_a_problem(folder: Folder) -> None:
    problem = folder.problem(LEAST + '[spoofing]\nfrom = "maybe"\n')
    assert problem == 'spoofing.from: must be one of "off", "warn" or "refuse"; found "maybe"'
    assert typing.get_args(value.ActionWord) == tuple(each.value for each in Action)
