"""docs/simulator.md speaks of what there is."""

import re
import tomllib
from pathlib import Path

import pytest

from relay.simulator import control
from relay.simulator.options import TABLES, File

TEXT = (Path(__file__).parents[2] / "docs/simulator.md").read_text()


@pytest.mark.parametrize("name", TABLES)
def test_every_key_is_documented_and_no_other(name: str) -> None:
    found = re.search(rf"^### {name or 'top'}$(.*?)(?=^##|\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert found is not None
    documented = set(re.findall(r"^\| `(\w+)` \|", found[1], re.MULTILINE))
    assert documented == TABLES[name].model_fields.keys() - (TABLES.keys() if not name else set())


def test_the_example_is_good() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    assert File.model_validate(tomllib.loads(example)).speed == 60


def test_every_request_to_the_control_is_documented() -> None:
    assert control.__doc__ is not None
    requests = re.findall(r"^(\w+) +(/control/\w+)", control.__doc__, re.MULTILINE)
    assert len(requests) == 6
    assert all(f"`{method} {path}" in TEXT for method, path in requests)
