"""The deliverer process: `python -m relay.process.deliverer`, started by the supervisor."""

import asyncio
import contextlib
import random
import sys
from functools import partial
from pathlib import Path

from relay.control.office import Office
from relay.control.server import ControlServer
from relay.deliver.book import open_book
from relay.deliver.deliverer import Deliverer
from relay.errors import ConfigurationError
from relay.identity.expiry import ExpiryWatch
from relay.identity.graph import get
from relay.identity.message_trace import MessageTrace
from relay.identity.recipients import Directory
from relay.identity.token_cache import TokenCache
from relay.message.queue_id import MAX_SLOTS
from relay.process.life import Life, Unavailable, run
from relay.receive.learning_watch import INTERVAL_S, LearningWatch
from relay.route.oauth import OAuth
from relay.route.table import RouteTable
from relay.spool import lock
from relay.spool.commit import Committer
from relay.spool.lock import Lock
from relay.spool.store import Store
from relay.trace.event import ControlUnavailable, Event, Record, Waiting
from relay.trace.history.intake import History
from relay.trace.history.namesake import has_namesake

LOCK_WAIT_S = 60.0
"""Beyond its drain, for a predecessor to end: it may be in a commit on a slow disk."""
LOCK_POLL_S = 0.05
EXPIRY_INTERVAL_S = 3600.0
"""How often secrets and certificates are looked at that end one day."""
REFRESH_INTERVAL_S = 5.0
"""How soon the metric follows a certificate that was renewed; a stat(2) for each."""
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
"""random(4): a new one each time the machine starts."""


async def work(life: Life) -> None:
    """Deliver mail until told to stop."""
    told = life.told
    store = Store.open(told.spool)
    held = await _wait_for_lock(life)
    if held is None:
        return
    _drop_unfinished(store)
    history, record = _history(life)
    book = open_book(store, told.routes, life.clock, _boot_id(), record)
    committer = Committer(
        store,
        life.end.get_loop(),
        record,
        life.clock,
        life.break_off,
        pause_s=told.deliverer.settle_pause_s,
    )
    _watch_expiry(life)
    _watch_learning(life)
    tokens = _tokens(life)
    deliverer = Deliverer(
        told.deliverer,
        RouteTable(told.routes, told.tenant),
        store,
        committer,
        record,
        life.clock,
        random.random,
        tokens,
        book=book,
        tenant=told.tenant,
        acted_at=told.acted_at,
        report=told.report,
        told_to=None if history is None else history.start(),
        asks=_message_trace(life, tokens),
        namesakes=None if told.history is None else partial(has_namesake, told.history.path),
    )
    directory = _directory(life, tokens, record)
    await deliverer.start()
    control = await _take_commands(life, deliverer, store)
    life.ready()
    living = asyncio.ensure_future(deliverer.wait())
    await asyncio.wait((life.end, living), return_when=asyncio.FIRST_COMPLETED)
    if living.done():
        living.result()
    if life.end.done():
        life.end.result()
    await control.close()
    await deliverer.drain(told.drain_s)
    await living
    if directory is not None:
        directory.cancel()
    if tokens is not None:
        await tokens.close()
    await committer.close()
    if history is not None:
        # In a thread: what it says on its way out is told by this loop.
        await asyncio.to_thread(history.close)
    store.close()
    held.release()


async def _take_commands(life: Life, deliverer: Deliverer, store: Store) -> ControlServer:
    """Serve the control socket. Mail does not depend on it: without one it flows all the same."""
    options = life.told.control
    assert options is not None, "a deliverer is told where it takes commands"
    control = ControlServer(options, Office(deliverer, store.count, life.record, life.clock))
    try:
        await control.listen()
    except ConfigurationError as error:
        life.record(ControlUnavailable(str(error)))
    return control


def _history(life: Life) -> tuple[History | None, Record]:
    """The history, where one is kept, and where events go."""
    options = life.told.history
    if options is None:
        return None, life.record
    loop = life.end.get_loop()

    def tell(event: Event) -> None:
        # A thread that its disk has held up until after the end has nobody to tell.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(life.record, event)

    history = History(options, life.clock, tell)

    def record(event: Event) -> None:
        life.record(event)
        history(event)

    return history, record


def _directory(life: Life, tokens: TokenCache | None, record: Record) -> "asyncio.Task[None] | None":
    """The list of recipients is kept fresh by this process alone: one asks for all receivers."""
    tenant, options = life.told.tenant, life.told.graph
    if tenant.recipients is None or options is None or tokens is None:
        return None
    directory = Directory(
        options,
        tenant.recipients,
        tenant.recipients_refresh_s,
        tenant.is_inside,
        tokens,
        record,
        life.clock,
        random.random,
        get,
    )
    return life.end.get_loop().create_task(directory.watch())


def _message_trace(life: Life, tokens: TokenCache | None) -> MessageTrace | None:
    """Where Microsoft Graph may be asked."""
    options = life.told.graph
    if options is None or tokens is None:
        return None
    return MessageTrace(options, tokens, life.clock, random.random)


def _tokens(life: Life) -> TokenCache | None:
    """For routes that log in with tokens, and for Graph; None when nobody needs one."""
    logins = (login for route in life.told.routes for login in route.logins)
    if life.told.graph is None and not any(isinstance(login, OAuth) for login in logins):
        return None
    # msal and what it imports take 0.1 s and 10 MiB: nothing for a relay without tokens.
    from relay.identity.token import fetch

    return TokenCache(fetch, life.record, life.clock, random.random)


def _watch_expiry(life: Life) -> None:
    """Now and every hour, and when a file has changed, as long as the process lives."""
    watch = ExpiryWatch(life.told.credentials, life.record, life.clock)
    loop = life.end.get_loop()

    def look() -> None:
        watch.check()
        loop.call_later(EXPIRY_INTERVAL_S, look)

    def refresh() -> None:
        if watch.refresh():
            watch.check()
        loop.call_later(REFRESH_INTERVAL_S, refresh)

    look()
    refresh()


def _watch_learning(life: Life) -> None:
    """Say that unknown devices are let in, and when that has ended: here, because there is one deliverer."""
    options = life.told.learning
    if options is None:
        return
    watch = LearningWatch(options, life.record, life.clock)
    loop = life.end.get_loop()

    def look() -> None:
        if watch.look():
            loop.call_later(INTERVAL_S, look)

    look()


def _boot_id() -> str:
    """Which running of the machine this is; empty when nobody says."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return ""


async def _wait_for_lock(life: Life) -> Lock | None:
    """The deliverer's lock; None when told to stop meanwhile. One spool has one deliverer."""
    folder = life.told.spool.path
    deadline = life.clock.monotonic() + life.told.drain_s + LOCK_WAIT_S
    is_told = False
    while not life.end.done():
        try:
            return Lock.hold(folder, lock.DELIVERER)
        except ConfigurationError as error:
            if life.clock.monotonic() > deadline:
                raise Unavailable(str(error)) from None
            if not is_told:
                life.record(Waiting(role=life.told.role, reason=str(error)))
                is_told = True
        await asyncio.wait((life.end,), timeout=LOCK_POLL_S)
    return None


def _drop_unfinished(store: Store) -> None:
    """What dead receivers streamed and never accepted; those of live ones are their own business."""
    free: dict[int, Lock] = {}
    for slot in range(MAX_SLOTS):
        try:
            free[slot] = Lock.hold(store.options.path, lock.receiver(slot))
        except ConfigurationError:
            continue
    try:
        store.abandon_partial(free.keys())
    finally:
        for held in free.values():
            held.release()


if __name__ == "__main__":
    sys.exit(run(work))
