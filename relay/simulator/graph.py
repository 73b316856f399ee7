"""Microsoft Graph: the message trace, which shows a while later what the tenant has taken, and the directory.

    GET /v1.0/admin/exchange/tracing/messageTraces?$filter=…&$top=…&$skiptoken=…
    GET /v1.0/users, /v1.0/groups, /v1.0/contacts

Tokens are checked as Graph checks them: signature, audience, end, tenant, role. A row comes
`trace_latency` after its mail; 100 requests in 5 minutes are a tenant's, the next is 429.
"""

import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qs, quote

from relay.simulator import directory
from relay.simulator.directory import Directory
from relay.simulator.fault import Faults
from relay.simulator.http import Request, Response
from relay.simulator.ledger import Kept, Ledger
from relay.simulator.options import ApplicationTable, LimitsTable
from relay.simulator.token import TokenKey
from relay.simulator.window import Window

PREFIX = "/v1.0/"
TRACES = f"{PREFIX}admin/exchange/tracing/messageTraces"
AUDIENCES = ("https://graph.microsoft.com", "https://graph.microsoft.com/")
ROLE = "ExchangeMessageTrace.Read.All"
REQUESTS_PER_S = 300.0
DEFAULT_SPAN_S = 48 * 3600.0
SPAN_MAX_S = 10 * 86_400.0
AGE_MAX_S = 90 * 86_400.0
TOP_DEFAULT, TOP_MAX = 1_000, 5_000
DIRECTORY_TOP_MAX = 999
_CLAUSE = re.compile(r"(\w+) (eq|ge|le) (?:'((?:[^']|'')*)'|(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ))(?: and |$)")
_OF_A_ROW = {"messageId": "messageId", "recipientAddress": "recipientAddress", "senderAddress": "senderAddress",
             "status": "status"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Query:
    """A filter, read."""

    equals: Mapping[str, str]
    since: float
    until: float


class BadFilter(ValueError):
    """Graph says 400."""


class Graph:
    """Answers requests whose path begins with /v1.0/."""

    def __init__(
        self,
        tenant_id: str,
        is_missing: Callable[[bytes], bool],
        applications: Mapping[str, ApplicationTable],
        limits: LimitsTable,
        key: TokenKey,
        faults: Faults,
        ledger: Ledger,
        directory: Directory,
    ) -> None:
        """`is_missing`: an address inside does not exist; mail to it has failed."""
        self.base = ""
        """`https://127.0.0.1:1443`, once it is known."""
        self._tenant_id = tenant_id
        self._is_missing = is_missing
        self._applications = applications
        self._limits = limits
        self._key = key
        self._faults = faults
        self._ledger = ledger
        self._directory = directory
        self._window = Window(limits.trace_requests, REQUESTS_PER_S)

    def answer(self, request: Request, now: float) -> Response | str:
        """The response, or `stall` or `reset`, as a fault has it."""
        strike = self._faults.strike("graph", "", now)
        if strike is not None:
            self._ledger.faults[f"graph: {strike.reply.decode() or strike.action}"] += 1
            if strike.action != "reply":
                return strike.action
            return _error(503, "ServiceUnavailable", strike.reply.decode())
        collection = request.path.removeprefix(PREFIX)
        role = directory.ROLE if collection in directory.COLLECTIONS else ROLE
        refusal = self._unauthorized(request.authorization, role, now)
        if refusal is not None:
            return refusal
        if role == ROLE and request.path != TRACES:
            return _error(404, "ResourceNotFound", "Resource not found for the segment.")
        if request.method != "GET":
            return _error(405, "Request_BadRequest", "Specified HTTP method is not allowed.")
        if role == directory.ROLE:
            return self._entries(collection, request.query)
        if not self._window.fits(now):
            wait_s = max(1, round(self._window.free_at(now) - now))
            return Response(
                429, _words("TooManyRequests", "Too many requests."), {"Retry-After": str(wait_s)}
            )
        self._window.add(now)
        self._ledger.questions += 1
        try:
            return self._traces(request.query, now)
        except BadFilter as error:
            return _error(400, "BadRequest", str(error))

    def _unauthorized(self, authorization: str, role: str, now: float) -> Response | None:
        scheme, _, token = authorization.partition(" ")
        claims = self._key.read(token) if scheme.lower() == "bearer" else None
        if claims is None:
            return _error(
                401, "InvalidAuthenticationToken", "Access token is empty or its signature is invalid."
            )
        if now >= claims.exp:
            return _error(
                401, "InvalidAuthenticationToken", "Lifetime validation failed, the token is expired."
            )
        if claims.aud not in AUDIENCES or claims.tid != self._tenant_id:
            return _error(
                401, "InvalidAuthenticationToken", "Access token validation failure. Invalid audience."
            )
        if claims.appid not in self._applications or role not in claims.roles:
            return _error(
                403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation."
            )
        return None

    def _entries(self, collection: str, query: str) -> Response:
        options = {name: values[0] for name, values in parse_qs(query, max_num_fields=20).items()}
        try:
            top, skip = _number(options, "$top", 100), _number(options, "$skiptoken", 0)
        except BadFilter as error:
            return _error(400, "Request_BadRequest", str(error))
        entries, has_more = self._directory.page(collection, min(max(top, 1), DIRECTORY_TOP_MAX), skip)
        body: dict[str, object] = {"value": entries}
        if has_more:
            body["@odata.nextLink"] = (
                f"{self.base}{PREFIX}{collection}?$top={top}&$skiptoken={skip + len(entries)}"
            )
        return Response(200, body)

    def _traces(self, query: str, now: float) -> Response:
        options = {name: values[0] for name, values in parse_qs(query, max_num_fields=20).items()}
        wanted = parse_filter(options.get("$filter", ""), now)
        top, skip = _number(options, "$top", TOP_DEFAULT), _number(options, "$skiptoken", 0)
        if not 1 <= top <= TOP_MAX:
            raise BadFilter(f"The value of $top must be between 1 and {TOP_MAX}.")
        rows = list(self._rows(wanted, now))
        body: dict[str, object] = {
            "@odata.context": f"{self.base}{PREFIX}$metadata#admin/exchange/tracing/messageTraces",
            "value": rows[skip : skip + top],
        }
        if len(rows) > skip + top:
            said = quote(options.get("$filter", ""))
            body["@odata.nextLink"] = f"{self.base}{TRACES}?$filter={said}&$top={top}&$skiptoken={skip + top}"
        return Response(200, body)

    def _rows(self, wanted: Query, now: float) -> Iterator[Mapping[str, object]]:
        shown_until = now - self._limits.trace_latency
        for mail in self._ledger.find(wanted.equals.get("messageId")):
            # A time is written, and compared, in whole seconds.
            if mail.time > shown_until or not wanted.since <= int(mail.time) <= wanted.until:
                continue
            for recipient in mail.recipients:
                row = self._row(mail, recipient)
                if all(
                    str(row[_OF_A_ROW[name]]).lower() == value.lower()
                    for name, value in wanted.equals.items()
                ):
                    yield row

    def _row(self, mail: Kept, recipient: str) -> Mapping[str, object]:
        return {
            "id": str(uuid.uuid5(uuid.NAMESPACE_OID, str(mail.id))),
            "senderAddress": mail.sender,
            "recipientAddress": recipient.lower(),
            "messageId": mail.message_id,
            "receivedDateTime": datetime.fromtimestamp(mail.time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "subject": "",
            "size": mail.size,
            "fromIP": "",
            "toIP": "",
            "status": "failed" if self._is_missing(recipient.encode()) else "delivered",
        }


def parse_filter(text: str, now: float) -> Query:
    """What a filter asks; BadFilter."""
    equals: dict[str, str] = {}
    since = until = None
    end = 0
    while end < len(text):
        clause = _CLAUSE.match(text, end)
        if clause is None:
            raise BadFilter(f"Invalid filter clause: '{text[end : end + 60]}'.")
        name, operator, value, moment = clause.groups()
        if name == "receivedDateTime" and moment and operator != "eq":
            at = datetime.fromisoformat(moment).timestamp()
            since, until = (at, until) if operator == "ge" else (since, at)
        elif name in _OF_A_ROW and operator == "eq" and value is not None:
            equals[name] = value.replace("''", "'")
        else:
            raise BadFilter(f"The property '{name}' cannot be filtered by '{operator}'.")
        end = clause.end()
    if since is None and until is None:
        return Query(equals, now - DEFAULT_SPAN_S, now)
    if since is None or until is None:
        raise BadFilter("Both bounds of receivedDateTime must be specified.")
    if not 0 <= until - since <= SPAN_MAX_S or until > now + 1 or since < now - AGE_MAX_S:
        raise BadFilter(
            "The time interval must not exceed 10 days, nor begin 90 days ago, nor end in the future."
        )
    return Query(equals, since, until)


def _number(options: Mapping[str, str], name: str, default: int) -> int:
    text = options.get(name, str(default))
    if not text.isascii() or not text.isdigit():
        raise BadFilter(f"The value of {name} is no number.")
    return int(text[:9])


def _error(status: int, code: str, message: str) -> Response:
    return Response(status, _words(code, message))


def _words(code: str, message: str) -> Mapping[str, object]:
    return {"error": {"code": code, "message": message}}
