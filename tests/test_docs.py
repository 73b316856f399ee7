"""The documents speak of what exists: make targets, tests, files, limits with their defaults."""

import ast
import re
from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from relay.audit.options import AuditOptions
from relay.config.options import key_of
from relay.deliver.options import DelivererOptions
from relay.deliver.report_options import ReportOptions
from relay.identity.graph import GraphOptions
from relay.receive.brake_options import BrakeOptions
from relay.receive.learning_options import LearningOptions
from relay.receive.options import Limits
from relay.route.route import Route
from relay.spool.options import SpoolOptions
from relay.trace.history.options import HistoryOptions
from relay.trace.seen.options import InventoryOptions
from relay.webhook.options import WebhookOptions

ROOT = Path(__file__).parent.parent
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md")]
OPTIONS = {
    "audit": AuditOptions,
    "limits": Limits,
    "spool": SpoolOptions,
    "deliver": DelivererOptions,
    "route": Route,
    "report": ReportOptions,
    "brakes": BrakeOptions,
    "history": HistoryOptions,
    "graph": GraphOptions,
    "inventory": InventoryOptions,
    "learning": LearningOptions,
    "webhook": WebhookOptions,
}
LIMIT_ROW = re.compile(r"^\| `(\w+)\.(\w+)` \| ([\d,]+)(?: [a-z ]+)? \|", re.MULTILINE)


def defaults(table: str) -> dict[str, object]:
    """Keys of a table of the configuration, with the defaults of the code."""
    return {
        key_of(field.name): field.default for field in fields(OPTIONS[table]) if field.default is not MISSING
    }


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_make_target_that_is_named_exists(document: Path) -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^)make ([a-z][\w-]*)", document.read_text(), re.MULTILINE))
    assert named <= targets


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_to_a_file(document: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", ["durability", "security"])
def test_every_test_that_is_named_exists(document: str) -> None:
    named = set(re.findall(r"(tests/[\w/]+\.py)::(\w+)", (ROOT / f"docs/{document}.md").read_text()))
    assert named
    missing = [f"{file}::{name}" for file, name in sorted(named) if name not in functions(ROOT / file)]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_test_folder_that_is_named_exists(document: Path) -> None:
    named = re.findall(r"\btests/[\w./]*\w", document.read_text())
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_limits_stand_with_their_defaults() -> None:
    rows = LIMIT_ROW.findall((ROOT / "docs/limits.md").read_text())
    wrong = {
        f"{table}.{key}": (number, defaults(table).get(key))
        for table, key, number in rows
        if float(number.replace(",", "")) != defaults(table).get(key)
    }
    assert len(rows) > 30
    assert wrong == {}


@pytest.mark.parametrize("table", ["limits", "brakes", "spool", "history"])
def test_every_limit_is_listed(table: str) -> None:
    listed = {key for of, key, _ in LIMIT_ROW.findall((ROOT / "docs/limits.md").read_text()) if of == table}
    # None can be met by a client or a mail: a reserve, a period, who is not braked, what is kept.
    others = {"ballast", "check_interval", "exempt", "enabled", "recipients", "keys", "subject"}
    assert defaults(table).keys() - listed <= others


def functions(file: Path) -> set[str]:
    """Names of all functions in a file."""
    tree = ast.parse(file.read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
