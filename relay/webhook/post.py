"""One request to a receiver, and as much of its answer as counts: the status, and when to come again.

The only importer of httpx, and of that only the transport: no redirects are followed (a body
goes where the configuration says), no cookies are kept, nothing is unpacked. TLS is verified.
One deadline holds for the whole, from the name's look-up to the end of the answer; an answer
that ends before its end counts as none.
"""

import asyncio
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol
from urllib.parse import urlsplit

import httpx

from relay import tls
from relay.errors import ConfigurationError, RelayError
from relay.webhook.body import CONTENT_TYPE
from relay.webhook.options import WebhookOptions

ANSWER_MAX_BYTES = 65_536
"""Read to its end, so that the connection can be used again; of a longer answer the status counts, and the
connection is closed. httpx reads no more than 100 KB of header."""
IDLE_S = 3.0
"""A connection waits so long for the next batch: less than servers keep theirs (uvicorn 5 s, nginx 75)."""
WORDS_MAX = 300
"""Characters of a fault of the protocol: it quotes the receiver."""
AGENT = "m365-relay"
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Answer:
    """What the receiver said."""

    status: int
    retry_after: str = ""

    @property
    def is_taken(self) -> bool:
        """Standard Webhooks: "successful if it was responded to with a 2xx status code"."""
        return 200 <= self.status < 300

    @property
    def may_pass(self) -> bool:
        """It may take the same another time; what it refuses otherwise, somebody must mend."""
        return self.status in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS) or self.status >= 500

    def __str__(self) -> str:
        try:
            return f"{self.status} {HTTPStatus(self.status).phrase}"
        except ValueError:
            return str(self.status)


class Unanswered(RelayError):
    """There was no answer; `is_fault`: somebody must mend that."""

    def __init__(self, text: str, *, is_fault: bool = False) -> None:
        super().__init__(text)
        self.is_fault = is_fault


class Post(Protocol):
    """Sends a body; Unanswered."""

    async def __call__(self, headers: Mapping[str, str], body: bytes) -> Answer: ...

    async def close(self) -> None: ...


class HttpPost:
    """To one URL; ConfigurationError when its CA file cannot be used."""

    def __init__(self, options: WebhookOptions) -> None:
        self._url = options.url
        self._host = urlsplit(options.url).hostname or ""
        self._within_s = options.timeout_s
        context = tls.client_context(ca_file=options.ca_file)
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=IDLE_S)
        try:
            self._transport = httpx.AsyncHTTPTransport(
                verify=context, proxy=_proxy(options.url), limits=limits
            )
        except (ValueError, ImportError, httpx.InvalidURL):
            # Without its value: a proxy's URL may hold a password.
            raise ConfigurationError(
                "$HTTPS_PROXY or $HTTP_PROXY is no http:// or https:// URL of a proxy; mend it, or name the host of the "
                "webhook in $NO_PROXY"
            ) from None

    async def __call__(self, headers: Mapping[str, str], body: bytes) -> Answer:
        """The answer, whole; Unanswered says why there is none."""
        fields = {
            "content-type": CONTENT_TYPE,
            "user-agent": AGENT,
            "accept": "*/*",
            "accept-encoding": "identity",
        }
        request = httpx.Request("POST", self._url, headers=fields | dict(headers), content=body)
        try:
            async with asyncio.timeout(self._within_s):
                return await self._ask(request)
        except TimeoutError:
            raise Unanswered(f"{self._host} gave no answer within {self._within_s:g} seconds") from None
        except (httpx.HTTPError, OSError) as error:
            raise self._unanswered(error) from None

    async def close(self) -> None:
        """Let go of the connection."""
        await self._transport.aclose()

    async def _ask(self, request: httpx.Request) -> Answer:
        response = await self._transport.handle_async_request(request)
        try:
            read = 0
            assert isinstance(response.stream, httpx.AsyncByteStream)
            async for piece in response.stream:
                read += len(piece)
                if read > ANSWER_MAX_BYTES:
                    break
            return Answer(response.status_code, response.headers.get("retry-after", ""))
        finally:
            await response.aclose()

    def _unanswered(self, error: BaseException) -> Unanswered:
        """What lies below httpx's own words: TLS, or the system."""
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, tls.TlsError):
                # Its words are for routes.
                text = tls.explain(cause, self._host).replace("the route's", "the webhook's")
                return Unanswered(text, is_fault=tls.is_verification_failure(cause))
            if isinstance(cause, OSError) and cause.strerror:
                return Unanswered(f"cannot reach {self._host}: {cause.strerror}")
            cause = cause.__cause__ or cause.__context__
        words = (str(error) or type(error).__name__)[:WORDS_MAX]
        return Unanswered(f"{self._host} did not answer as HTTP: {words}")


def _proxy(url: str) -> str | None:
    """As $HTTPS_PROXY and $NO_PROXY say; never for this machine."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host in LOOPBACK or urllib.request.proxy_bypass(host):
        return None
    return urllib.request.getproxies().get(parts.scheme)
