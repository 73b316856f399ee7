"""Times as a configuration says them, and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.config.value import time_s, written_time


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(2_592_000.0, "30d"), (5_400, "1h30m"), (86_401, "1d1s"), (30, "30s"), (0.002, "0.002s"), (0, "0s"), (90.5, "90.5s")],
)  # fmt: skip
def test_a_time_is_shown_as_people_write_it(seconds: float, text: str) -> None:
    assert written_time(seconds) == text


@given(st.integers(0, 10**9))
def test_what_is_shown_may_be_written(seconds: int) -> None:
    assert time_s(written_time(seconds)) == seconds
