"""Asynchronous tests: each runs in a loop of its own, with a deadline."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import ParamSpec

import uvloop

P = ParamSpec("P")
DEADLINE_S = 30.0


def in_loop(test: Callable[P, Coroutine[None, None, None]]) -> Callable[P, None]:
    """Run the test under uvloop; an error in a callback fails it, as nobody else would hear of it."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        troubles: list[dict[str, object]] = []

        async def bounded() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda _, context: troubles.append(context))
            async with asyncio.timeout(DEADLINE_S):
                await test(*args, **kwargs)

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(bounded())
        assert not troubles, troubles

    return run
