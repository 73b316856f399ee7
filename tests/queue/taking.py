"""Mail leaves a lane as it does in life."""

from relay.message.priority import Priority
from relay.queue.job import Job
from relay.queue.lane import Lane


def take(lane: Lane, priority: Priority = Priority.NORMAL) -> Job:
    """Whose turn it is, taken."""
    job = lane.head(priority)
    assert job is not None
    lane.take(job)
    return job


def serve(lane: Lane, priority: Priority = Priority.NORMAL, size: int = 0) -> Job:
    """Whose turn it is, charged and taken: it leaves to be sent."""
    job = lane.head(priority)
    assert job is not None
    lane.charge(job, size)
    lane.take(job)
    return job
