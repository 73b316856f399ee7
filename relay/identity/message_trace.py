"""Exchange's message trace: which recipients does it show for a Message-ID?

    GET /v1.0/admin/exchange/tracing/messageTraces?$filter=messageId eq '…' and receivedDateTime ge … and …

One question at a time, so many in 5 minutes and no more (100 are a tenant's); a refusal pauses
them all, as long as the service says or longer with each. Rows that are not of what was asked
for are dropped: the service is known to ignore what it does not understand of a filter.
"""

from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Protocol
from urllib.parse import quote

import msgspec
from msgspec import Struct

from relay.clock import Clock
from relay.identity.access import AccessToken, TokenRefused
from relay.identity.graph import GET_WITHIN_S, GraphOptions, GraphRefused, get
from relay.identity.thread import in_thread
from relay.queue.retry import delay
from relay.route.oauth import OAuth

PATH = "/v1.0/admin/exchange/tracing/messageTraces"
ROLE = "ExchangeMessageTrace.Read.All"
PAGE = 1_000
"""Rows of some 400 bytes: an answer stays below `identity.http.ANSWER_MAX_BYTES`."""
PAGES_MAX = 5
"""A mail has 1,000 recipients at most; more rows are groups, taken apart."""
WINDOW_S = 300.0
"""Over which Microsoft counts requests."""
PAUSE_FIRST_S = 30.0
PAUSE_MAX_S = 900.0
"""What was mended at Microsoft is noticed within 15 minutes; no mail is lost meanwhile."""

Get = Callable[[GraphOptions, str, str, float], str]
"""Blocking, any thread; GraphRefused. In life `relay.identity.graph.get`."""


class Tokens(Protocol):
    """The part of the token cache that is needed here."""

    async def token(self, oauth: OAuth) -> AccessToken: ...
    def forget(self, oauth: OAuth, token: AccessToken) -> None: ...


class Traced(Struct, frozen=True):
    """One recipient of a mail that Exchange has taken."""

    recipient: str
    """In lower case; a group's or an alias's may be another than the envelope had."""
    status: str
    """delivered, failed, pending, quarantined, filteredAsSpam, expanded, gettingStatus, recalled."""


class Found(Struct, frozen=True):
    """What the trace shows."""

    rows: tuple[Traced, ...]
    is_whole: bool = True
    """False: there are more than anybody reads."""


class _Row(Struct, rename="camel"):
    message_id: str = ""
    recipient_address: str = ""
    status: str = ""


class _Page(Struct):
    value: list[_Row]
    next_link: str = msgspec.field(name="@odata.nextLink", default="")


class MessageTrace:
    """Of one process; all methods in the loop's thread."""

    def __init__(
        self, options: GraphOptions, tokens: Tokens, clock: Clock, rng: Callable[[], float], get: Get = get
    ) -> None:
        """`rng` is uniform in [0, 1), for jitter."""
        self.options = options
        self._tokens = tokens
        self._clock = clock
        self._rng = rng
        self._get = get
        self._oauth = OAuth("Microsoft Graph", options.application, ROLE)
        self._asked: deque[float] = deque()
        self._not_before = 0.0
        self._failures = 0

    @property
    def ready_at(self) -> float:
        """No question before; monotonic."""
        now = self._clock.monotonic()
        while self._asked and self._asked[0] <= now - WINDOW_S:
            self._asked.popleft()
        if len(self._asked) < self.options.trace_questions:
            return self._not_before
        return max(self._not_before, self._asked[0] + WINDOW_S)

    async def find(self, message_id: str, since: float, until: float) -> Found:
        """What Exchange has taken with that Message-ID between these moments (seconds since the epoch); GraphRefused."""
        try:
            found = await self._find(_filter(message_id, since, until), message_id)
        except GraphRefused as error:
            self._failures += 1
            pause_s = delay(self._failures, PAUSE_FIRST_S, 2, PAUSE_MAX_S, self._rng)
            self._not_before = self._clock.monotonic() + max(pause_s, error.retry_after_s)
            raise
        self._failures = 0
        return found

    async def _find(self, wanted: str, message_id: str) -> Found:
        url = f"{self.options.url}{PATH}?$filter={quote(wanted)}&$top={PAGE}"
        rows: list[Traced] = []
        for _ in range(PAGES_MAX):
            page = await self._page(url)
            bare = message_id.strip("<> ")
            rows += [
                Traced(row.recipient_address.lower(), row.status)
                for row in page.value
                if row.message_id.strip("<> ") == bare
            ]
            if not page.next_link:
                return Found(tuple(rows))
            url = page.next_link
        return Found(tuple(rows), is_whole=False)

    async def _page(self, url: str) -> _Page:
        try:
            token = await self._tokens.token(self._oauth)
        except TokenRefused as error:
            raise GraphRefused(f"no token for {self.options.url}: {error}", is_fault=error.is_fault) from None
        self._asked.append(self._clock.monotonic())
        work = partial(self._get, self.options, token.text, url, self._clock.now())
        try:
            text = await in_thread(work, "graph", GET_WITHIN_S + 5.0)
        except TimeoutError:
            raise GraphRefused(
                f"{self.options.url} gave no answer within {GET_WITHIN_S:g} seconds", is_fault=False
            ) from None
        except GraphRefused as error:
            if error.is_fault:
                # A permission that was granted meanwhile is in the next token only.
                self._tokens.forget(self._oauth, token)
            raise
        try:
            return msgspec.json.decode(text, type=_Page)
        except (msgspec.MsgspecError, UnicodeEncodeError) as error:
            raise GraphRefused(
                f"{self.options.url} answers what is no message trace: {error}", is_fault=False
            ) from None


def can_be_asked_for(message_id: bytes) -> bool:
    """Whether a Message-ID can stand in a filter, and is one."""
    bare = message_id.strip(b"<> ")
    return 0 < len(bare) <= 900 and all(0x20 < byte < 0x7F for byte in bare)


def _filter(message_id: str, since: float, until: float) -> str:
    # OData doubles a quote inside of a text.
    text = message_id.replace("'", "''")
    return f"messageId eq '{text}' and receivedDateTime ge {_moment(since)} and receivedDateTime le {_moment(until)}"


def _moment(at: float) -> str:
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
