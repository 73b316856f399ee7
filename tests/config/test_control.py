"""`[control]`: where commands are taken, and who may give them."""

import grp
import os
from pathlib import Path

import pytest

from relay.config.configuration import Configuration
from relay.config.problem import InvalidConfiguration
from relay.config.read import read

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
GROUP = grp.getgrgid(os.getgid()).gr_name


def reading(folder: Path, control: str) -> Configuration:
    file = folder / "relay.toml"
    file.write_text(f"{TEXT}{control}")
    return read(file, 1_800_000_000.0)


def test_without_a_table_it_is_beside_the_spool_for_its_owner(tmp_path: Path) -> None:
    control = reading(tmp_path, "").control
    assert (control.path, control.mode, control.group) == (tmp_path / "spool/control.sock", 0o600, None)


def test_a_group_has_it_in_a_place_of_its_own(tmp_path: Path) -> None:
    found = reading(tmp_path, f'[control]\npath = "run/c"\nmode = "0660"\ngroup = "{GROUP}"')
    assert (found.control.path, found.control.mode) == (tmp_path / "run/c", 0o660)
    assert found.control.group == os.getgid() and found.warnings == ()


def test_a_group_that_cannot_reach_it_is_warned_of(tmp_path: Path) -> None:
    found = reading(tmp_path, '[control]\nmode = "660"')
    assert len(found.warnings) == 1 and found.warnings[0].startswith("control.path: the spool's folder")


@pytest.mark.parametrize(
    ("control", "says"),
    [
        ('mode = "0666"', "everybody on this machine"),
        ('mode = "rw"', "control.mode"),
        ("mode = 600", "control.mode"),
        ('group = "no-such-group"', "groupadd no-such-group"),
        (f'path = "{"x" * 120}"', "107 bytes"),
        ('paht = "x"', 'did you mean "path"'),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, control: str, says: str) -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        reading(tmp_path, f"[control]\n{control}")
    [problem] = caught.value.problems
    assert says in problem and problem.startswith("control")
