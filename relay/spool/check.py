"""Is every record of the spool whole? Reads only; a relay may run meanwhile.

Each mail is looked at in one read transaction, so that what leaves while we look is
either wholly there or wholly gone. Between slices the transaction ends: a long one
would keep freed pages from being used again, and the file of a busy spool growing.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from relay.errors import RecordDamaged
from relay.message.envelope import Envelope
from relay.message.queue_id import format_id
from relay.spool import claims
from relay.spool.codec import join_content, unseal, unseal_envelope, unseal_state
from relay.spool.options import SpoolOptions
from relay.spool.store import Snapshot, Store

Progress = Callable[[str, int, int], None]
"""What is being done, how far, and how far it will go."""

MAX_PROBLEMS = 1_000
"""Problems that are kept with their words; the rest is counted."""
_SLICE = 500


@dataclass(frozen=True, slots=True)
class Problem:
    """One record, or one mail, that is not as it should be."""

    table: str
    id: str
    reason: str


@dataclass(slots=True)
class Report:
    """What was found."""

    mails: int = 0
    partial: int = 0
    states: int = 0
    budget: int = 0
    """Rows of the budgets."""
    suppressed: int = 0
    """Addresses no mail is taken for."""
    idempotency: int = 0
    """Rows of idempotency keys, two each."""
    aside: int = 0
    """Mails that were moved aside earlier; no problem any more."""
    content_records: int = 0
    content_bytes: int = 0
    file_bytes: int = 0
    used_bytes: int = 0
    keys: dict[str, int] = field(default_factory=dict)
    """Records of mail by the mark of the key that they are encrypted with, `plain` for those that are not."""
    problems_total: int = 0
    problems: list[Problem] = field(default_factory=list)

    def add(self, table: str, key: bytes, reason: str) -> None:
        """One more problem."""
        self.problems_total += 1
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(table, format_id(int.from_bytes(key[:8], "big")), reason))


def check(options: SpoolOptions, progress: Progress = lambda *_: None) -> Report:
    """Verify every record; ConfigurationError when the spool cannot be opened."""
    store = Store.open(options, read_only=True)
    try:
        return check_store(store, progress)
    finally:
        store.close()


def check_store(store: Store, progress: Progress = lambda *_: None) -> Report:
    """As `check`, of a store that is open."""
    report = Report(file_bytes=store.file_bytes(), used_bytes=store.used_bytes())
    for table, look in (
        ("envelope", _look_at_mail),
        ("state", _look_at_state),
        ("partial", _look_at_partial),
        ("content", _look_at_owner),
        ("damaged", _look_aside),
        ("budget", _look_at_budget),
        ("suppressed", _look_at_suppressed),
        (claims.TABLE, _look_at_claim),
    ):
        total = store.rows_in(table)
        for done, (snapshot, key) in enumerate(_keys(store, table)):
            look(report, snapshot, key)
            if done % _SLICE == 0:
                progress(table, done, max(done, total))
        progress(table, total, total)
    if store.cipher is not None:
        report.keys = dict(store.cipher.opened)
    return report


def _keys(store: Store, table: str) -> Iterator[tuple[Snapshot, bytes]]:
    after = b""
    while True:
        with store.snapshot() as snapshot:
            keys = snapshot.keys(table, after, _SLICE)
            for key in keys:
                yield snapshot, key
        if not keys:
            return
        after = keys[-1]


def _look_at_mail(report: Report, snapshot: Snapshot, key: bytes) -> None:
    report.mails += 1
    try:
        envelope = unseal_envelope(key, snapshot.get("envelope", key) or b"", snapshot.cipher)
    except RecordDamaged as error:
        report.add("envelope", key, str(error))
        return
    _look_at_content(report, snapshot, key, envelope)


def _look_at_content(report: Report, snapshot: Snapshot, key: bytes, envelope: Envelope) -> None:
    size = 0
    for index in range(envelope.chunks):
        report.content_records += 1
        try:
            size += len(
                join_content(envelope.id, index, lambda row: snapshot.get("content", row), snapshot.cipher)
            )
        except RecordDamaged as error:
            report.add("content", key, f"content record {index} of {envelope.chunks}: {error}")
            return
    report.content_bytes += size
    if size != envelope.size:
        report.add("content", key, f"the content has {size} bytes, and the envelope says {envelope.size}")


def _look_at_state(report: Report, snapshot: Snapshot, key: bytes) -> None:
    report.states += 1
    record = snapshot.get("envelope", key)
    if record is None:
        report.add("state", key, "a state without an envelope")
        return
    try:
        states = len(unseal_state(key, snapshot.get("state", key) or b"", snapshot.cipher))
        recipients = len(unseal_envelope(key, record, snapshot.cipher).recipients)
    except RecordDamaged as error:
        report.add("state", key, str(error))
        return
    if states != recipients:
        report.add("state", key, f"{states} states for {recipients} recipients")


def _look_at_partial(report: Report, snapshot: Snapshot, key: bytes) -> None:
    report.partial += 1
    try:
        unseal(key, snapshot.get("partial", key) or b"")
    except RecordDamaged as error:
        report.add("partial", key, str(error))
    if snapshot.get("envelope", key) is not None:
        report.add("partial", key, "accepted and still marked as coming in")


def _look_at_owner(report: Report, snapshot: Snapshot, key: bytes) -> None:
    if snapshot.get("envelope", key[:8]) is None and snapshot.get("partial", key[:8]) is None:
        report.add("content", key, f"content record {int.from_bytes(key[8:12], 'big')} belongs to no mail")


def _look_at_budget(report: Report, snapshot: Snapshot, key: bytes) -> None:
    report.budget += 1
    try:
        unseal(key, snapshot.get("budget", key) or b"")
    except RecordDamaged as error:
        report.add("budget", b"", f"row {key.hex()}: {error}")


def _look_at_suppressed(report: Report, snapshot: Snapshot, key: bytes) -> None:
    report.suppressed += 1
    try:
        unseal(key, snapshot.get("suppressed", key) or b"")
    except RecordDamaged as error:
        report.add("suppressed", b"", f"row {key.decode('utf-8', 'replace')}: {error}")


def _look_at_claim(report: Report, snapshot: Snapshot, key: bytes) -> None:
    report.idempotency += 1
    try:
        partner = claims.partner_of(key, snapshot.get(claims.TABLE, key) or b"")
        claims.judge_pair(key, partner, snapshot.get(claims.TABLE, partner))
    except RecordDamaged as error:
        report.add(claims.TABLE, b"", f"row {key.hex()}: {error}")


def _look_aside(report: Report, snapshot: Snapshot, key: bytes) -> None:
    report.aside += snapshot.is_reason(key)
