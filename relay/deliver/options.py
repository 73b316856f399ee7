"""What an administrator may set about the deliverer as a whole; a route has its own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from relay.queue.weights import CampaignWeight


@dataclass(frozen=True, slots=True)
class DelivererOptions:
    """Bounds and times, each with its reason."""

    hostname: str
    """What EHLO says; RFC 5321 section 4.1.1.1 wants a name that resolves."""
    handover_path: Path
    """The Unix socket for receivers, in the spool's folder."""
    unsettled_max: int = 64
    """No mail is started while this many outcomes wait for their commit: a crash repeats at most these and
    the one or two in flight on each connection. A commit of 64 takes 2 to 5 ms, so it costs no speed."""
    recipients_max: int = 100
    """Recipients in one transaction; more take another. Every server must take 100 (RFC 5321 section 4.5.3.1.8)."""
    losses_max: int = 3
    """Connections a mail may lose before its content was sent without an attempt being counted: servers close
    idle connections as we write, but a mail that ends each one must not be tried at full speed for ever."""
    rebuild_slice: int = 2_500
    """Mails read from the spool between two turns of the loop, about 20 ms."""
    deferred_slice: int = 10_000
    """Deferred jobs put back at once, and jobs of a paused lane looked at for their age, some 20 ms; the rest
    a tick later."""
    lane_backoff_first_s: float = 2.0
    """A lane's first pause after no address took a connection. Most outages are a restart of seconds."""
    lane_backoff_max_s: float = 300.0
    """Its longest pause: after a long outage mail flows again within 5 minutes."""
    fault_backoff_first_s: float = 60.0
    """The first pause after a fault of configuration: somebody must act, and accounts lock on many bad logins."""
    fault_backoff_max_s: float = 900.0
    """The longest one: what was mended elsewhere is noticed within 15 minutes."""
    address_backoff_first_s: float = 5.0
    """How long an address is passed over after it failed, while others are left."""
    address_backoff_max_s: float = 300.0
    """The longest such time."""
    resolve_interval_s: float = 60.0
    """How long addresses of a name are used; DNS of large hosts changes within minutes."""
    quit_timeout_s: float = 5.0
    """How long the answer to QUIT is awaited; nothing depends on it."""
    settle_pause_s: float = 0.002
    """How long outcomes gather before they are committed: nobody waits for that commit, and each one keeps the
    receivers from theirs. Mails repeated by a crash stay bounded by `unsettled_max`."""
    settle_retry_s: float = 1.0
    """How long after a failed commit an outcome is submitted again."""
    tick_s: float = 1.0
    """How often deadlines are looked at, deferred mail returns and the depth is sampled."""
    receivers_max: int = 64
    """Connections to the hand-over socket: as many as there are slots."""
    weights: Mapping[str, int] = field(default_factory=dict)
    """Turns that a client takes where others take one, by name; who is not named takes one."""
    campaign_weights: tuple[CampaignWeight, ...] = ()
    """Likewise of campaigns among those of their client, by the first that fits."""
