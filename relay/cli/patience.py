"""Patience: how long a person is kept waiting, and the bar that shows how far it is meanwhile."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

WITHIN_S = 0.8
"""An answer that takes longer is one that somebody has asked for."""


def for_a_moment(within_s: float = WITHIN_S) -> Callable[[float], bool]:
    """Goes on for so long; what it is asked with does not matter."""
    ends_at = time.monotonic() + within_s
    return lambda _: time.monotonic() < ends_at


@contextmanager
def with_a_bar(doing: str) -> Iterator[Callable[[float], bool]]:
    """Goes on to the end; shows the part that is done, 0 to 1, to a person at a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: True
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(doing, total=1.0)

        def go_on(part: float) -> bool:
            bar.update(task, completed=part)
            return True

        yield go_on
