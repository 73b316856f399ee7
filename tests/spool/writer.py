"""Run as a program: accept and remove mail as fast as it goes, and print what is acknowledged.

Lines: `+ID` a mail is accepted; `-ID` its removal is about to be submitted.
Every eighth mail is streamed, in three records.
"""

import asyncio
import os
import random
import sys
from collections.abc import Callable
from pathlib import Path

from relay.clock import SystemClock
from relay.errors import SpoolError
from relay.message.queue_id import QueueIdSource
from relay.spool.change import Accept, Remove, Stream
from relay.spool.commit import Committer
from relay.spool.options import MIB
from relay.spool.store import Store
from tests.spool.sample import envelope, options

SESSIONS = 30


def nothing(error: SpoolError | None) -> None:
    if error is not None:
        os.write(2, f"{error}\n".encode())
        os._exit(1)


async def main(path: Path) -> None:
    store, clock = Store.open(options(path, map_size_bytes=2048 * MIB)), SystemClock()
    committer = Committer(store, asyncio.get_running_loop(), lambda _: None, clock)
    ids = QueueIdSource(0, clock)

    def say(word: str, id: int) -> None:
        # One write, at once: what is buffered here would be lost with us.
        os.write(1, b"%s%d\n" % (word.encode(), id))

    def then(id: int, chunks: int) -> Callable[[SpoolError | None], None]:
        def accepted(error: SpoolError | None) -> None:
            nothing(error)
            say("+", id)
            if random.random() < 0.95:
                say("-", id)
                committer.submit(Remove(id, chunks), nothing)
            send()

        return accepted

    def send() -> None:
        id = ids.next()
        body = id.to_bytes(8, "big") * random.randrange(1, 2000)
        chunks = 3 if id % 8 == 0 else 1
        for index in range(1, chunks):
            committer.submit(Stream(id, index, body), nothing)
        committer.submit(Accept(envelope(id, len(body) * chunks, chunks), body), then(id, chunks))

    for _ in range(SESSIONS):
        send()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
