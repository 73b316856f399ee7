"""When secrets and certificates end: told at 30, 7 and 1 days, and when they have.

A certificate says when it ends; of a secret only the administrator knows. What is
known of each is told hourly for the metrics too, so that an alert may choose its own time.
"""

import datetime
import math
import os
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from relay.clock import Clock
from relay.errors import ConfigurationError
from relay.identity.certificate import ends_at
from relay.route.oauth import Application, ClientCertificate
from relay.trace import event as trace

DAY_S = 86_400.0
ENDED = 0
STAGES = (ENDED, 1, 7)
"""Days, after the first one: a week to act, a day to hurry."""
FIRST_DAYS = 30
"""A month to plan."""
FIRST_DAYS_RENEWED = 14
"""Of a certificate with a short life: a robot renews it with 30 days left, so at 14 one has failed."""
SHORT_LIFE_DAYS = 100
"""Certificates of public authorities that robots fetch live 90 days or less; such as people fetch, a year."""


class Credential(Struct, frozen=True):
    """Something that ends one day."""

    name: str
    """`certificate of the route exchange`; no secret."""
    expires_at: float
    """Seconds since the epoch."""
    remedy: str
    """What to do, as the end of a sentence."""
    first_days: int = FIRST_DAYS
    """The first stage: with 1, what lives for days is told of on its last."""
    file: str = ""
    """Whoever uses it takes a new one from this file by himself; empty: after a reload only."""


def of_application(application: Application) -> Credential | None:
    """Its secret or certificate; None when nobody knows the end."""
    if application.expires_at is None:
        return None
    what = "certificate" if isinstance(application.proof, ClientCertificate) else "client secret"
    remedy = "add a new one to the app registration, then change it here"
    return Credential(f"{what} of {application}", application.expires_at, remedy)


def of_certificate(name: str, begins_at: float, expires_at: float) -> Credential:
    """A certificate in a file."""
    is_short = expires_at - begins_at <= SHORT_LIFE_DAYS * DAY_S
    first_days = FIRST_DAYS_RENEWED if is_short else FIRST_DAYS
    return Credential(name, expires_at, "put a new one into its file, then reload", first_days)


def soonest(credentials: Iterable[Credential]) -> tuple[Credential, ...]:
    """Each name once: an application in two routes is one."""
    found: dict[str, Credential] = {}
    for each in credentials:
        known = found.setdefault(each.name, each)
        if each.expires_at < known.expires_at:
            found[each.name] = each
    return tuple(found.values())


def stage(credential: Credential, now: float) -> int | None:
    """The narrowest stage that it is in, in days; None while there is time."""
    left_s, first = credential.expires_at - now, credential.first_days
    stages = (*(days for days in STAGES if days < first), first)
    return next((days for days in stages if left_s <= days * DAY_S), None)


def days_left(credential: Credential, now: float) -> int:
    """Whole days; negative when it has ended."""
    return math.floor((credential.expires_at - now) / DAY_S)


def sentence(credential: Credential, now: float) -> str:
    """What ends when, and what to do."""
    end = datetime.datetime.fromtimestamp(credential.expires_at, datetime.UTC)
    days = days_left(credential, now)
    when = (
        f"ended on {end:%Y-%m-%d}"
        if days < 0
        else f"ends on {end:%Y-%m-%d}, in {days} day{'' if days == 1 else 's'}"
    )
    return f"the {credential.name} {when}; {credential.remedy}"


class ExpiryWatch:
    """Records an event for each stage that is reached, once, and each time when everything ends."""

    def __init__(self, credentials: Iterable[Credential], record: trace.Record, clock: Clock) -> None:
        self._credentials = soonest(credentials)
        self._record = record
        self._clock = clock
        self._told: dict[str, int] = {}
        self._seen = {each.file: _signature(each.file) for each in self._credentials if each.file}

    def refresh(self) -> bool:
        """Read anew what stands in files that have changed; was there any? Costs a stat(2) a file."""
        changed = {file for file, seen in self._seen.items() if _signature(file) != seen}
        self._seen |= {file: _signature(file) for file in changed}
        self._credentials = tuple(_anew(each) if each.file in changed else each for each in self._credentials)
        for each in self._credentials:
            if each.file in changed:
                # The stages of the new one are its own.
                self._told.pop(each.name, None)
        return bool(changed)

    def check(self) -> None:
        """Now and then: an hour between is early enough for the stage of a day."""
        now = self._clock.now()
        for credential in self._credentials:
            self._record(trace.CredentialEnds(credential.name, credential.expires_at))
            reached = stage(credential, now)
            if reached is None or self._told.get(credential.name) == reached:
                continue
            self._told[credential.name] = reached
            level: trace.Level = "error" if reached <= 1 else "warning"
            days = days_left(credential, now)
            told = trace.CredentialExpiring(credential.name, sentence(credential, now), days, level)
            self._record(told)


def _anew(credential: Credential) -> Credential:
    try:
        end = ends_at(Path(credential.file))
    except ConfigurationError:
        # Who shows it says so, and goes on with the old one.
        return credential
    return credential if end is None else replace(credential, expires_at=end)


def _signature(file: str) -> tuple[int, int] | None:
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino
