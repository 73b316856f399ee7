"""What an auditor asks of a period, answered from the rows of the audit log.

Each section is a question with a table. Rows that say the same are counted together, so
that a report stays readable when somebody guesses passwords for a week.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import cast

from msgspec import Struct, field

from relay.audit.log import time_of
from relay.audit.row import Row

GROUPS_MAX = 2_000
"""Of one section; more are told by their number."""
WEAK = ("TLSv1 ", "TLSv1.0", "TLSv1.1", "SSL")
"""What `relay.tls.describe` says of versions that RFC 8996 ended."""
RUNNING = {
    "ready": "accepts mail",
    "draining": "ends",
    "process_ended": "a process ended",
    "process_failed": "a process failed",
    "rows_lost": "rows were lost: the disk took none for too long",
    "rows_above_limit": "rows above the limit were counted only",
    "torn": "a line was torn by a crash or a full disk",
}
OF_KEYS = ("certificate_reloaded", "certificate_refused", "credential_expiring")
MOMENTS = ("until", "received_at")
"""Seconds since the epoch; 0: nobody knows yet."""
KEY_ENDINGS = (".fingerprint", ".sha256", ".key", ".secret", ".passwords", ".key_file")


class Section(Struct):
    """A question, and its answer as a table."""

    name: str
    question: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)
    left_out: int = 0


class Group(Struct):
    """Rows that say the same."""

    count: int = 0
    first: str = ""
    last: str = ""

    def add(self, moment: str) -> None:
        self.count += 1
        self.first = self.first or moment
        self.last = moment


class Report:
    """Takes the rows of the period, gives the sections."""

    def __init__(self) -> None:
        self._groups: dict[str, dict[tuple[str, ...], Group]] = {}
        self._listed: dict[str, list[tuple[str, ...]]] = {}
        self._left_out: dict[str, int] = {}
        self._settings_hash: str | None = None

    def take(self, row: Row) -> None:
        """A row, in the order of the chain."""
        kind = _text(row, "event")
        moment = _text(row, "time")
        match kind:
            case "login_failed":
                self._group(
                    "failed logins", moment, row, "username", "client", "listener", "mechanism", "reason"
                )
            case "login_succeeded":
                self._group("logins", moment, row, "account", "client", "listener", "mechanism")
            case "command_refused":
                self._group("refusals", moment, row, "client", "listener", "command", "reply")
            case "session_refused":
                self._count(
                    "refusals",
                    moment,
                    (_text(row, "client"), _text(row, "listener"), "", _text(row, "reason")),
                )
            case "sender_seen":
                self._sender(moment, row)
            case "setting_changed":
                self._setting(moment, row)
            case "settings_in_force":
                self._in_force(moment, row)
            case "configuration_refused":
                self._list(
                    "changes",
                    (moment, "", "a configuration was refused", "", "; ".join(_texts(row, "problems"))),
                )
        if kind in RUNNING:
            self._list("running", (moment, _text(row, "process"), RUNNING[kind], _rest(row)))
        elif kind in OF_KEYS:
            self._list("keys", (moment, kind, _rest(row), ""))
        elif "by" in row:
            # What ends by itself has nobody's name.
            self._list("actions", (moment, _text(row, "by") or "the relay", kind, _rest(row)))

    def sections(self) -> list[Section]:
        """All of them, also the empty ones: that nothing happened is an answer."""
        return [
            self._listing("changes", "What was changed in the configuration?", "when", "process", "key", "old", "new"),
            self._listing("actions", "What did administrators do?", "when", "by", "what", "details"),
            self._listing("keys", "Which keys and certificates changed, or end soon?", "when", "what", "details", "now"),
            self._grouping("failed logins", "Who tried to log in and did not?", "name given", "from", "listener", "mechanism", "why"),
            self._grouping("logins", "Who logged in?", "client", "from", "listener", "mechanism"),
            self._grouping("plain text", "Who sent mail without TLS?", "client", "from", "listener"),
            self._grouping("weak TLS", "Who sent mail with TLS below 1.2?", "client", "from", "listener", "TLS"),
            self._grouping("senders", "Who sent mail, by day and protection?", "client", "from", "listener", "TLS"),
            self._grouping("refusals", "What was refused by a rule?", "from", "listener", "command", "reply"),
            self._listing("running", "When did the relay run, and is the record whole?", "when", "process", "what", "details"),
        ]  # fmt: skip

    def _sender(self, moment: str, row: Row) -> None:
        who = (_text(row, "account"), _text(row, "client"), _text(row, "listener"))
        tls = _text(row, "tls")
        self._count("senders", moment, (*who, tls or "none"))
        if not tls:
            self._count("plain text", moment, who)
        elif tls.startswith(WEAK):
            self._count("weak TLS", moment, (*who, tls))

    def _setting(self, moment: str, row: Row) -> None:
        key, old, new = _text(row, "key"), _text(row, "old"), _text(row, "new")
        if key.endswith(KEY_ENDINGS):
            self._list("keys", (moment, key, f"was {old or 'not there'}", f"is {new or 'not there'}"))
        self._list("changes", (moment, _text(row, "process"), key, old, new))

    def _in_force(self, moment: str, row: Row) -> None:
        """Between two of these nothing may change unrecorded."""
        if self._settings_hash is not None and self._settings_hash != _text(row, "before"):
            text = "the settings that were compared with are not those that were recorded: settings.json was changed"
            self._list("changes", (moment, _text(row, "process"), text, "", ""))
        self._settings_hash = _text(row, "sha256")

    def _group(self, section: str, moment: str, row: Row, *keys: str) -> None:
        self._count(section, moment, tuple(_text(row, key) for key in keys))

    def _count(self, section: str, moment: str, key: tuple[str, ...]) -> None:
        groups = self._groups.setdefault(section, {})
        if key not in groups and len(groups) >= GROUPS_MAX:
            self._left_out[section] = self._left_out.get(section, 0) + 1
            return
        groups.setdefault(key, Group()).add(moment)

    def _list(self, section: str, row: tuple[str, ...]) -> None:
        rows = self._listed.setdefault(section, [])
        if len(rows) >= GROUPS_MAX:
            self._left_out[section] = self._left_out.get(section, 0) + 1
            return
        rows.append(row)

    def _listing(self, name: str, question: str, *columns: str) -> Section:
        return Section(name, question, columns, self._listed.get(name, []), self._left_out.get(name, 0))

    def _grouping(self, name: str, question: str, *columns: str) -> Section:
        groups = sorted(self._groups.get(name, {}).items(), key=lambda each: -each[1].count)
        rows = [(*key, str(group.count), group.first, group.last) for key, group in groups]
        columns = (
            *columns,
            "days" if name in ("senders", "plain text", "weak TLS") else "times",
            "first",
            "last",
        )
        return Section(name, question, columns, rows, self._left_out.get(name, 0))


def between(rows: Iterable[Row], since: float, until: float) -> Iterable[Row]:
    """The rows of a period."""
    return (row for row in rows if since <= time_of(_text(row, "time")) < until)


def _text(row: Row, key: str) -> str:
    value = row.get(key)
    return "" if value is None else str(value)


def _texts(row: Row, key: str) -> list[str]:
    value = row.get(key)
    return [str(each) for each in cast("list[object]", value)] if isinstance(value, list) else []


def _rest(row: Row) -> str:
    """What a row says besides."""
    known = {"seq", "prev", "hash", "time", "process", "event", "by"}
    said = ((key, _said(key, value)) for key, value in row.items() if key not in known)
    return ", ".join(f"{key}: {text}" for key, text in said if text)


def _said(key: str, value: object) -> str:
    """For people: moments as such, and no more digits than mean something."""
    match value:
        case None:
            return ""
        case list():
            return ", ".join(map(str, value))
        case float() if key in MOMENTS:
            return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if value else ""
        case float():
            return f"{value:.3f}".rstrip("0").rstrip(".")
    return str(value)
