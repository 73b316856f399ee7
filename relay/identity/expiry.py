"""When an application's secret or certificate ends: told at 30, 7 and 1 days, and when it has.

A certificate says when it ends; of a secret only the administrator knows.
"""

import datetime
import math
from collections.abc import Iterable

from relay.clock import Clock
from relay.route.oauth import Application, ClientCertificate
from relay.trace import event as trace

DAY_S = 86_400.0
ENDED = 0
STAGES = (ENDED, 1, 7, 30)
"""Days. A month to plan, a week to act, a day to hurry."""


def stage(application: Application, now: float) -> int | None:
    """The narrowest of STAGES that it is in; None while there is time, or nothing is known."""
    if application.expires_at is None:
        return None
    left_s = application.expires_at - now
    return next((days for days in STAGES if left_s <= days * DAY_S), None)


def days_left(application: Application, now: float) -> int:
    """Whole days; negative when it has ended."""
    assert application.expires_at is not None
    return math.floor((application.expires_at - now) / DAY_S)


def sentence(application: Application, now: float) -> str:
    """What ends when, and what to do."""
    assert application.expires_at is not None
    end = datetime.datetime.fromtimestamp(application.expires_at, datetime.UTC)
    what = "certificate" if isinstance(application.proof, ClientCertificate) else "client secret"
    days = days_left(application, now)
    when = (
        f"ended on {end:%Y-%m-%d}"
        if days < 0
        else f"ends on {end:%Y-%m-%d}, in {days} day{'' if days == 1 else 's'}"
    )
    return f"the {what} of {application} {when}; add a new one to the app registration, then change it here"


class ExpiryWatch:
    """Records an event for each stage that is reached, once."""

    def __init__(self, applications: Iterable[Application], record: trace.Record, clock: Clock) -> None:
        self._applications = tuple(dict.fromkeys(applications))
        self._record = record
        self._clock = clock
        self._told: dict[Application, int] = {}

    def check(self) -> None:
        """Now and then: an hour between is early enough for the stage of a day."""
        now = self._clock.now()
        for application in self._applications:
            reached = stage(application, now)
            if reached is None or self._told.get(application) == reached:
                continue
            self._told[application] = reached
            level: trace.Level = "error" if reached <= 1 else "warning"
            days = days_left(application, now)
            self._record(trace.CredentialExpiring(str(application), sentence(application, now), days, level))
