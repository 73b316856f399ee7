"""Run as a program: stream a mail of 150 MB through the spool and read it back; print the peak of private memory.

Private memory (RssAnon): the pages of the mapped file belong to the page cache.
"""

import asyncio
import sys
from pathlib import Path

from relay.clock import SystemClock
from relay.errors import SpoolError
from relay.spool.change import MAX_RECORD_BYTES, Accept, Remove, Stream
from relay.spool.commit import Committer
from relay.spool.options import MIB
from relay.spool.store import Store
from tests.spool.sample import envelope, options

RECORDS = 150_000_000 // MAX_RECORD_BYTES
MAX_WAITING = 4


def private_kib() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0])


async def main(path: Path) -> None:
    store = Store.open(options(path, map_size_bytes=512 * MIB))
    loop = asyncio.get_running_loop()
    committer = Committer(store, loop, lambda _: None, SystemClock())
    free, peak, before = asyncio.Semaphore(MAX_WAITING), 0, private_kib()

    def done(error: SpoolError | None) -> None:
        assert error is None
        free.release()

    for index in range(1, RECORDS):
        await free.acquire()
        committer.submit(Stream(7, index, index.to_bytes(4, "big") * (MAX_RECORD_BYTES // 4)), done)
        peak = max(peak, private_kib())
    committer.submit(Accept(envelope(7, RECORDS * MAX_RECORD_BYTES, RECORDS), bytes(MAX_RECORD_BYTES)), done)
    await committer.close()
    for index in range(RECORDS):
        assert store.content(7, index)[:4] == index.to_bytes(4, "big")
        peak = max(peak, private_kib())
    store.apply([Remove(7, RECORDS)])
    peak = max(peak, private_kib())
    store.close()
    print(peak - before)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
