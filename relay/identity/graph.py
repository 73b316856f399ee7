"""Microsoft Graph: one question, one bounded answer, with a token of the application.

`get` blocks and is called in a thread. What a service says against a question becomes
GraphRefused with what to do; a token never shows in it, and never goes to another host
than the one that is configured.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import msgspec
from msgspec import Struct

from relay.errors import RelayError
from relay.identity.access import TokenRefused
from relay.identity.http import Answer, Http
from relay.route.oauth import Application

GET_WITHIN_S = 30.0
"""A message trace over a busy tenant takes seconds; Graph itself gives up after some 60."""
RETRY_AFTER_MAX_S = 3_600.0
"""What a service wants longer than that is asked for again: it may have changed its mind."""
WORDS_MAX = 300
"""Of what a service says; the rest is for programmers."""


@dataclass(frozen=True, slots=True)
class GraphOptions:
    """Who asks Microsoft Graph, where, and how it asks the message trace."""

    application: Application
    url: str
    """`https://graph.microsoft.com`."""
    trace_first_s: float = 300.0
    """When the first question is asked about a mail: Microsoft says that it takes 5 to 10 minutes until the trace
    shows one ("Message Trace FAQ in Exchange Online")."""
    trace_absent_after_s: float = 3_600.0
    """From when on what the trace does not show has not arrived: six times what Microsoft says it may take."""
    trace_questions: int = 50
    """In 5 minutes. A tenant has 100, and its administrators ask too."""


class GraphRefused(RelayError):
    """No answer."""

    def __init__(self, text: str, *, is_fault: bool, retry_after_s: float = 0.0) -> None:
        super().__init__(text)
        self.is_fault = is_fault
        """Of configuration: it does not pass by itself."""
        self.retry_after_s = retry_after_s
        """No question before that; 0: it did not say."""


class _Words(Struct):
    code: str = ""
    message: str = ""


class _Refusal(Struct):
    """As Graph says it."""

    error: _Words = msgspec.field(default_factory=_Words)


def get(options: GraphOptions, token: str, url: str, now: float) -> str:
    """The JSON of an answer; GraphRefused. `url` is one of the service's, whole; `now` is for Retry-After."""
    if not url.startswith(f"{options.url}/"):
        # A link to the next page that leads elsewhere would take the token with it.
        raise GraphRefused(f"the answer leads to another host than {options.url}", is_fault=True)
    headers = {
        "Authorization": f"Bearer {token}",
        "Accept": "application/json",
        # Else values that are newer than the first version of the API come as unknownFutureValue.
        "Prefer": "include-unknown-enum-members",
    }
    try:
        answer = Http(GET_WITHIN_S, ca_file=options.application.ca_file).get(url, headers=headers)
    except TokenRefused as error:
        # The one kind of error that the door to HTTP has.
        raise GraphRefused(str(error), is_fault=error.is_fault) from None
    if answer.status_code == 200:
        return answer.text
    raise _refusal(options, answer, now)


def _refusal(options: GraphOptions, answer: Answer, now: float) -> GraphRefused:
    status = answer.status_code
    said = f"{options.url} answers {status}{_words(answer.text)}"
    match status:
        case 401:
            return GraphRefused(f"{said}; it does not take the token", is_fault=True)
        case 403:
            hint = (
                "grant the application the permission for it with admin consent (the message trace: docs/uncertain.md, "
                "which needs a service principal too; the directory: docs/clients.md)"
            )
            return GraphRefused(f"{said}; {hint}", is_fault=True)
        case 429 | 503 | 504:
            return GraphRefused(said, is_fault=False, retry_after_s=_retry_after(answer.headers, now))
    return GraphRefused(said, is_fault=400 <= status < 500)


def _words(text: str) -> str:
    try:
        error = msgspec.json.decode(text, type=_Refusal).error
    except (msgspec.MsgspecError, UnicodeEncodeError):
        return ""
    words = " ".join(f"{error.code}: {error.message}".split())
    plain = "".join(each if each.isprintable() else "?" for each in words)
    return f" ({plain[:WORDS_MAX]})" if plain.strip(": ") else ""


def _retry_after(headers: Mapping[str, str], now: float) -> float:
    """RFC 9110 section 10.2.3: seconds, or a date."""
    value = next((text for name, text in headers.items() if name.lower() == "retry-after"), "").strip()
    if value.isascii() and value.isdigit():
        seconds = float(value[:9])
    else:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - now
        except (ValueError, OverflowError):
            return 0.0
    return min(max(seconds, 0.0), RETRY_AFTER_MAX_S)
