"""The situation while no relay runs: of the configuration, and of the spool, which is read and not changed."""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import structs

from relay.budget.connection import Connections
from relay.budget.ledger import Ledger
from relay.budget.limit import Limit, Unit
from relay.budget.row import SUSPENSION, USE, Row, read_use
from relay.budget.timeline import Timeline
from relay.config.configuration import Configuration
from relay.message.priority import Priority
from relay.process.deliverer import BOOT_ID
from relay.queue.lineup import LineUp, left_out
from relay.queue.party import OTHERS, Party, drawn_together
from relay.queue.situation import ASSUMED_S, Aside, Backlog, Kind, Sender, Situation
from relay.queue.suspension import from_row
from relay.queue.weights import Weights
from relay.route.hours import concerning
from relay.route.mailbox import Mailboxes
from relay.route.route import Login, Route
from relay.route.tariff import Tariff, limits_in_force
from relay.spool.change import Status
from relay.spool.entry import Damaged
from relay.spool.store import DATA_FILE, Store

MAILS_MAX = 200_000
"""Mails in the spool that are read: some ten seconds."""
PAGE = 1_000
Waiting = dict[tuple[str, tuple[str, ...], Priority], dict[tuple[str, str], "_Sum"]]
"""By lane and priority, and there by client and campaign."""


class _Sum:
    """Of mails that wait for the same mailboxes."""

    __slots__ = ("external", "mails", "recipients", "size")

    def __init__(self) -> None:
        self.mails = self.recipients = self.external = self.size = 0

    def kind(self) -> Kind:
        """Of one of them, in the mean."""
        return Kind(self.recipients / self.mails, self.external / self.mails, self.size / self.mails)

    def add(self, other: "_Sum") -> None:
        self.mails += other.mails
        self.recipients += other.recipients
        self.external += other.external
        self.size += other.size


def situation(
    configuration: Configuration, routes: Sequence[str], sender: bytes, client: str
) -> tuple[Situation, dict[str, tuple[int, ...]]]:
    """As far as the disk knows it, for each route who may send for the sender, and what of the client waits; SpoolError."""
    notes = [
        "no relay runs with this configuration, so this is of the configuration and of what the spool has",
        f"a mail takes {ASSUMED_S:g} s on a connection: assumed, a relay that runs measures it",
    ]
    limits = limits_in_force(configuration.routes)
    rows, waiting = _spool(configuration, notes)
    ledger, now = _ledger(limits, rows, notes)
    tenant = configuration.tenant

    def tariff(route: Route, login: Login | None) -> Tariff:
        return Tariff(route, login, limits, tenant)

    suspensions = list(_suspensions(rows))

    def completed(sender: Sender, route: Route, login: Login | None) -> Sender:
        return _stopped(sender, suspensions)

    line_up = LineUp(tariff, ledger, now, Connections(limits), completed)
    by_name = {route.name: route for route in configuration.routes}
    ways = {name: line_up.of(by_name[name], Mailboxes(by_name[name]).of(sender)) for name in routes}
    backlogs: list[Backlog] = []
    weights = Weights(configuration.deliverer.weights, configuration.deliverer.campaign_weights)
    for (name, identities, priority), sums in waiting.items():
        route = by_name[name]
        logins = [login for login in route.identities if _name(login) in identities]
        if logins:
            backlogs += _backlogs(line_up.of(route, logins), route, priority, sums, weights, client)
    notes += left_out(configuration.routes)
    return Situation(
        time.time(), tuple(line_up.senders), tuple(line_up.standings), tuple(backlogs), tuple(suspensions),
        tuple(notes),
    ), ways  # fmt: skip


def _backlogs(
    senders: tuple[int, ...], route: Route, priority: Priority, sums: Mapping[tuple[str, str], _Sum],
    weights: Weights, own: str,
) -> Iterator[Backlog]:  # fmt: skip
    """Of a lane and priority, by those who take turns; all of them as large as its mail is in the mean."""
    whole = _Sum()
    by_client: dict[str, dict[str, int]] = {}
    for (client, campaign), each in sums.items():
        whole.add(each)
        by_client.setdefault(client, {})[campaign] = each.mails
    parties = []
    for client, campaigns in by_client.items():
        # One client is one party; campaign by campaign only the one that is asked about is told.
        together = campaigns if client == own or len(campaigns) == 1 else {"": sum(campaigns.values())}
        weight = weights.of_client(client)
        parties += [
            Party(client, weight, name, weights.of_campaign(name), count) for name, count in together.items()
        ]
    for party in drawn_together(parties, own, ""):
        yield Backlog(
            senders, int(priority), party.mails, whole.kind(), client=party.client, weight=party.weight,
            campaign=party.campaign, campaign_weight=party.campaign_weight,
            hours=concerning(route.hours, priority, "" if party.campaign == OTHERS else party.campaign),
        )  # fmt: skip


