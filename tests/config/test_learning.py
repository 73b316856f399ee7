"""`[learning]` and `[inventory]`: bounds that keep it a passing thing, and what is said while it is on."""

import datetime
from pathlib import Path

import pytest

from relay.cli.check_config import in_force
from relay.config.configuration import Configuration
from relay.config.problem import InvalidConfiguration
from relay.config.read import read
from relay.receive.learning_options import LearningOptions
from relay.trace.seen.options import InventoryOptions
from tests.config.test_brakes import LEAST

NOW = datetime.datetime(2026, 11, 25, 12, tzinfo=datetime.UTC).timestamp()
TENANT = '[tenant]\ndomains = ["contoso.com"]\n'
LEARNING = '[learning]\nnetworks = ["10.20.0.0/24"]\nroute = "r"\nuntil = 2026-12-24\n'


def configured(folder: Path, text: str, now: float = NOW) -> Configuration:
    (folder / "relay.toml").write_text(LEAST + text)
    return read(folder / "relay.toml", now)


def problems(folder: Path, text: str) -> str:
    with pytest.raises(InvalidConfiguration) as told:
        configured(folder, text)
    return str(told.value)


def test_nobody_unknown_is_let_in_by_default(tmp_path: Path) -> None:
    configuration = configured(tmp_path, TENANT)
    assert configuration.learning is None
    assert configuration.inventory == InventoryOptions()


def test_what_is_left_out_is_tight(tmp_path: Path) -> None:
    end = datetime.datetime(2026, 12, 25, tzinfo=datetime.UTC).timestamp()
    assert configured(tmp_path, TENANT + LEARNING).learning == LearningOptions(
        ("10.20.0.0/24",), "r", end, ("contoso.com",)
    )


def test_everything_can_be_set(tmp_path: Path) -> None:
    text = LEARNING.replace("2026-12-24", "2026-12-24T18:00:00+01:00") + (
        'outside = true\ndevices = 5\nmessages_per_day = 6\nrecipients_per_message = 7\nmessage_size = "1 MiB"\n'
        '[inventory]\nenabled = false\nkeep = "7d"\n'
    )
    configuration = configured(tmp_path, TENANT + text)
    end = datetime.datetime(2026, 12, 24, 17, tzinfo=datetime.UTC).timestamp()
    assert configuration.learning == LearningOptions(
        ("10.20.0.0/24",), "r", end, ("contoso.com",), True, 5, 6, 7, 1_048_576
    )
    assert configuration.inventory == InventoryOptions(False, 7 * 86_400.0)


@pytest.mark.parametrize(
    ("network", "said"),
    [
        ("0.0.0.0/0", 'learning.networks[0]: "0.0.0.0/0" is too wide'),
        ("::/0", "write networks of /48 or narrower"),
        ("10.0.0.0/8", "write networks of /16 or narrower"),
        ("2001:db8::/32", "is too wide"),
        ("10.20.0.1/24", 'did you mean "10.20.0.0/24"'),
    ],
)
def test_a_network_in_which_nobody_knows_what_stands_is_refused(
    tmp_path: Path, network: str, said: str
) -> None:
    assert said in problems(tmp_path, TENANT + LEARNING.replace("10.20.0.0/24", network))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LEARNING.replace("until = 2026-12-24\n", ""), "learning.until: is missing"),
        (LEARNING.replace('route = "r"\n', ""), "learning.route: is missing"),
        (LEARNING.replace('["10.20.0.0/24"]', "[]"), "learning.networks: must not be empty"),
        (LEARNING.replace("2026-12-24", "2027-02-24"), "learning.until: must be within 90 days from now"),
        (
            LEARNING.replace("2026-12-24", "2026-12-24T10:00:00"),
            "learning.until: write a date without quotes",
        ),
        (LEARNING.replace("2026-12-24", '"soon"'), "learning.until: write a date without quotes"),
        (LEARNING.replace('"r"', '"moon"'), 'learning.route: names no route: "moon"; there are r'),
        (LEARNING + "devices = 0\n", "learning.devices: must be at least 1"),
        (LEARNING + "devices = 5000\n", "learning.devices: must be at most 4096"),
        (LEARNING + 'senders = ["else.example"]\n', "learning.senders: unknown key"),
    ],
)
def test_what_makes_no_sense_is_told_by_its_key(tmp_path: Path, text: str, said: str) -> None:
    assert said in problems(tmp_path, TENANT + text)


def test_without_domains_of_the_tenant_nobody_could_be_held_to_them(tmp_path: Path) -> None:
    assert "learning: needs [tenant] domains" in problems(tmp_path, LEARNING)


def test_that_it_is_on_is_a_warning_with_its_end(tmp_path: Path) -> None:
    (warning,) = configured(tmp_path, TENANT + LEARNING).warnings
    assert warning == (
        "learning: is on until 2026-12-25 00:00 UTC: any device in 10.20.0.0/24 may send as contoso.com to recipients "
        'inside by the route "r", without proving who it is'
    )


def test_a_listener_that_serves_the_same_addresses_anyhow_is_told_of(tmp_path: Path) -> None:
    text = LEAST.replace('"127.0.0.1:2525"\n', '"127.0.0.1:2525"\nnetworks = ["10.0.0.0/8", "::1/128"]\n')
    (tmp_path / "relay.toml").write_text(text + TENANT + LEARNING)
    warnings = read(tmp_path / "relay.toml", NOW).warnings
    assert any("listener[0].networks: serves addresses of learning.networks" in each for each in warnings)


def test_a_network_of_public_addresses_is_told_of(tmp_path: Path) -> None:
    warnings = configured(tmp_path, TENANT + LEARNING.replace("10.20.0.0/24", "93.184.216.0/24")).warnings
    assert any("is reached from everywhere" in each for each in warnings)


def test_the_relay_starts_on_the_day_after_and_says_that_it_is_over(tmp_path: Path) -> None:
    after = NOW + 30 * 86_400
    configuration = configured(tmp_path, TENANT + LEARNING, after)
    assert configuration.learning is not None and configuration.learning.until < after
    (warning,) = configuration.warnings
    assert warning.startswith(
        "learning: is over since 2026-12-25 00:00 UTC and lets nobody in; remove the table"
    )


def test_what_is_in_force_is_shown(tmp_path: Path) -> None:
    rows = dict(in_force(configured(tmp_path, TENANT + LEARNING)))
    assert rows["learning.until"] == "2026-12-25 00:00 UTC"
    assert rows["learning.networks"] == "10.20.0.0/24"
    assert rows["inventory.enabled"] == "true"
