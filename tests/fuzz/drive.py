"""Runs one fuzzer with atheris: `python -m tests.fuzz.drive NAME [options of libFuzzer]`.

Python code is instrumented for coverage while it is imported; the native part is not
(`tests/debug_native.sh` has its sanitizers), but what it returns steers the code that is.
What is found beyond the seeds goes to the folder in FUZZ_CORPUS, if it is set.
"""

import os
import sys
from importlib import import_module
from pathlib import Path

import atheris

HERE = Path(__file__).parent
INPUT_MAX_BYTES = 4_096
"""Of one try: twice the longest command line, and more than the longest PROXY header."""


def main(name: str, options: list[str]) -> None:
    """Does not return: libFuzzer ends the process."""
    with atheris.instrument_imports(include=["relay"], enable_loader_override=False):
        check = import_module(f"tests.fuzz.{name}").check
    folders = [os.environ["FUZZ_CORPUS"]] if "FUZZ_CORPUS" in os.environ else []
    always = [f"-max_len={INPUT_MAX_BYTES}", f"-dict={HERE / 'words.dict'}"]
    atheris.Setup([sys.argv[0], *always, *options, *folders, str(HERE / "corpus" / name)], check)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
