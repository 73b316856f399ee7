"""Campaigns at work: counted as their mail comes and goes, foreseen in turn, told of when they end.

One is looked at every few seconds, the one whose forecast is oldest, and in slices: mail
goes on in between. Rows are written with a pause, so that a
campaign costs the disk no commit a mail; a crash loses what was done in the last seconds
of its count, and nothing else.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from zoneinfo import ZoneInfo

from msgspec import structs

from relay.budget.row import Row
from relay.clock import Clock
from relay.deliver.outlook import Outlook
from relay.deliver.slices import in_slices
from relay.errors import SpoolError
from relay.message.envelope import Envelope
from relay.message.priority import Priority
from relay.queue.campaign import Campaign, Campaigns, Standing, row_key
from relay.queue.forecast import Steps, at_once, foreseeing
from relay.queue.lane import Lane
from relay.queue.remedy import held_back
from relay.queue.situation import Forecast, Kind
from relay.spool.change import RecipientState, Status
from relay.spool.handover import Queued
from relay.trace import event as trace

LOOK_EVERY_S = 5.0
"""A walk of 80 ms in so many seconds, behind 20,000 mails, is not felt."""
FRESH_S = 1.0
"""Who asks gets a forecast that is no older."""
WRITE_EVERY_S = 10.0

Write = Callable[[Sequence[Row], Callable[[SpoolError | None], None]], None]


class CampaignBook:
    """Of one process. Everything happens in the loop's thread."""

    def __init__(
        self,
        rows: Iterable[tuple[bytes, bytes]],
        outlook: Outlook,
        write: Write,
        record: trace.Record,
        clock: Clock,
    ) -> None:
        """`rows` is what an earlier process left."""
        self.campaigns = Campaigns()
        self.campaigns.restore(list(rows))
        self._outlook = outlook
        self._write = write
        self._record = record
        self._clock = clock
        self._look_at = 0.0
        self._write_at = 0.0
        self._is_writing = False

    # What happens to mail.

    def came(self, mail: Queued, states: Sequence[RecipientState] | None, lanes: Sequence[Lane]) -> None:
        """A mail that was not known is in the queue, or held."""
        campaign = self.campaigns.of(mail.campaign, mail.received_at)
        if campaign is None:
            return
        # What of it is done with already stands in the row.
        found = Standing(len(mail.recipients)) if states is None else standing_of(states)
        campaign.standing.add(Standing(waiting=found.waiting, held=found.held))
        if mail.received_at > campaign.known_until:
            campaign.mails += 1
            campaign.size += mail.size
        campaign.last_at = max(campaign.last_at, mail.received_at)
        campaign.priority = int(mail.priority)
        campaign.client = mail.source
        for lane in lanes:
            campaign.came(lane, len(mail.recipients))
        if found.waiting:
            campaign.ended_at = 0.0
        campaign.is_written = False

    def moved(
        self, envelope: Envelope, before: Sequence[RecipientState], after: Sequence[RecipientState]
    ) -> None:
        """Recipients of a mail stand otherwise than before."""
        campaign = self.campaigns.get(envelope.campaign)
        if campaign is None:
            return
        campaign.standing.add(standing_of(before), -1)
        campaign.standing.add(standing_of(after))
        campaign.priority = int(envelope.priority)
        campaign.is_written = False
        if campaign.is_over and not campaign.ended_at:
            self._end(campaign)
        elif not campaign.is_over:
            campaign.ended_at = 0.0

    def _end(self, campaign: Campaign) -> None:
        campaign.ended_at = self._clock.now()
        campaign.done_at = None
        if campaign.is_worth_it:
            standing = campaign.standing
            self._record(
                trace.CampaignEnded(
                    campaign.name, campaign.mails, standing.delivered, standing.failed, standing.held,
                    standing.cancelled, campaign.ended_at - campaign.began_at, campaign.error,
                )
            )  # fmt: skip

    # What will become of it.

    async def watch(self, tick_s: float) -> None:
        """Foresee one every few seconds, for ever; what is long gives way to mail."""
        while True:
            await asyncio.sleep(tick_s)
            now = self._clock.monotonic()
            if now < self._look_at:
                continue
            self._look_at = now + LOOK_EVERY_S
            running = [each for each in self.campaigns if not each.is_over and each.is_worth_it]
            if running:
                await self._look(min(running, key=lambda each: each.made_at))

    async def _look(self, campaign: Campaign) -> None:
        now = self._clock.now()
        if not self._is_fresh(campaign, now):
            told = [await in_slices(steps, self._clock.monotonic) for steps in self._steps(campaign)]
            # It may have ended meanwhile, or somebody asked.
            if not self._is_fresh(campaign, self._clock.now()):
                _note(campaign, told, now)

    def tick(self) -> None:
        """Once a second or so: write what has changed."""
        now = self._clock.monotonic()
        if now >= self._write_at and not self._is_writing:
            self._write_at = now + WRITE_EVERY_S
            self.write()

    def weight(self, campaign: Campaign) -> int:
        """Its turns, where another campaign of its client takes one."""
        return self._outlook.weights.of_campaign(campaign.name)

    def foresee(self, campaign: Campaign) -> None:
        """When it will be done, unless that was asked a moment ago."""
        now = self._clock.now()
        if not self._is_fresh(campaign, now):
            _note(campaign, [at_once(steps) for steps in self._steps(campaign)], now)

    def _is_fresh(self, campaign: Campaign, now: float) -> bool:
        """There is nothing to foresee, or it has been."""
        return campaign.is_over or 0.0 <= now - campaign.made_at < FRESH_S

    def _steps(self, campaign: Campaign) -> list[Steps]:
        """For each of its lanes, as they are now."""
        return [self._by_lane(campaign, lane, part) for lane, part in self._parts(campaign)]

    def _parts(self, campaign: Campaign) -> list[tuple[Lane, float]]:
        """Its lanes, and how many recipients wait in each."""
        total = sum(campaign.lanes.values()) or 1
        return [
            (lane, campaign.standing.waiting * count / total)
            for lane, count in campaign.lanes.items()
            if isinstance(lane, Lane)
        ]

    def _by_lane(self, campaign: Campaign, lane: Lane, recipients: float) -> Steps:
        each = max(1.0, campaign.standing.total / max(1, campaign.mails))
        # All of it that waits is asked about, wherever it stands, so none of it goes before it.
        situation, errand = self._outlook.of_lane(
            lane, Priority(campaign.priority), campaign.client, campaign.name, 0.0
        )
        kind = Kind(each, each * self._outlook.external(lane), campaign.size / max(1, campaign.mails))
        aside = held_back(situation.asides, "", campaign.name, is_external=kind.external > 0)
        errand = structs.replace(errand, mails=recipients / each, kind=kind)
        if aside is not None:
            errand = structs.replace(
                errand,
                from_s=aside.until_s or 0.0,
                stopped=aside.reason,
                stopped_for_good=aside.until_s is None,
            )
        return foreseeing(situation, errand, ZoneInfo)

    # The disk.

    def write(self) -> None:
        """Rows of what has changed; those of campaigns that were forgotten go."""
        forgotten, self.campaigns.forgotten = self.campaigns.forgotten, []
        changed = [each for each in self.campaigns if not each.is_written and each.is_worth_it]
        rows: list[Row] = [(row_key(each.name), None) for each in forgotten if each.is_worth_it]
        for each in changed:
            each.is_written = True
            rows.append(each.row())
        if rows:
            self._is_writing = True
            self._write(rows, partial(self._written, changed))

    def _written(self, changed: Sequence[Campaign], error: SpoolError | None) -> None:
        self._is_writing = False
        if error is not None:
            for each in changed:
                each.is_written = False


def _note(campaign: Campaign, told: Sequence[Forecast], now: float) -> None:
    """It is done when the last of its lanes is."""
    troubles = [each.trouble for each in told if each.done_s is None]
    ends = [each.done_s for each in told if each.done_s is not None]
    if troubles or not ends:
        campaign.foresee(None, troubles[0] if troubles else "it is not known where its mail waits", now)
    else:
        campaign.foresee(now + max(ends), "", now)


def standing_of(states: Iterable[RecipientState]) -> Standing:
    """How the recipients of a mail stand."""
    counts = dict.fromkeys(Status, 0)
    for state in states:
        counts[state.status] += 1
    return Standing(
        counts[Status.QUEUED], counts[Status.DELIVERED], counts[Status.HELD] + counts[Status.UNCERTAIN], counts[Status.FAILED],
        counts[Status.CANCELLED],
    )  # fmt: skip
