"""A mail of 150 MB passes with flat memory."""

import subprocess
import sys
from pathlib import Path

MAX_GROWTH_KIB = 24 * 1024
"""Four records under way, their copies as they are sealed, and the dirty pages of a commit or of the removal."""


def test_a_mail_of_150_mb_takes_no_150_mb_of_memory(tmp_path: Path) -> None:
    program = [sys.executable, "-m", "tests.spool.streamer", str(tmp_path / "spool")]
    done = subprocess.run(program, capture_output=True, timeout=120, check=True)
    assert 0 < int(done.stdout) < MAX_GROWTH_KIB
