"""Run as a program: print the ids in a spool, from a process of its own."""

import sys
from pathlib import Path

from relay.spool.entry import Entry
from relay.spool.store import Store
from tests.spool.sample import options

if __name__ == "__main__":
    store = Store.open(options(Path(sys.argv[1])), read_only=True)
    print([entry.queued.id for entry in store.scan() if isinstance(entry, Entry)])
    store.close()
