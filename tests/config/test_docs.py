"""docs/configuration.md and the files in deploy/ speak of what there is."""

import re
import time
from pathlib import Path

import pytest

from relay.config import model
from relay.config.read import read
from relay.trace import event as events
from relay.trace import metrics
from relay.trace.event_kind import Kind

ROOT = Path(__file__).parents[2]
TABLES = {name: table for name, table in model.TABLES.items() if name and "dkim" not in name}
"""DKIM has a page of its own."""


def section(name: str) -> str:
    text = (ROOT / "docs/configuration.md").read_text()
    found = re.search(rf"^## \[+(?:\w+\.)?{name}\]+$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found is not None, f"docs/configuration.md has no section [{name}]"
    return found[1]


@pytest.mark.parametrize("name", [name for name in TABLES if name != "selector"])
def test_every_key_is_documented_and_no_other(name: str) -> None:
    documented = set(re.findall(r"^\| `(\w+)` \|", section(name), re.MULTILINE))
    keys = {field.alias or key for key, field in TABLES[name].model_fields.items()}
    assert documented == keys


def test_the_example_in_the_documentation_is_good(tmp_path: Path) -> None:
    text = (ROOT / "docs/configuration.md").read_text()
    example = re.search(r"```toml\n(.*?)```", text, re.DOTALL)
    assert example is not None
    (tmp_path / "relay.toml").write_text(example[1])
    assert read(tmp_path / "relay.toml", time.time()).warnings == ()


def test_the_configuration_to_begin_with_is_good() -> None:
    assert read(ROOT / "deploy/config/relay.toml", time.time()).warnings == ()


def test_every_metric_is_documented() -> None:
    text = (ROOT / "docs/operations.md").read_text()
    names = [f"{name}_total" for name in (*metrics.COUNTERS, *metrics.LABELLED)]
    missing = [
        name
        for name in (*names, *metrics.HISTOGRAMS, *metrics.GAUGES, *metrics.LABELLED_GAUGES)
        if f"`{name}`" not in text
    ]
    assert missing == []


def test_every_event_is_documented() -> None:
    text = (ROOT / "docs/operations.md").read_text()
    kinds = [kind for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, Kind)]
    tags = [str(kind.__struct_config__.tag) for kind in kinds if kind is not Kind]
    assert [tag for tag in tags if f"`{tag}`" not in text] == []
