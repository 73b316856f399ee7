"""The fuzzers hold: on their seeds everywhere, and where atheris is installed for some seconds of search each.

A longer search: `python -m tests.fuzz.drive server -max_total_time=600`.
"""

import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import cast

import pytest

ROOT = Path(__file__).parents[2]
CORPUS = Path(__file__).parent / "corpus"
FUZZERS = {
    "bdat": 5_000,
    "command": 20_000,
    "header": 20_000,
    "proxy": 20_000,
    "sasl": 20_000,
    "server": 20_000,
    "token": 20_000,
}
"""How many tries: some seconds each. The seed is fixed, so that a failure can be had again."""


@pytest.mark.parametrize("name", FUZZERS)
def test_the_invariant_holds_on_every_seed(name: str) -> None:
    check = cast(Callable[[bytes], None], import_module(f"tests.fuzz.{name}").check)
    seeds = sorted((CORPUS / name).iterdir())
    assert len(seeds) > 5
    for seed in seeds:
        check(seed.read_bytes())


@pytest.mark.skipif(
    find_spec("atheris") is None, reason="atheris is not installed here: it has no wheel for this Python"
)
@pytest.mark.parametrize("name", FUZZERS)
def test_a_short_search_finds_nothing(tmp_path: Path, name: str) -> None:
    options = [f"-runs={FUZZERS[name]}", "-seed=1", "-timeout=30", f"-artifact_prefix={tmp_path}/"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.drive", name, *options],
        cwd=ROOT,
        env={"FUZZ_CORPUS": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        errors="replace",
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-4_000:]
    assert f"Done {FUZZERS[name]} runs" in done.stderr


def test_every_seed_belongs_to_a_fuzzer() -> None:
    assert {folder.name for folder in CORPUS.iterdir()} == set(FUZZERS)
