"""The office: requests become orders to the deliverer, and what it says becomes answers.

Whatever changes something stands in the log twice: who wants what, before it begins, and
what came of it. The two together are the audit trail.
"""

import asyncio
from collections.abc import Callable, Sequence

from relay.clock import Clock
from relay.control.answer import (
    Answer,
    CampaignLine,
    End,
    Item,
    Items,
    Progress,
    Refused,
    Resumed,
    Standing,
    Stop,
    Suspended,
)
from relay.control.caller import Caller
from relay.control.request import (
    CampaignsAsked,
    OnMails,
    Plan,
    Problem,
    RebindMails,
    Request,
    Resume,
    Stopped,
    Suspend,
    Why,
    detail_of,
    name_of,
    order_of,
    selection_of,
    suspension_of,
)
from relay.control.stops import concerns, stop_of_breaker, stop_of_suspension, suspensions_meant
from relay.deliver.actions import Count
from relay.deliver.deliverer import Deliverer
from relay.deliver.suspended import TooMany
from relay.errors import SpoolError
from relay.message.queue_id import parse_id
from relay.queue.suspension import KINDS, Kind, proper_name
from relay.trace import event as trace

PROGRESS_S = 0.5
"""A person sees that something moves; more often is work for nothing."""
DISK_TROUBLE_HINT = "look at the log for spool_trouble, then give the order again"

Told = Callable[[Progress], None]


