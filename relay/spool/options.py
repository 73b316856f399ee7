"""What an administrator may set about the spool."""

from dataclasses import dataclass
from pathlib import Path

from relay.spool.cipher import Cipher, SpoolKey

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class SpoolOptions:
    """Where the spool lies and how far it may go."""

    path: Path
    """Its folder; made with mode 0700 when absent."""
    keys: tuple[SpoolKey, ...] = ()
    """The first encrypts records of mail, the others open older ones; none: they lie plain."""
    map_size_bytes: int = 64 * 1024 * MIB
    """The most the queue file may grow to. It costs address space only, so it is set above what most disks
    hold: the free-space floor, not the map, should be the first to refuse."""
    free_space_floor_bytes: int = 256 * MIB
    """New mail is refused below this. 1.5 times the largest mail Microsoft takes (150 MB), as Postfix asks of
    queue_minfree, and the room that removing mail needs when nothing else is left."""
    ballast_bytes: int = 4 * MIB
    """Kept for removals when another program fills the disk; one commit of 512 removals writes about 3 MiB at
    worst, and what it frees serves the next."""
    max_batch_bytes: int = 8 * MIB
    """One commit. At 100 MB/s, a slow disk, it takes 80 ms; beyond a few MiB the cost of the sync is spread
    so thin that larger ones gain nothing."""
    max_batch_changes: int = 512
    """One commit. Bounds how long the loop is held by the callbacks of one batch (about 10 µs each)."""
    max_waiting_bytes: int = 64 * MIB
    """New mail is refused while more than this waits for the disk: memory, should the disk be slow."""
    stall_s: float = 10.0
    """New mail is refused while a commit takes longer than this; clients wait 10 minutes at the end of data
    (RFC 5321 section 4.5.3.2.6), so those in the commit are still there when it ends."""
    check_interval_s: float = 1.0
    """How often the free space is looked at. At 160 MB/s, 16,000 mails of 10 KiB, the floor holds longer."""
    idempotency_window_s: float = 86_400.0
    """How long a mail is known by its X-Relay-Idempotency-Key. A day: applications try again for minutes or
    hours, and those that keep such keys elsewhere (Stripe) keep them so long."""
    idempotency_keys: int = 1_000_000
    """Keys that are kept; above, the oldest goes ahead of its time. 12 a second for a day; some 130 bytes each,
    so 130 MB in the file."""

    def cipher(self) -> Cipher | None:
        """What encrypts records of mail; None: nothing does."""
        return Cipher(self.keys) if self.keys else None