def _spool(configuration: Configuration, notes: list[str]) -> tuple[list[Row], Waiting]:
    if not (configuration.spool.path / DATA_FILE).exists():
        notes.append("there is no spool yet: nothing of the limits is used, and no mail waits")
        return [], {}
    store = Store.open(configuration.spool, read_only=True)
    try:
        found = store.budget_rows()
        if found.damaged:
            notes.append("what was used of some limits cannot be read; the next start counts all as used up")
        return list(found.rows), _waiting(store, configuration, notes)
    finally:
        store.close()


def _waiting(store: Store, configuration: Configuration, notes: list[str]) -> Waiting:
    mailboxes = {route.name: Mailboxes(route) for route in configuration.routes}
    sums: Waiting = {}
    after = looked = 0
    while looked < MAILS_MAX and (page := store.mails(after, PAGE)):
        for mail in page:
            after, looked = mail.id, looked + 1
            if isinstance(mail, Damaged):
                continue
            envelope = mail.envelope
            of_route: dict[str, list[bytes]] = {}
            for recipient, state in zip(envelope.recipients, mail.states, strict=True):
                if state.status is Status.QUEUED and recipient.route in mailboxes:
                    of_route.setdefault(recipient.route, []).append(recipient.address)
            for route, addresses in of_route.items():
                logins = mailboxes[route].of(envelope.sender)
                key = (route, tuple(_name(login) for login in logins), envelope.priority)
                party = (envelope.account or envelope.client, envelope.campaign)
                total = sums.setdefault(key, {}).setdefault(party, _Sum())
                total.mails += 1
                total.recipients += len(addresses)
                total.external += sum(not configuration.tenant.is_inside(each) for each in addresses)
                total.size += envelope.size
    if looked >= MAILS_MAX:
        notes.append(f"of the mail that waits only the oldest {MAILS_MAX:,} were looked at")
    return sums


def _ledger(limits: Sequence[Limit], rows: Sequence[Row], notes: list[str]) -> tuple[Ledger, int]:
    readable = [row for row in rows if not row[0].startswith(USE) or _is_readable(row)]
    monotonic = time.monotonic()
    try:
        timeline = Timeline(readable, time.time(), monotonic, _boot_id())
        ledger = Ledger(_timed(limits), utc_offset_us=timeline.utc_offset_us)
        ledger.restore(readable, timeline.now(monotonic))
    except ValueError as error:
        notes.append(f"what was used of the limits cannot be read ({error}): nothing is assumed to be used")
        timeline = Timeline((), time.time(), monotonic, "")
        ledger = Ledger(_timed(limits), utc_offset_us=timeline.utc_offset_us)
    return ledger, timeline.now(monotonic)


def _timed(limits: Sequence[Limit]) -> list[Limit]:
    return [limit for limit in limits if limit.unit is not Unit.CONNECTIONS]


def _is_readable(row: Row) -> bool:
    try:
        return row[1] is not None and bool(read_use(row[0], row[1]))
    except ValueError:
        return False


def _suspensions(rows: Sequence[Row]) -> Iterator[Aside]:
    for key, value in rows:
        if key.startswith(SUSPENSION) and value is not None:
            try:
                each = from_row(value)
            except ValueError:
                continue
            until_s = None if each.until is None else each.until - time.time()
            if until_s is None or until_s > 0:
                yield Aside(each.kind, each.name, str(each), until_s)


def _stopped(sender: Sender, suspensions: Sequence[Aside]) -> Sender:
    """What has stopped by itself is tried at a start; what somebody has suspended is not."""
    for each in suspensions:
        if (each.what, each.name) in (("route", sender.route), ("mailbox", sender.identity.lower())):
            return structs.replace(
                sender,
                closed_s=each.until_s or 0.0,
                stopped_for_good=each.until_s is None,
                stopped=each.reason,
            )
    return sender


def _name(login: Login | None) -> str:
    return login.username if login is not None else ""


def _boot_id() -> str:
    try:
        return Path(BOOT_ID).read_text().strip()
    except OSError:
        return ""
