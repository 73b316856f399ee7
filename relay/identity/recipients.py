"""The tenant's directory as a list of recipients: asked of Microsoft Graph, kept in a file.

    GET /v1.0/users, /v1.0/groups, /v1.0/contacts   ?$select=mail,proxyAddresses

One process asks, in the background, as often as it is told; the file is replaced as a whole, and
whoever needs it reads it (`relay.receive.roll`). All of it is read each time: a list that is
mended by changes alone never recovers from one that was missed. When anything fails nothing is
written, and the list before stays, with its age.
"""

import asyncio
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import msgspec
from msgspec import Struct

from relay.clock import Clock
from relay.errors import RelayError
from relay.identity.access import TokenRefused
from relay.identity.graph import GET_WITHIN_S, GraphOptions, GraphRefused
from relay.identity.message_trace import Get, Tokens
from relay.identity.thread import in_thread
from relay.queue.retry import delay
from relay.route.oauth import OAuth
from relay.trace import event as trace

COLLECTIONS = ("users", "groups", "contacts")
"""Mailboxes, shared ones and rooms are users; distribution lists and Microsoft 365 groups; mail contacts."""
ROLE = "Directory.Read.All"
PAGE = 999
"""Graph's most for users and groups."""
PAGES_MAX = 1_000
"""Of one collection: a million entries, more than the list may have."""
ADDRESSES_MAX = 400_000
"""As many as fit into `relay.receive.roll.FILE_MAX_BYTES`, at 40 bytes each."""
PAUSE_FIRST_S = 60.0
PAUSE_MAX_S = 1_800.0
HEAD = "# Written by m365-relay from the tenant's directory; it is replaced as a whole.\n"


class _Entry(Struct, rename="camel"):
    mail: str | None = None
    proxy_addresses: list[str] = []


class _Page(Struct):
    value: list[_Entry]
    next_link: str = msgspec.field(name="@odata.nextLink", default="")


class Directory:
    """Of one process."""

    def __init__(
        self,
        options: GraphOptions,
        path: Path,
        refresh_s: float,
        is_inside: Callable[[bytes], bool],
        tokens: Tokens,
        record: trace.Record,
        clock: Clock,
        rng: Callable[[], float],
        get: Get,
    ) -> None:
        """`is_inside`: addresses elsewhere are nobody's here; `rng` is uniform in [0, 1), for jitter."""
        self._options = options
        self._path = path
        self._refresh_s = refresh_s
        self._is_inside = is_inside
        self._tokens = tokens
        self._record = record
        self._clock = clock
        self._rng = rng
        self._get = get
        self._oauth = OAuth("Microsoft Graph", options.application, ROLE)
        self._failures = 0
        self._trouble = ""

    async def watch(self) -> None:
        """Keep the list fresh, until cancelled."""
        wait_s = max(0.0, self._refresh_s - self.age_s())
        while True:
            await asyncio.sleep(wait_s)
            wait_s = await self.refresh()

    def age_s(self) -> float:
        """Of the list; infinity: there is none."""
        try:
            return max(0.0, self._clock.now() - os.stat(self._path).st_mtime)
        except OSError:
            return float("inf")

    async def refresh(self) -> float:
        """Ask for all of it, and write it; how long until the next time."""
        began_at = self._clock.monotonic()
        try:
            addresses = await self._addresses()
            await in_thread(partial(_write, self._path, addresses), "directory", GET_WITHIN_S)
        except (RelayError, OSError, TimeoutError) as error:
            return self._failed(error)
        self._failures, self._trouble = 0, ""
        self._record(trace.DirectoryRead(len(addresses), self._clock.monotonic() - began_at))
        return self._refresh_s

    def _failed(self, error: Exception) -> float:
        self._failures += 1
        text = str(error) or "the disk gave no answer"
        if text != self._trouble:
            self._trouble = text
            is_fault = isinstance(error, GraphRefused) and error.is_fault
            age_s = self.age_s()
            self._record(
                trace.DirectoryUnavailable(
                    text, -1.0 if age_s == float("inf") else age_s, "error" if is_fault else "warning"
                )
            )
        pause_s = delay(self._failures, PAUSE_FIRST_S, 2, PAUSE_MAX_S, self._rng)
        return max(min(pause_s, self._refresh_s), getattr(error, "retry_after_s", 0.0))

    async def _addresses(self) -> list[str]:
        found: set[str] = set()
        for collection in COLLECTIONS:
            url = f"{self._options.url}/v1.0/{collection}?$select=mail,proxyAddresses&$top={PAGE}"
            for _ in range(PAGES_MAX):
                page = await self._page(url)
                found.update(each for entry in page.value for each in _of(entry) if self._is_ours(each))
                if len(found) > ADDRESSES_MAX:
                    raise GraphRefused(
                        f"the directory has more than {ADDRESSES_MAX:,} addresses; name domains in "
                        "tenant.recipients_file instead",
                        is_fault=True,
                    )
                if not page.next_link:
                    break
                url = page.next_link
            else:
                raise GraphRefused(
                    f"the directory has more than {PAGES_MAX} pages of {collection}", is_fault=True
                )
        if not found:
            # All mail to the inside would be refused; somebody has named the wrong tenant or the wrong domains.
            raise GraphRefused("the directory shows nobody in tenant.domains", is_fault=True)
        return sorted(found)

    def _is_ours(self, address: str) -> bool:
        return self._is_inside(address.encode("utf-8", "replace"))

    async def _page(self, url: str) -> _Page:
        try:
            token = await self._tokens.token(self._oauth)
        except TokenRefused as error:
            raise GraphRefused(
                f"no token for {self._options.url}: {error}", is_fault=error.is_fault
            ) from None
        work = partial(self._get, self._options, token.text, url, self._clock.now())
        try:
            text = await in_thread(work, "graph", GET_WITHIN_S + 5.0)
        except TimeoutError:
            raise GraphRefused(f"{self._options.url} gave no answer", is_fault=False) from None
        except GraphRefused as error:
            if error.is_fault:
                self._tokens.forget(self._oauth, token)
            raise
        try:
            return msgspec.json.decode(text, type=_Page)
        except (msgspec.MsgspecError, UnicodeEncodeError) as error:
            raise GraphRefused(
                f"{self._options.url} answers what is no directory: {error}", is_fault=False
            ) from None


def _of(entry: _Entry) -> Iterator[str]:
    """Its addresses, in lower case: the first one stands as SMTP:, the others as smtp:."""
    for text in (f"smtp:{entry.mail or ''}", *entry.proxy_addresses):
        kind, _, address = text.partition(":")
        if kind.lower() == "smtp" and _is_plain(address):
            yield address.lower()


def _is_plain(address: str) -> bool:
    """What cannot stand in a line of the list is nobody's address."""
    local, at, domain = address.rpartition("@")
    return bool(local and at and domain) and address.isprintable() and not set(address) & set(' <>,;"#\t')


def _write(path: Path, addresses: list[str]) -> None:
    """All of it or nothing, and for nobody else to read: it is everybody's address."""
    new = path.with_name(f"{path.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(HEAD)
        file.writelines(f"{address}\n" for address in addresses)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)
