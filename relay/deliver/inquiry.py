"""Inquiry: the questions to Exchange's message trace about mail in doubt, and when the next one is due.

What is remembered is only when something was asked last, and what was said; after a restart
the questions begin anew. Nothing here waits for mail, nor mail for it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from relay.clock import Clock
from relay.deliver import doubt
from relay.deliver.doubt import Absent, NotYet, There, Unclear
from relay.deliver.doubted import Doubted, sides
from relay.errors import RelayError
from relay.identity.graph import GraphOptions, GraphRefused
from relay.identity.message_trace import Found, can_be_asked_for
from relay.identity.thread import in_thread
from relay.message.queue_id import format_id
from relay.spool.entry import Mail
from relay.trace import event as trace

HISTORY_WITHIN_S = 30.0
TRACE = "Microsoft's message trace"

Namesakes = Callable[[int, bytes], bool]
"""Whether another mail than that one had this Message-ID in these days. Blocking, any thread; OSError, RelayError."""


class Asks(Protocol):
    """The part of `relay.identity.message_trace.MessageTrace` that is needed here."""

    options: GraphOptions

    @property
    def ready_at(self) -> float: ...
    async def find(self, message_id: str, since: float, until: float) -> Found: ...


@dataclass(slots=True)
class Asked:
    """The last question about a transaction."""

    at: float
    said: str
    is_last: bool = False
    """Asking more often will not make it clearer."""


class Inquiry:
    """Of one process. Its memory is bounded by the mails that are in doubt."""

    def __init__(
        self, asks: Asks | None, namesakes: Namesakes | None, record: trace.Record, clock: Clock
    ) -> None:
        """`asks`: the message trace, where it may be asked; `namesakes`: the history, where one is kept."""
        self._asks = asks
        self._namesakes = namesakes
        self._record = record
        self._clock = clock
        self._asked: dict[int, dict[Doubted, Asked]] = {}
        """By mail."""
        self.trouble = ""
        """Why the trace does not answer just now."""

    @property
    def is_ready(self) -> bool:
        """Whether a question may be asked now."""
        return self._asks is not None and self._asks.ready_at <= self._clock.monotonic()

    @property
    def paused_until(self) -> float:
        """Before then no question may be asked, seconds since the epoch: as many were, or Microsoft wants it so."""
        now = self._clock.monotonic()
        ready_at = now if self._asks is None else max(now, self._asks.ready_at)
        return self._clock.now() + ready_at - now

    def next_at(self, doubted: Doubted) -> float:
        """When to ask (again), seconds since the epoch; infinity: never."""
        asked = self.last(doubted)
        if self._asks is None or (asked is not None and asked.is_last):
            return math.inf
        options = self._asks.options
        return doubt.next_question(
            doubted.sent_at, asked.at if asked else 0.0, options.trace_first_s, options.trace_absent_after_s
        )

    def last(self, doubted: Doubted) -> Asked | None:
        """What was asked last; None: nothing was."""
        return self._asked.get(doubted.id, {}).get(doubted)

    def forget(self, id: int) -> None:
        """Nothing of the mail is in doubt any more."""
        self._asked.pop(id, None)

    async def ask(self, mail: Mail, doubted: Doubted) -> There | Absent | None:
        """Whether it has arrived; None: that is not known by this question."""
        now = self._clock.now()
        if not can_be_asked_for(mail.envelope.message_id):
            self._remember(doubted, Asked(now, "it has no Message-ID that could be asked for", is_last=True))
            return None
        if now - doubted.sent_at > doubt.OLDEST_S:
            self._remember(doubted, Asked(now, "it is too old: the trace keeps 90 days", is_last=True))
            return None
        try:
            found, has_namesake = await self._answer(mail, doubted, now)
        except (RelayError, OSError) as error:
            self._refused(error)
            return None
        self.trouble = ""
        return self._judged(mail, doubted, found, now, has_namesake=has_namesake)

    async def _answer(self, mail: Mail, doubted: Doubted, now: float) -> tuple[Found, bool]:
        assert self._asks is not None
        since, until = doubted.sent_at - doubt.BEFORE_S, min(doubted.sent_at + doubt.AFTER_S, now)
        text = mail.envelope.message_id.decode("ascii").strip()
        found = await self._asks.find(text, since, until)
        if not found.rows:
            return found, False
        if self._namesakes is None:
            # Nobody knows whose rows they are.
            return found, True
        work = partial(self._namesakes, mail.envelope.id, mail.envelope.message_id)
        try:
            return found, await in_thread(work, "namesakes", HISTORY_WITHIN_S)
        except TimeoutError:
            raise OSError("the history gave no answer") from None

    def _judged(
        self, mail: Mail, doubted: Doubted, found: Found, now: float, *, has_namesake: bool
    ) -> There | Absent | None:
        assert self._asks is not None
        is_late = now - doubted.sent_at >= self._asks.options.trace_absent_after_s
        ours, others = sides(mail, doubted)
        finding = doubt.judge(found, ours, others, is_late=is_late, has_namesake=has_namesake)
        match finding:
            case Unclear(why):
                self._remember(doubted, Asked(now, why, is_last=True))
                self._tell(doubted, f"unclear: {why}", "warning")
                return None
            case NotYet(why):
                self._remember(doubted, Asked(now, why))
                self._tell(doubted, why, "info")
                return None
        return finding

    def _remember(self, doubted: Doubted, asked: Asked) -> None:
        self._asked.setdefault(doubted.id, {})[doubted] = asked

    def _refused(self, error: Exception) -> None:
        if str(error) != self.trouble:
            self.trouble = str(error)
            is_fault = isinstance(error, GraphRefused) and error.is_fault
            self._record(trace.TraceUnavailable(str(error), "error" if is_fault else "warning"))

    def _tell(self, doubted: Doubted, said: str, level: trace.Level) -> None:
        self._record(trace.TraceAsked(format_id(doubted.id), doubted.route, said, level))
