"""A loop that never sleeps does not starve the committing thread."""

import asyncio
import time
from pathlib import Path

import uvloop

from relay.clock import SystemClock
from relay.errors import SpoolError
from relay.spool.commit import Committer
from relay.spool.store import Store
from tests.spool.sample import accept, options

COMMITS = 150
DEADLINE_S = 12.0
"""150 commits one after the other take about 1 s; before the loop stepped aside, 3 to 40 were done in a second."""


def test_commits_go_on_beside_a_loop_that_never_sleeps(tmp_path: Path) -> None:
    async def run() -> int:
        loop = asyncio.get_running_loop()
        store = Store.open(options(tmp_path / "spool"))
        committer = Committer(store, loop, lambda _: None, SystemClock())
        end, over, done = time.monotonic() + DEADLINE_S, loop.create_future(), 0

        def spin() -> None:
            until = time.perf_counter() + 0.00005
            while time.perf_counter() < until:
                pass
            if done == COMMITS or time.monotonic() > end:
                over.set_result(None)
            else:
                loop.call_soon(spin)

        def on_done(error: SpoolError | None) -> None:
            nonlocal done
            assert error is None
            done += 1
            if done < COMMITS:
                committer.submit(accept(done + 1), on_done)

        committer.submit(accept(1), on_done)
        loop.call_soon(spin)
        await over
        reached = done
        await committer.close()
        store.close()
        return reached

    assert uvloop.run(run()) == COMMITS
