"""Imports go down, or to the left inside a layer; never up, never to the right, never round.

Also: the I/O-free half stays free of I/O, and each heavy library has one door.
The layers are those of docs/architecture.md.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = [
    ["errors", "clock", "tls", "_fastpath"],
    ["smtp"],
    ["message"],
    ["m365", "budget", "route", "queue"],
    ["trace", "audit", "spool", "identity"],
    ["receive", "deliver", "webhook"],
    ["config", "control"],
    ["process", "simulator", "doctor", "console"],
    ["cli"],
]
RANK = {name: (level, column) for level, row in enumerate(LAYERS) for column, name in enumerate(row)}
MAY_NOT_SEE_LEFT = {("deliver", "receive"), ("webhook", "receive"), ("webhook", "deliver")}
"""The sockets do not know each other."""

IO_MODULES = {
    "asyncio", "uvloop", "socket", "ssl", "os", "time", "threading", "logging", "random", "subprocess", "prometheus_client",
}  # fmt: skip
IO_FREE = ["errors", "smtp", "message", "m365", "budget", "route", "queue"]
IO_FREE_FILES = [
    "receive/policy.py",
    "receive/intake.py",
    "receive/rewrite.py",
    "receive/brake.py",
    "receive/brake_memory.py",
    "deliver/outcome.py",
    "deliver/order.py",
    "deliver/doubt.py",
    "deliver/doubted.py",
    "deliver/agenda.py",
    "control/request.py",
    "control/session.py",
    "control/answer.py",
    "control/stops.py",
    "webhook/body.py",
    "webhook/retry.py",
    "webhook/signature.py",
]
DOORS = {
    "ssl": "tls.py",
    "prometheus_client": "trace/metrics.py",
    "msal": "identity/token.py",
    "jwt": "identity/jws.py",
    "lmdb": "spool/store.py",
    "argon2": "identity/password.py",
    "httpx": "webhook/post.py",
    "sqlite3": "trace/history/database.py",
    "subprocess": "process/",
    "signal": "process/",
}

FILES = sorted((ROOT / "relay").rglob("*.py"))


def package_of(file: Path) -> str:
    return file.relative_to(ROOT / "relay").parts[0].removesuffix(".py")


def imports(file: Path) -> Iterator[tuple[str, int]]:
    """Every module a file imports, with its line; what only the type checker sees counts too."""
    for node in ast.walk(ast.parse(file.read_text(), str(file))):
        match node:
            case ast.Import(names=names):
                yield from ((name.name, node.lineno) for name in names)
            case ast.ImportFrom(module=module, level=0, names=names) if module is not None:
                yield module, node.lineno
                yield from ((f"{module}.{name.name}", node.lineno) for name in names if module == "relay")
            case ast.ImportFrom(level=level):
                raise AssertionError(f"{file}:{node.lineno}: relative import of level {level}")


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_go_down_or_left(file: Path) -> None:
    own = package_of(file)
    if own == "__init__":
        return
    assert own in RANK, f"{own} stands in no layer"
    for module, line in imports(file):
        if not module.startswith("relay.") or module == "relay.__init__":
            continue
        other = module.split(".")[1]
        if other == own or other not in RANK:
            continue
        (level, column), (other_level, other_column) = RANK[own], RANK[other]
        below = other_level < level
        left = other_level == level and other_column < column and (own, other) not in MAY_NOT_SEE_LEFT
        assert below or left, f"{file}:{line}: {own} must not import {other}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_io_free_files_import_no_io(file: Path) -> None:
    relative = str(file.relative_to(ROOT / "relay"))
    if package_of(file) not in IO_FREE and relative not in IO_FREE_FILES:
        return
    for module, line in imports(file):
        assert module.split(".")[0] not in IO_MODULES, (
            f"{file}:{line}: {relative} is I/O-free but imports {module}"
        )


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_heavy_libraries_have_one_door(file: Path) -> None:
    relative = str(file.relative_to(ROOT / "relay"))
    for module, line in imports(file):
        door = DOORS.get(module.split(".")[0])
        assert door is None or relative.startswith(door), f"{file}:{line}: only relay/{door} imports {module}"
