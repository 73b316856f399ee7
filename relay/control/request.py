"""Requests: what may be asked of the deliverer, one JSON object a line.

    {"version": 1, "do": "hold", "where": {"campaign": "May"}, "reason": "wrong list"}

`where` is a selection (`relay.spool.selection`). A key that is not known is an error: a
misspelt one would select more than was meant. No I/O here.
"""

import msgspec
from msgspec import Struct, structs

from relay.deliver.order import (
    Arrived,
    Cancel,
    Hold,
    NotArrived,
    Order,
    Prioritize,
    Rebind,
    Release,
    Retry,
)
from relay.message.priority import PRIORITIES
from relay.message.queue_id import parse_id
from relay.queue.suspension import KINDS, NAME_MAX, Kind, Suspension, proper_name
from relay.spool.selection import Selection

VERSION = 1
REASON_MAX = 500
"""Characters of a reason: it stands in the state of every recipient that is held for it."""
UNTIL_MAX_S = 10 * 365 * 86_400.0
RESUMED = (*KINDS, "sender", "host", "address", "tenant", "outside", "all")
"""What may be resumed: what may be suspended, and what stops by itself alone."""


class Problem(Struct, frozen=True):
    """A request that means nothing, or cannot be done."""

    error: str
    hint: str = ""


class _Request(Struct, frozen=True, tag_field="do", forbid_unknown_fields=True, kw_only=True):
    version: int = VERSION


class HoldMails(_Request, frozen=True, tag="hold", kw_only=True):
    """What waits is kept."""

    where: Selection
    reason: str = ""


class ReleaseMails(_Request, frozen=True, tag="release", kw_only=True):
    """What is held waits again."""

    where: Selection
    reason: str = ""


class RetryMails(_Request, frozen=True, tag="retry", kw_only=True):
    """What was put off is tried at once."""

    where: Selection
    reason: str = ""


class CancelMails(_Request, frozen=True, tag="cancel", kw_only=True):
    """Nothing more is tried; with `report`, whoever sent them is told."""

    where: Selection
    reason: str = ""
    report: bool = False


class SettleMails(_Request, frozen=True, tag="settle", kw_only=True):
    """Of mails whose reply was lost somebody knows whether they arrived. Without a status, of uncertain recipients."""

    where: Selection
    arrived: bool
    reason: str = ""


class RebindMails(_Request, frozen=True, tag="rebind", kw_only=True):
    """What is left takes another route."""

    where: Selection
    route: str
    reason: str = ""


class PrioritizeMails(_Request, frozen=True, tag="priority", kw_only=True):
    """The mails go before others, or after them."""

    where: Selection
    priority: str
    reason: str = ""


class Suspend(_Request, frozen=True, tag="suspend", kw_only=True):
    """Stop something; `until` in seconds since the epoch, or `seconds` from now; neither: until it is resumed."""

    kind: str
    name: str
    reason: str = ""
    until: float | None = None
    seconds: float | None = None


class Resume(_Request, frozen=True, tag="resume", kw_only=True):
    """Let it go on: what somebody has suspended, and what has stopped by itself."""

    kind: str
    name: str = ""


class Stopped(_Request, frozen=True, tag="stopped", kw_only=True):
    """What has stopped, by itself or because somebody said so."""


class Why(_Request, frozen=True, tag="why", kw_only=True):
    """What a mail waits for."""

    id: str


class Plan(_Request, frozen=True, tag="plan", kw_only=True):
    """How things stand for mail of a sender by some routes: what a forecast needs."""

    sender: str
    routes: tuple[str, ...]
    client: str = ""
    """Whose mail it is; empty: of one of whom nothing waits."""


class CampaignsAsked(_Request, frozen=True, tag="campaigns", kw_only=True):
    """How far campaigns are, and when they will be done."""

    name: str = ""
    """One of them; empty: all that are known."""


OnMails = HoldMails | ReleaseMails | RetryMails | CancelMails | SettleMails | RebindMails | PrioritizeMails
Request = OnMails | Suspend | Resume | Stopped | Why | Plan | CampaignsAsked

_decode = msgspec.json.Decoder(Request).decode


def parse(line: bytes) -> Request | Problem:
    """The request in a line, or what is wrong with it."""
    try:
        request = _decode(line)
    except msgspec.ValidationError as error:
        return Problem(f"the request is not understood: {error}", "docs/control.md has every request")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        # RecursionError: objects within objects, deeper than any request, before the decoder knows what it is to be.
        return Problem(f"the request is no JSON object: {error}", "send one JSON object in one line")
    if request.version != VERSION:
        return Problem(
            f"the request is of version {request.version}; this relay speaks {VERSION}",
            "use the command of the same release as the relay",
        )
    if isinstance(request, OnMails) and (name := _emptiness(line)):
        return Problem(f"{name} is empty", "leave out of where what shall not be asked")
    return _judged(request)


class _Given(Struct, frozen=True):
    where: dict[str, object]


_decode_given = msgspec.json.Decoder(_Given).decode


