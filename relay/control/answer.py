"""Answers: a stream of JSON objects, one a line; the last one of each has `"end": true`. No I/O.

{"progress": {...}}*   {"end": true, "version": 1, "result": {...}}
{"item": {...}}*       {"end": true, "version": 1, "result": {"items": 3}}
{"end": true, "version": 1, "error": "...", "hint": "..."}
"""

from typing import Literal

import msgspec
from msgspec import Struct

from relay.control.request import VERSION, Problem
from relay.deliver.actions import Count
from relay.deliver.reasons import Explained
from relay.message.priority import Priority
from relay.queue.campaign import Campaign
from relay.queue.situation import Situation


class Stop(Struct, omit_defaults=True):
    """Something that has stopped."""

    kind: str
    """As `resume` calls it."""
    name: str
    reason: str
    since: float
    until: float | None
    """When it goes on, or when one mail tries; None: when somebody says so."""
    todo: str
    is_suspended: bool
    """Somebody has said so; else it has stopped by itself."""
    by: str = ""


class Items(Struct):
    """How many there were."""

    items: int


class Resumed(Struct):
    """What goes on."""

    suspensions: int
    breakers: int


class Suspended(Struct):
    """Until when something is suspended; None: until somebody resumes it."""

    kind: str
    name: str
    until: float | None


class Standing(Struct, omit_defaults=True):
    """How things stand, and for each route that was named who may send there, by their places."""

    situation: Situation
    ways: dict[str, tuple[int, ...]]


class CampaignLine(Struct, omit_defaults=True):
    """A campaign; counts are recipients but for `mails`, moments seconds since the epoch."""

    name: str
    priority: str
    began_at: float
    last_at: float
    """When its last mail came."""
    mails: int
    recipients: int
    waiting: int
    delivered: int
    held: int
    failed: int
    cancelled: int
    ended_at: float | None = None
    done_at: float | None = None
    """When it will be done; None: it is, or nobody knows."""
    trouble: str = ""
    """Why nobody knows."""
    first_done_at: float | None = None
    """When it was to be done, as it was foreseen first."""
    first_made_at: float | None = None
    first_part: float = 0.0
    """How much of it was done when that was foreseen."""
    error: float | None = None
    """How much later than that it is done, as part of its time; below 0: earlier."""
    weight: int = 1
    """How many turns it takes where another campaign of its client takes one."""

    @classmethod
    def of(cls, campaign: Campaign, weight: int) -> "CampaignLine":
        """As it stands."""
        standing = campaign.standing
        return cls(
            campaign.name, Priority(campaign.priority).word, campaign.began_at, campaign.last_at, campaign.mails,
            standing.total, standing.waiting, standing.delivered, standing.held, standing.failed, standing.cancelled,
            campaign.ended_at or None, campaign.done_at, campaign.trouble, campaign.first_done_at or None,
            campaign.first_made_at or None, campaign.first_part, campaign.error, weight,
        )  # fmt: skip


class Progress(Struct):
    """How far an order is."""

    progress: Count
    of: int
    """Mails in the spool when it began."""


class Item(Struct):
    """One of several."""

    item: Stop | CampaignLine


class End(Struct):
    """The last object of an answer."""

    result: Count | Items | Resumed | Suspended | Explained | Standing
    end: Literal[True] = True
    version: int = VERSION


class Refused(Struct):
    """The only object of an answer to what cannot be done."""

    error: str
    hint: str
    end: Literal[True] = True
    version: int = VERSION

    @classmethod
    def of(cls, problem: Problem) -> "Refused":
        """For people."""
        return cls(problem.error, problem.hint)


Answer = Progress | Item | End | Refused
_encode = msgspec.json.Encoder().encode


def line(answer: Answer) -> bytes:
    """As it goes over the socket."""
    return _encode(answer) + b"\n"
