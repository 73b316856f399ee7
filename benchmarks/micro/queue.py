"""What a mail costs in its lane: it comes, its turn comes, it leaves. And what waiting mail takes of memory.

    python -m benchmarks.micro.queue [--mails N]

`passing`: one mail at a time through an empty lane, as when nothing waits. `backlog`: all come,
then all leave, of so many clients with so many campaigns each. Time is of this process's CPU,
the best of five; memory is what tracemalloc sees of a backlog, jobs included.
"""

import argparse
import gc
import json
import time
import tracemalloc
from collections.abc import Callable

from relay.message.priority import Priority
from relay.queue.job import Job
from relay.queue.lane import Lane
from relay.queue.queue import Queue
from relay.route.route import Route

NORMAL = Priority.NORMAL
SHAPES = ((1, 1), (10, 1), (1, 100), (1_000, 1), (100_000, 1), (1, 100_000))
"""Clients, and campaigns of each."""


def queue() -> Queue:
    return Queue(lambda name: Route(name, ("h.test",)))


def jobs(tested: Queue, mails: int, clients: int, campaigns: int) -> list[Job]:
    """In the order in which they come: one of each flow, then the next one of each."""
    return [
        tested.add(
            id,
            "smarthost",
            client=f"client {id % clients}",
            campaign=f"campaign {id // clients % campaigns}",
            size=50_000,
        )
        for id in range(1, mails + 1)
    ]


def leave(lane: Lane) -> None:
    job = lane.head(NORMAL)
    assert job is not None
    lane.charge(job, 50_000)
    lane.take(job)


def passing(mails: int) -> float:
    tested = queue()
    all_jobs, lane = jobs(tested, mails, 1, 1), tested.lane("smarthost")

    def one_by_one() -> None:
        for job in all_jobs:
            lane.push(job)
            leave(lane)

    return best(one_by_one) / mails


def backlog(mails: int, clients: int, campaigns: int) -> tuple[float, float]:
    """Seconds a mail to come, and to leave."""
    tested = queue()
    all_jobs, lane = jobs(tested, mails, clients, campaigns), tested.lane("smarthost")
    coming, leaving = [], []
    for _ in range(5):
        began = time.process_time()
        for job in all_jobs:
            lane.push(job)
        came = time.process_time()
        for _ in range(mails):
            leave(lane)
        coming.append(came - began)
        leaving.append(time.process_time() - came)
    return min(coming) / mails, min(leaving) / mails


def memory(mails: int, clients: int, campaigns: int) -> int:
    """Bytes of a queue in which so many wait."""
    gc.collect()
    tracemalloc.start()
    tested = queue()
    for job in jobs(tested, mails, clients, campaigns):
        job.lane.push(job)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return taken


def best(what: Callable[[], None]) -> float:
    seconds = []
    for _ in range(5):
        began = time.process_time()
        what()
        seconds.append(time.process_time() - began)
    return min(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mails", type=int, default=200_000)
    mails = parser.parse_args().mails
    gc.disable()
    print(json.dumps({"what": "passing", "us": round(passing(mails) * 1e6, 2)}), flush=True)
    for clients, campaigns in SHAPES:
        coming, leaving = backlog(mails, clients, campaigns)
        shown = {
            "what": "backlog",
            "clients": clients,
            "campaigns": campaigns,
            "comes_us": round(coming * 1e6, 2),
            "leaves_us": round(leaving * 1e6, 2),
            "bytes_a_mail": memory(mails, clients, campaigns) // mails,
        }
        print(json.dumps(shown), flush=True)


if __name__ == "__main__":
    main()