class Office:
    """Of one deliverer."""

    def __init__(
        self, deliverer: Deliverer, mails: Callable[[], int], record: trace.Record, clock: Clock
    ) -> None:
        """`mails` says how many there are in the spool."""
        self._deliverer = deliverer
        self._mails = mails
        self._record = record
        self._clock = clock

    async def answer(
        self, request: Request, caller: Caller, told: Told, is_wanted: Callable[[], bool]
    ) -> Sequence[Answer]:
        """All of the answer but its progress, which `told` gets. Stops early when nobody wants it any more."""
        try:
            match request:
                case Why(id=id):
                    return [self._why(id)]
                case Stopped():
                    return self._stopped()
                case Plan():
                    return [self._plan(request)]
                case CampaignsAsked(name=name):
                    return self._campaigns(name)
            self._record(
                trace.Commanded(name_of(request), caller.name, caller.uid, caller.pid, detail_of(request))
            )
            began_at = self._clock.monotonic()
            answer = await self._carry_out(request, caller, told, is_wanted)
            self._end(request, caller, answer, self._clock.monotonic() - began_at)
        except SpoolError as error:
            answer = Refused(str(error), DISK_TROUBLE_HINT)
        return [answer]

    async def _carry_out(
        self, request: OnMails | Suspend | Resume, caller: Caller, told: Told, is_wanted: Callable[[], bool]
    ) -> End | Refused:
        try:
            match request:
                case Suspend():
                    return await self._suspend(request, caller)
                case Resume():
                    return await self._resume(request, caller)
                case _:
                    return await self._act(request, caller, told, is_wanted)
        except SpoolError as error:
            # An answer like others, so that the log has its end: what is suspended holds until the relay ends.
            return Refused(str(error), DISK_TROUBLE_HINT)

    def close(self) -> None:
        """The deliverer is about to end: orders end where they are."""
        self._deliverer.actions.is_draining = True

    # Mails.

    async def _act(
        self, request: OnMails, caller: Caller, told: Told, is_wanted: Callable[[], bool]
    ) -> End | Refused:
        routes = self._deliverer.routes
        if isinstance(request, RebindMails) and routes.get(request.route) is None:
            names = ", ".join(route.name for route in routes.routes)
            return Refused(f'there is no route "{request.route}"', f"there are: {names}")
        of, again_at = self._mails(), self._clock.monotonic() + PROGRESS_S

        def tell(count: Count) -> None:
            nonlocal again_at
            if self._clock.monotonic() >= again_at:
                again_at = self._clock.monotonic() + PROGRESS_S
                told(Progress(count, of))

        order = order_of(request, caller.name)
        return End(await self._deliverer.actions.carry_out(order, selection_of(request), tell, is_wanted))

    def _why(self, id: str) -> End | Refused:
        found = self._deliverer.reasons.of(parse_id(id))
        if found is None:
            return Refused(
                f"there is no mail {id} in the queue",
                f"it was delivered, failed or cancelled, if it ever was here: m365-relay trace {id}",
            )
        return End(found)

    def _plan(self, request: Plan) -> End | Refused:
        routes = self._deliverer.routes
        unknown = [name for name in request.routes if routes.get(name) is None]
        if unknown:
            names = ", ".join(route.name for route in routes.routes)
            return Refused(
                f'the relay that runs has no route "{unknown[0]}"',
                f"it has: {names}; is the configuration newer than the relay? systemctl reload m365-relay",
            )
        return End(
            Standing(*self._deliverer.outlook.of(request.routes, request.sender.encode(), request.client))
        )

    def _campaigns(self, name: str) -> Sequence[Answer]:
        book = self._deliverer.campaigns
        if not name:
            lines = [CampaignLine.of(each, book.weight(each)) for each in book.campaigns]
            return [*map(Item, sorted(lines, key=lambda line: line.began_at)), End(Items(len(lines)))]
        campaign = book.campaigns.get(name)
        if campaign is None:
            return [
                Refused(
                    f'no campaign "{name}" is known',
                    "m365-relay campaign list shows those that are; m365-relay trace --campaign finds older ones",
                )
            ]
        book.foresee(campaign)
        return [Item(CampaignLine.of(campaign, book.weight(campaign))), End(Items(1))]

    # What has stopped.

    def _stopped(self) -> Sequence[Answer]:
        now = self._clock.monotonic(), self._clock.now()
        stops: list[Stop] = [stop_of_suspension(each) for each in self._deliverer.suspended]
        stops += [stop_of_breaker(each, *now) for each in self._deliverer.breakers]
        stops.sort(key=lambda stop: stop.since)
        return [*map(Item, stops), End(Items(len(stops)))]

    async def _suspend(self, request: Suspend, caller: Caller) -> End | Refused:
        suspension = suspension_of(request, caller.name, self._clock.now())
        problem = suspension if isinstance(suspension, Problem) else self._unknown(request)
        if isinstance(suspension, Problem) or problem is not None:
            return Refused.of(problem or Problem("it cannot be suspended"))
        done = _Written()
        try:
            self._deliverer.suspended.suspend(suspension, done)
        except TooMany as error:
            return Refused(str(error), "m365-relay stopped shows them all")
        await done.wait()
        return End(Suspended(suspension.kind, suspension.name, suspension.until))

    def _unknown(self, request: Suspend) -> Problem | None:
        """A name of something that is configured and does not exist: a slip would stop nothing."""
        routes = self._deliverer.routes.routes
        if request.kind == Kind.ROUTE.value:
            names = [route.name for route in routes]
        elif request.kind == Kind.MAILBOX.value:
            names = [login.username.lower() for route in routes for login in route.logins]
        else:
            return None
        if proper_name(Kind(request.kind), request.name) in names:
            return None
        known = ", ".join(dict.fromkeys(names)) or "none"
        return Problem(f'there is no {request.kind} "{request.name}"', f"there are: {known}")

    async def _resume(self, request: Resume, caller: Caller) -> End:
        suspended = self._deliverer.suspended
        meant = suspensions_meant(request.kind, request.name, suspended)
        waits = []
        for suspension in meant:
            done = _Written()
            suspended.resume(KINDS[suspension.kind], suspension.name, caller.name, done)
            waits.append(done)
        mended = self._deliverer.mended(concerns(request.kind, request.name))
        for done in waits:
            await done.wait()
        return End(Resumed(len(meant), len(mended)))

    def _end(self, request: Request, caller: Caller, answer: Answer, seconds: float) -> None:
        """What came of it."""
        count, problem = Count(), ""
        match answer:
            case End(result=Count() as count):
                problem = count.trouble or count.cut_short
            case Refused(error=problem):
                pass
        self._record(
            trace.CommandEnded(
                name_of(request), caller.name, caller.uid, caller.pid, detail_of(request),
                count.selected, count.changed, count.under_way, count.failed, problem, seconds,
            )
        )  # fmt: skip


class _Written:
    """Waits until a change is on the disk."""

    def __init__(self) -> None:
        self._future: asyncio.Future[SpoolError | None] = asyncio.get_running_loop().create_future()

    def __call__(self, error: SpoolError | None) -> None:
        if not self._future.done():
            self._future.set_result(error)

    async def wait(self) -> None:
        """SpoolError when the disk did not take it: it holds until the relay ends, and no longer."""
        error = await self._future
        if error is not None:
            raise error
