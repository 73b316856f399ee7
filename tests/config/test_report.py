"""`[report]`, and what a route says of reports."""

import time
import typing
from pathlib import Path

import pytest

from relay.config import value
from relay.config.configuration import Configuration
from relay.config.problem import InvalidConfiguration
from relay.config.read import read
from relay.config.report_table import UnreportableWord
from relay.deliver.report_options import ReportOptions, Unreportable
from relay.route.route import Failed
from tests.config.test_read import LEAST

RESOURCE = """
[[route]]
name = "resource"
kind = "acs"
username = "resource.app.tenant"
password_env = "SECRET"
"""
MAILBOX = """
[[route]]
name = "mailbox"
kind = "submission"
username = "a@contoso.com"
password_env = "SECRET"
"""


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "x")


def configuration(folder: Path, text: str) -> Configuration:
    file = folder / "relay.toml"
    file.write_text(text)
    return read(file, time.time())


def without_smarthost(text: str) -> str:
    return LEAST[: LEAST.index("[[route]]")] + text


def told(found: Configuration) -> list[str]:
    return [warning for warning in found.warnings if warning.startswith("report.")]


def test_without_the_table_senders_are_told(tmp_path: Path) -> None:
    found = configuration(tmp_path, LEAST)
    assert found.report == ReportOptions("relay.example.com")
    assert found.report.author("") == "MAILER-DAEMON@relay.example.com"
    assert found.routes[0].failed is Failed.REPORT and found.routes[0].delay_after_s is None


def test_the_table_is_built_whole(tmp_path: Path) -> None:
    text = """
failed = "hold"
delay_after = "30m"
[report]
from_address = "postmaster@contoso.com"
sender = "relay@contoso.com"
route = "smarthost"
delay_after = 0
per_sender_per_hour = 5
returned_size = "1 MiB"
unreportable = "drop"
suppress = "14d"
"""
    found = configuration(tmp_path, LEAST + text)
    assert found.report == ReportOptions(
        "relay.example.com",
        "postmaster@contoso.com",
        "relay@contoso.com",
        "smarthost",
        0.0,
        5,
        1_048_576,
        Unreportable.DROP,
        14 * 86_400.0,
    )
    assert (found.routes[0].failed, found.routes[0].delay_after_s) == (Failed.HOLD, 1800.0)
    assert found.report.author("relay@contoso.com") == "postmaster@contoso.com"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('route = "gone"', 'report.route: "gone" is no route'),
        ('sender = "<>"', "report.sender"),
        ('from_address = "Postmaster <a@b.test>"', "report.from_address"),
        ('from_address = "ü@b.test"', "report.from_address"),
        ('returned_size = "2 MiB"', "report.returned_size: must be 1024 KiB at most"),
        ("per_sender_per_hour = 0", "report.per_sender_per_hour"),
        ('unreportable = "bounce"', "report.unreportable"),
    ],
)
def test_a_table_that_cannot_be_is_refused_in_words(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        configuration(tmp_path, f"{LEAST}\n[report]\n{text}\n")
    (found,) = caught.value.problems
    assert words in found


@pytest.mark.parametrize(
    ("text", "is_told"),
    [
        (RESOURCE, True),
        (RESOURCE + '[report]\nsender = "a@contoso.com"\n', False),
        (MAILBOX, False),
        (RESOURCE.replace("kind =", 'failed = "hold"\nkind ='), False),
        (RESOURCE + MAILBOX, False),
        (RESOURCE + MAILBOX + '[report]\nroute = "resource"\n', True),
    ],
    ids=["no address", "sender", "mailbox", "nothing to tell", "another route", "named"],
)
def test_reports_that_could_not_go_are_warned_of(tmp_path: Path, text: str, is_told: bool) -> None:
    found = configuration(tmp_path, without_smarthost(text))
    assert bool(told(found)) is is_told


def test_words_of_the_file_are_those_of_the_code() -> None:
    assert typing.get_args(value.FailedWord) == tuple(each.value for each in Failed)
    assert typing.get_args(UnreportableWord) == tuple(each.value for each in Unreportable)
