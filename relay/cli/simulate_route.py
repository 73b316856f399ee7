"""What leads to the simulator, ready for relay.toml: a `[[route]]` with all mailboxes, and `[tenant]`.

The relay counts in real seconds, the simulator in its own. So where its clock or its
limits are not those of Microsoft, the limits are written down for the relay's clock, in
whole seconds and never too short.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from relay.m365 import limit as published
from relay.m365.preset import Kind
from relay.simulator.options import File, LimitsTable, MailboxTable
from relay.simulator.simulator import Simulator

ROUTE = """\
[[route]]
name = "microsoft365"
kind = "submission"
host = "{host}"
port = {port}
ca_file = "{ca_file}"
"""
SESSION = """\
connection_age = "{age:g}s"
connection_idle = "{idle:g}s"
"""
OAUTH = """
[route.oauth]
tenant = "{tenant}"
client_id = "{client_id}"
client_secret_file = "{secret_file}"
authority = "{authority}"
ca_file = "{ca_file}"
"""
MAILBOX = """
[[route.mailbox]]
username = "{username}"
"""
LIMIT = """
[[route.limit]]
count = {count}
of = "{of}"
per = "{per_s}s"
"""
TENANT = """
[tenant]
domains = [{domains}]
"""
USUAL_S = (1200.0, 300.0)
"""Ages at which Microsoft cuts a session, and one that idles: the route's defaults suit them."""
AGE_PART, IDLE_PART = 0.9, 0.1
"""Of those: what the route's defaults are, 18 minutes and 30 seconds."""
LEAST_S = 0.1


@dataclass(frozen=True, slots=True)
class Row:
    """One `[[route.limit]]`."""

    count: int
    of: str
    per_s: int
    is_tenants: bool = False


def route_by_password(simulator: Simulator) -> str:
    """Empty when no mailbox has the password that was written to the folder."""
    password, password_file = simulator.folder.password, simulator.folder.password_file
    mailboxes = [each for each in _mailboxes(simulator) if each.password == password]
    if not mailboxes or "submission" not in simulator.addresses:
        return ""
    login = f'password_file = "{password_file}"\n'
    return _text(simulator, "", mailboxes, login)


def route_by_token(simulator: Simulator) -> str:
    """Empty when no application has the secret that was written to the folder, or it may log in nowhere."""
    secret = simulator.folder.secret
    application = next((each for each in simulator.file.application if each.secret == secret), None)
    if application is None or "submission" not in simulator.addresses:
        return ""
    allowed = None if application.mailboxes is None else {each.lower() for each in application.mailboxes}
    mailboxes = [each for each in _mailboxes(simulator) if allowed is None or each.address.lower() in allowed]
    if not mailboxes:
        return ""
    oauth = OAUTH.format(
        tenant=simulator.file.tenant.id,
        client_id=application.client_id,
        secret_file=simulator.folder.secret_file,
        authority=simulator.addresses["authority"],
        ca_file=simulator.folder.ca_file,
    )
    return _text(simulator, oauth, mailboxes, "")


def limits(file: File) -> list[Row] | None:
    """The tenant's limits by the relay's clock; None where a submission route has the same by itself."""
    own, kinds = list(_of_simulator(file.limits, file.speed)), list(_of_kind())
    mailboxes = [row for row in own if not row.is_tenants]
    if mailboxes == kinds and all(row.per_s == published.DAY_S for row in own if row.is_tenants):
        return None
    return own


def _text(simulator: Simulator, oauth: str, mailboxes: Sequence[MailboxTable], login: str) -> str:
    file = simulator.file
    host, _, port = simulator.addresses["submission"].rpartition(":")
    text = ROUTE.format(host=host.strip("[]"), port=port, ca_file=simulator.folder.ca_file)
    if 0 < file.limits.connections != LimitsTable().connections:
        text += f"connections = {file.limits.connections}\n"
    rows = limits(file)
    # The kind's own hold by another clock.
    text += "" if rows is None else "kind_limits = false\n"
    text += _session(file.limits, file.speed) + oauth
    for each in mailboxes:
        text += MAILBOX.format(username=each.address) + login
        text += f"senders = [{_quoted(each.send_as)}]\n" if each.send_as else ""
    for row in rows or ():
        text += LIMIT.format(count=row.count, of=row.of, per_s=row.per_s)
        text += 'scope = "tenant"\n' if row.is_tenants else ""
    text += TENANT.format(domains=_quoted(file.tenant.domains))
    outside = next((row for row in _of_simulator(file.limits, 1) if row.is_tenants), None)
    if rows is None and outside is not None:
        text += f"external_recipients_per_day = {outside.count}\n"
    return text


def _session(limits: LimitsTable, speed: float) -> str:
    age_s, idle_s = (limits.session or USUAL_S[0]) / speed, (limits.idle or USUAL_S[1]) / speed
    if (age_s, idle_s) == USUAL_S:
        return ""
    return SESSION.format(age=max(LEAST_S, AGE_PART * age_s), idle=max(LEAST_S, IDLE_PART * idle_s))


def _of_simulator(limits: LimitsTable, speed: float) -> Iterator[Row]:
    if limits.messages:
        yield Row(limits.messages, "messages", _whole_s(limits.messages_per / speed))
    if limits.recipients:
        yield Row(limits.recipients, "recipients", _whole_s(limits.recipients_per / speed))
    outside = limits.external_recipients
    if outside is None:
        outside = published.terrl(limits.licences)
    if outside:
        per_s = _whole_s(limits.external_recipients_per / speed)
        yield Row(outside, "external recipients", per_s, is_tenants=True)


def _whole_s(seconds: float) -> int:
    return max(1, math.ceil(seconds))


def _of_kind() -> Iterator[Row]:
    """What `kind = "submission"` brings for each mailbox."""
    for row in published.LIMITS:
        if Kind.SUBMISSION in row.kinds and row.name in ("mailbox-messages", "mailbox-recipients"):
            assert row.window_s is not None
            yield Row(row.most, row.counted.value, row.window_s)


def _mailboxes(simulator: Simulator) -> list[MailboxTable]:
    return [each for each in simulator.file.mailbox if each.kind == "mailbox"]


def _quoted(words: Sequence[str]) -> str:
    return ", ".join(f'"{word}"' for word in words)