def _emptiness(line: bytes) -> str:
    """What `where` names and leaves empty; a program that has lost a name would select more than was meant."""
    where = _decode_given(line).where
    return next((name for name, value in where.items() if value in ("", [])), "")


def _judged(request: Request) -> Request | Problem:
    reason = getattr(request, "reason", "")
    if len(reason) > REASON_MAX or not _is_plain(reason):
        return Problem(f"a reason has at most {REASON_MAX} characters, in one line", "say it shorter")
    match request:
        case Suspend():
            return _judged_suspend(request)
        case Resume():
            return _judged_resume(request)
        case Why(id=id):
            return _judged_id(request, id)
        case Stopped():
            return request
        case Plan(routes=()):
            return Problem("no route is named", "name those that the mail may take")
        case Plan() | CampaignsAsked():
            return request
        case PrioritizeMails(priority=priority) if priority not in PRIORITIES:
            return Problem(f'there is no priority "{priority}"', "high, normal and bulk are")
        case RebindMails(route=""):
            return Problem("no route is named", "name the route that the mails shall take")
    problem = request.where.problem
    return request if not problem else Problem(problem, "docs/control.md says what may be selected by")


def _judged_suspend(request: Suspend) -> Request | Problem:
    if request.kind not in KINDS:
        return Problem(f'a "{request.kind}" cannot be suspended', f"what can: {', '.join(KINDS)}")
    if request.until is not None and request.seconds is not None:
        return Problem("an end is given twice", "give until or seconds, not both")
    if request.seconds is not None and not request.seconds > 0:
        return Problem("it would end at once", "give more than 0 seconds")
    return _judged_name(request, request.name)


def _judged_resume(request: Resume) -> Request | Problem:
    if request.kind not in RESUMED:
        return Problem(f'there is no "{request.kind}" to resume', f"there are: {', '.join(RESUMED)}")
    if request.kind in ("all", "tenant", "outside"):
        return request
    return _judged_name(request, request.name)


def _judged_name(request: Request, name: str) -> Request | Problem:
    if not name or len(name.encode("utf-8", "replace")) > NAME_MAX or not _is_plain(name):
        return Problem("it has no name", f"name it in 1 to {NAME_MAX} bytes, in one line")
    return request


def _judged_id(request: Request, id: str) -> Request | Problem:
    try:
        parse_id(id)
    except ValueError as error:
        return Problem(str(error), "m365-relay queue list shows the ids")
    return request


def _is_plain(text: str) -> bool:
    return text.isprintable()


def order_of(request: OnMails, by: str) -> Order:
    """What a request wants of mails."""
    reason = request.reason
    match request:
        case HoldMails():
            return Hold(by=by, reason=reason)
        case ReleaseMails():
            return Release(by=by, reason=reason)
        case RetryMails():
            return Retry(by=by, reason=reason)
        case CancelMails(report=report):
            return Cancel(by=by, reason=reason, is_told=report)
        case SettleMails(arrived=True):
            return Arrived(by=by, reason=reason)
        case SettleMails():
            return NotArrived(by=by, reason=reason)
        case RebindMails(route=route):
            return Rebind(by=by, reason=reason, route=route)
        case PrioritizeMails(priority=priority):
            return Prioritize(by=by, reason=reason, priority=PRIORITIES[priority])


def selection_of(request: OnMails) -> Selection:
    """Whom it means; of what is settled, only who is uncertain."""
    where = request.where
    if isinstance(request, SettleMails) and not where.status:
        return structs.replace(where, status="uncertain")
    return where


def suspension_of(request: Suspend, by: str, now: float) -> Suspension | Problem:
    """What a request wants suspended."""
    kind = Kind(request.kind)
    until = now + request.seconds if request.seconds is not None else request.until
    if until is not None and until <= now:
        return Problem("its end is over already", "give a time to come")
    if until is not None and not until <= now + UNTIL_MAX_S:
        return Problem("its end is more than ten years away", "leave the end out")
    return Suspension(request.kind, proper_name(kind, request.name), request.reason, by, now, until)


def name_of(request: Request) -> str:
    """What it does, as it stands in the log."""
    return str(request.__struct_config__.tag)


def detail_of(request: Request) -> str:
    """What it is about, in one line for the log."""
    match request:
        case RebindMails(where=where, route=route):
            return f"{where}; to the route {route}"
        case PrioritizeMails(where=where, priority=priority):
            return f"{where}; to {priority}"
        case HoldMails(where=where) | ReleaseMails(where=where) | RetryMails(where=where):
            return str(where)
        case CancelMails(where=where, report=report):
            return f"{where}; with a report" if report else str(where)
        case SettleMails(where=where, arrived=arrived):
            return f"{where}; {'arrived' if arrived else 'not arrived'}"
        case Suspend(kind=kind, name=name) | Resume(kind=kind, name=name):
            return f"{kind} {name}".rstrip()
        case Why(id=id):
            return id
        case Plan(sender=sender):
            return sender
        case CampaignsAsked(name=name):
            return name
        case Stopped():
            return ""
