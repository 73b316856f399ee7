"""`[brakes]`: what is written reaches the receivers, and nonsense is told."""

from pathlib import Path

import pytest

from relay.config.problem import InvalidConfiguration
from relay.config.read import read
from relay.receive.brake_options import BrakeOptions

LEAST = """
[relay]
hostname = "relay.example.com"
[spool]
path = "spool"
[[listener]]
address = "127.0.0.1:2525"
[[route]]
name = "r"
host = "smarthost.example.com"
"""


def brakes(folder: Path, text: str) -> BrakeOptions:
    (folder / "relay.toml").write_text(LEAST + text)
    return read(folder / "relay.toml", 0.0).brakes


def test_brakes_hold_by_default_and_exempt_nobody(tmp_path: Path) -> None:
    assert brakes(tmp_path, "") == BrakeOptions()
    assert BrakeOptions().exempt == ()


def test_every_brake_can_be_set(tmp_path: Path) -> None:
    text = (
        '[brakes]\nexempt = ["10.0.0.0/8"]\nconnections_per_minute = 1\nlogin_failures = 2\nname_failures = 3\n'
        'refused_recipients = 4\nfaulty_sessions = 7\nperiod = "5s"\ndelay_max = "0s"\nban = "1h"\nremembered = 6\n'
    )
    assert brakes(tmp_path, text) == BrakeOptions(("10.0.0.0/8",), 1, 2, 3, 4, 7, 5.0, 0.0, 3_600.0, 6)


@pytest.mark.parametrize(
    "line", ['exempt = ["here"]', "login_failures = 0", 'period = "0s"', "lock_names = true"]
)
def test_what_makes_no_sense_is_told_by_its_key(tmp_path: Path, line: str) -> None:
    with pytest.raises(InvalidConfiguration) as told:
        brakes(tmp_path, f"[brakes]\n{line}\n")
    assert f"brakes.{line.partition(' ')[0]}" in str(told.value)
