"""`suppression list`, `add` and `remove`: straight on the spool, whose writers take turns."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from relay.audit.row import Row
from relay.cli.audit_note import CommandNote
from relay.config.configuration import Configuration
from relay.config.read import read
from relay.config.value import time_s
from relay.errors import ConfigurationError
from relay.message.seven_bit import one_line
from relay.process.exits import Exit
from relay.smtp.address import parse_path
from relay.spool.change import Suppress
from relay.spool.store import Store
from relay.spool.suppressed import REPLY_MAX, Suppressed, key_of

DEFAULT_S = 14 * 86_400.0
"""Where neither command nor configuration says so: mailboxes come and go, and typing errors are corrected."""
PAGE = 1_000


def show(path: Path, *, as_json: bool) -> Exit:
    """Print all that are in force."""
    with opened(read(path, time.time()), read_only=True) as store:
        count = 0
        for address, found in in_force(store, time.time()):
            count += 1
            if as_json:
                line = {"address": address, "since": found.since, "until": found.until, "reply": found.reply}
                print(msgspec.json.encode(line).decode())
            else:
                print(f"{address}  until {moment(found.until)}  {one_line(found.reply)}")
    if not as_json:
        print(f"{count} addresses" if count else "Mail is taken for every address.")
    return Exit.OK


def add(path: Path, addresses: Sequence[str], for_: str | None, reason: str) -> Exit:
    """Enter them all, or none when one is no address."""
    configuration = read(path, time.time())
    now = time.time()
    suppressed = Suppressed(now, now + duration_s(for_, configuration), reply_of(reason))
    rows = tuple((checked(address), suppressed) for address in addresses)
    note = CommandNote(configuration)
    with opened(configuration) as store:
        store.apply([Suppress(rows)])
    note.put(
        changed("add", [key for key, _ in rows])
        | {"until": moment(suppressed.until), "reason": suppressed.reply}
    )
    print(f"No mail is taken for {len(rows)} addresses until {moment(suppressed.until)}")
    return Exit.OK


def remove(path: Path, addresses: Sequence[str]) -> Exit:
    """Take them out; FOUND when one was not there."""
    keys = [checked(address) for address in addresses]
    configuration = read(path, time.time())
    note = CommandNote(configuration)
    with opened(configuration) as store:
        known = {address for address, _ in _all(store)}
        missing = [key for key in keys if key_of(key) not in known]
        store.apply([Suppress(tuple((key, None) for key in keys))])
    note.put(changed("remove", keys) | {"missing": len(missing)})
    for key in missing:
        print(f"{key.decode()} was not suppressed", file=sys.stderr)
    print(f"Mail is taken again for {len(keys) - len(missing)} addresses")
    return Exit.FOUND if missing else Exit.OK


def changed(action: str, addresses: Sequence[bytes]) -> Row:
    """What is recorded of it: how many and where, for the record of who sent what to whom is elsewhere, and can be erased there."""
    domains = sorted(
        {address.rpartition(b"@")[2].lower().decode("utf-8", "replace") for address in addresses}
    )
    return {
        "event": "suppression_changed",
        "action": action,
        "addresses": len(addresses),
        "domains": domains,
    }


@contextmanager
def opened(configuration: Configuration, *, read_only: bool = False) -> Iterator[Store]:
    """The spool, beside a relay that may run."""
    store = Store.open(configuration.spool, read_only=read_only)
    try:
        yield store
    finally:
        store.close()


def in_force(store: Store, now: float) -> Iterator[tuple[str, Suppressed]]:
    """All whose time is not over, in order of the address."""
    for address, found in _all(store):
        if found is not None and not found.is_over(now):
            yield address.decode("utf-8", "backslashreplace"), found


def _all(store: Store) -> Iterator[tuple[bytes, Suppressed | None]]:
    after = b""
    while rows := store.suppressions(after, PAGE):
        yield from rows
        after = rows[-1][0]


def checked(address: str) -> bytes:
    """The address as the spool has it; ConfigurationError when it is none."""
    path = parse_path(f"<{address}>".encode())
    if path is None or "@" not in address or path.address != address.encode():
        raise ConfigurationError(f'"{address}" is no address; write one such as bob@example.net')
    return path.address


def reply_of(text: str) -> str:
    """What clients are told, on one line and without what could end it or move a terminal."""
    return one_line(text)[:REPLY_MAX] or "by hand"


def duration_s(text: str | None, configuration: Configuration) -> float:
    """What --for says, else the configuration, else two weeks; ConfigurationError for what is no time."""
    if text is None:
        return configuration.report.suppress_s or DEFAULT_S
    try:
        seconds = time_s(text)
    except ValueError as error:
        raise ConfigurationError(f"--for {text}: {error}") from None
    assert isinstance(seconds, float)
    return seconds


def moment(at: float) -> str:
    """For people and files: UTC, to the second."""
    return datetime.fromtimestamp(min(at, 253_402_300_799), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
