"""HTTP as msal asks for it, on the standard library: one deadline for all requests, a bounded answer, no redirects.

Not `requests`, which msal uses when left alone: it has no deadline for a whole request,
reads without bound, and prefers $REQUESTS_CA_BUNDLE to the authority's own certificate.
"""

import http.client
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol, cast
from urllib.parse import urlencode, urlsplit

from relay import tls
from relay.errors import ConfigurationError
from relay.identity.access import TokenRefused
from relay.identity.deadline import Deadline

ANSWER_MAX_BYTES = 1_048_576
"""A token with its JSON has 3 KiB, a discovery document 2; a proxy's error page some 100."""
PIECE_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Answer:
    """What msal reads of a response."""

    status_code: int
    text: str
    headers: Mapping[str, str]

    def raise_for_status(self) -> None:
        """msal calls it for answers it does not understand."""
        if self.status_code >= 400:
            raise ValueError(f"HTTP status {self.status_code}")


class Http:
    """One conversation with one authority; TokenRefused when it cannot be reached."""

    def __init__(self, within_s: float, *, ca_file: str | None = None, by_proxy: bool = True) -> None:
        """`within_s` is for all requests together; `by_proxy` as $HTTPS_PROXY and $NO_PROXY say."""
        self.last: Answer | None = None
        """The answer to the last request, whatever msal made of it."""
        self._deadline = Deadline(within_s)
        self._within_s = within_s
        proxies = urllib.request.ProxyHandler() if by_proxy else urllib.request.ProxyHandler({})
        try:
            context = tls.client_context(ca_file=ca_file)
        except ConfigurationError as error:
            raise TokenRefused(str(error), is_fault=True) from None
        plain, secure = _Plain(self._deadline), _Secure(self._deadline, context)
        self._opener = urllib.request.build_opener(proxies, plain, secure, _NoRedirect())

    def get(
        self,
        url: str,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        **_: object,
    ) -> Answer:
        """As requests.Session.get, as far as msal goes."""
        return self._ask(url, params, None, headers)

    def post(
        self,
        url: str,
        params: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        **_: object,
    ) -> Answer:
        """As requests.Session.post, likewise."""
        return self._ask(url, params, urlencode(data or {}).encode(), headers)

    def close(self) -> None:
        """Each request has closed its connection."""

    def _ask(
        self,
        url: str,
        params: Mapping[str, str] | None,
        body: bytes | None,
        headers: Mapping[str, str] | None,
    ) -> Answer:
        self.last = None
        if params:
            url += ("&" if "?" in url else "?") + urlencode(params)
        host = urlsplit(url).netloc
        try:
            request = urllib.request.Request(url, body, dict(headers or {}))
            with self._deadline.holding():
                answer = self._send(request)
        except TimeoutError:
            raise TokenRefused(
                f"{host} gave no answer within {self._within_s:g} seconds", is_fault=False
            ) from None
        except urllib.error.URLError as error:
            raise _unreachable(host, error.reason, self._within_s) from None
        except (OSError, http.client.HTTPException) as error:
            raise _unreachable(host, error, self._within_s) from None
        self.last = answer
        return answer

    def _send(self, request: urllib.request.Request) -> Answer:
        try:
            response = self._opener.open(request, timeout=self._deadline.left_s())
        except urllib.error.HTTPError as error:
            with error:
                # It passes everything on to the response it was made of.
                return self._read(error.code, cast(_Response, error))
        with response:
            return self._read(response.status, response)

    def _read(self, status: int, response: "_Response") -> Answer:
        data = bytearray()
        while piece := response.read1(PIECE_BYTES):
            data += piece
            if len(data) > ANSWER_MAX_BYTES:
                raise http.client.HTTPException(f"an answer of more than {ANSWER_MAX_BYTES} bytes")
        headers = dict(response.headers.items())
        declared = response.headers.get("Content-Length") or "0"
        if declared.isascii() and declared.isdigit() and len(data) < int(declared):
            raise http.client.HTTPException("the answer was cut off")
        return Answer(status, data.decode("utf-8", "replace"), headers)


class _Response(Protocol):
    headers: http.client.HTTPMessage

    def read1(self, n: int) -> bytes: ...


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """An authority sends nobody elsewhere; who does is a proxy's login page."""

    def redirect_request(self, *_: object) -> None:
        return None


class _Plain(urllib.request.HTTPHandler):
    def __init__(self, deadline: Deadline) -> None:
        super().__init__()
        self._deadline = deadline

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        # do_open gives host and timeout, and makes one connection.
        made = partial(_PlainConnection, self._deadline)
        return self.do_open(cast(type[http.client.HTTPConnection], made), req)


class _Secure(urllib.request.HTTPSHandler):
    def __init__(self, deadline: Deadline, context: tls.ClientContext) -> None:
        super().__init__(context=context)
        self._deadline = deadline
        self._trust = context

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        made = partial(_SecureConnection, self._deadline, self._trust)
        return self.do_open(cast(type[http.client.HTTPConnection], made), req)


class _PlainConnection(http.client.HTTPConnection):
    def __init__(self, deadline: Deadline, host: str, timeout: float) -> None:
        super().__init__(host, timeout=timeout)
        # The one place where http.client makes a socket; CONNECT and TLS come after it.
        self._create_connection = deadline.dial


class _SecureConnection(http.client.HTTPSConnection):
    def __init__(self, deadline: Deadline, context: tls.ClientContext, host: str, timeout: float) -> None:
        super().__init__(host, timeout=timeout, context=context)
        self._create_connection = deadline.dial


def _unreachable(host: str, error: object, within_s: float) -> TokenRefused:
    match error:
        case TimeoutError():
            return TokenRefused(f"{host} gave no answer within {within_s:g} seconds", is_fault=False)
        case tls.TlsError():
            return TokenRefused(tls.explain(error, host), is_fault=tls.is_verification_failure(error))
        case OSError():
            why = error.strerror or str(error) or type(error).__name__
            return TokenRefused(f"cannot reach {host}: {why}", is_fault=False)
    return TokenRefused(f"cannot reach {host}: {error or type(error).__name__}", is_fault=False)
