"""A receiver process: `python -m relay.process.receiver`, started by the supervisor."""

import asyncio
import socket
import sys

from relay.errors import ConfigurationError
from relay.identity.dkim import KeyRing
from relay.message.queue_id import DELIVERER_SLOT
from relay.process.assignment import InheritedListener
from relay.process.life import Life, Unavailable, run
from relay.process.signer_seat import SignerSeat
from relay.receive.certificate import ContextFiles, Loaded
from relay.receive.handover import Handover
from relay.receive.learning import learning_bounds
from relay.receive.options import ListenerTls, ReceiverOptions
from relay.receive.receiver import Receiver
from relay.route.table import RouteTable
from relay.spool import lock, prospect
from relay.spool.commit import Committer
from relay.spool.lock import Lock
from relay.spool.options import SpoolOptions
from relay.spool.store import Store
from relay.spool.usage import SharedUsage
from relay.trace.seen.options import FILE as SEEN_FILE
from relay.trace.seen.store import SeenStore

SLOT_WAIT_S = 10.0
"""A starting deliverer drops what dead receivers left before it lets go: milliseconds, unless they left much."""
SLOT_POLL_S = 0.02


async def work(life: Life) -> None:
    """Accept mail until told to stop."""
    told = life.told
    store = Store.open(told.spool)
    found = await _wait_for_slot(life)
    if found is None:
        return
    slot, held = found
    committer = Committer(store, life.end.get_loop(), life.record, life.clock, life.break_off)
    handover = Handover(
        told.deliverer.handover_path, slot, life.clock, open_mails_s=told.limits.transaction_timeout_s
    )
    keys = KeyRing(told.dkim)
    signer = SignerSeat(told.number, keys.keys(), life.record, life.clock)
    usage = SharedUsage(told.spool.path)
    inventory = told.inventory
    seen = SeenStore(told.spool.path / SEEN_FILE, inventory.keep_s) if inventory.enabled else None
    loaded = [_loaded(each) for each in told.listeners]
    receiver = Receiver(
        ReceiverOptions(
            told.hostname,
            slot,
            tuple(each.options for each in told.listeners),
            told.limits,
            told.rewrites,
            told.clients,
            told.tenant,
            told.spoofing,
            told.brakes,
            told.learning,
            told.inbound,
            told.deliverer.handover_path.with_name(prospect.FILE),
            told.keeps_subject,
        ),
        [socket.socket(fileno=each.descriptor) for each in told.listeners],
        RouteTable(told.routes, told.tenant, told.clients.bounds() | learning_bounds(told.learning)),
        store,
        committer,
        handover,
        life.record,
        life.clock,
        [None if each is None else each.context for each in loaded],
        keys,
        signer,
        usage,
        watched=loaded,
        seen=seen,
    )
    signer.start()
    await handover.start()
    await receiver.start()
    life.ready()
    await life.end
    await receiver.drain(told.drain_s)
    await signer.stop()
    await committer.close()
    await handover.close()
    usage.close()
    if seen is not None:
        seen.close()
    store.close()
    held.release()


async def _wait_for_slot(life: Life) -> tuple[int, Lock] | None:
    """A slot and its lock; None when told to stop meanwhile. A deliverer that starts holds all free ones for a moment."""
    deadline = life.clock.monotonic() + SLOT_WAIT_S
    while not life.end.done():
        found = _free_slot(life.told.spool, life.told.number)
        if found is not None:
            return found
        if life.clock.monotonic() > deadline:
            raise Unavailable(f"all {DELIVERER_SLOT} receiver slots of {life.told.spool.path} are taken")
        await asyncio.wait((life.end,), timeout=SLOT_POLL_S)
    return None


def _free_slot(spool: SpoolOptions, wish: int) -> tuple[int, Lock] | None:
    """The wished slot, or the next one nobody has: a predecessor may still be draining."""
    for offset in range(DELIVERER_SLOT):
        slot = (wish + offset) % DELIVERER_SLOT
        try:
            return slot, Lock.hold(spool.path, lock.receiver(slot))
        except ConfigurationError:
            continue
    return None


def _loaded(listener: InheritedListener) -> Loaded | None:
    options = listener.options
    if options.tls is ListenerTls.NONE or listener.certificate is None:
        return None
    return ContextFiles(
        listener.certificate,
        listener.key,
        listener.client_ca_file,
        listener.client_crl_file,
        options.tls_min,
        options.session_tickets,
    ).load()


if __name__ == "__main__":
    sys.exit(run(work))
