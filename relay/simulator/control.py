"""The control: reports and faults, over the authority's HTTPS.

GET    /control/report            what `Report` holds
GET    /control/mails?after=N     the mails taken after the Nth, 1,000 at most
POST   /control/faults            a [[fault]] as JSON
DELETE /control/faults            no more faults
POST   /control/advance           {"seconds": 3600}: so much time passes at once
POST   /control/mailbox           {"address": …, "state": "full"}: of one mailbox, from now on
"""

from collections.abc import Callable
from urllib.parse import parse_qs

import msgspec
from pydantic import ValidationError

from relay.config.problem import explain_all
from relay.simulator.fault import Faults
from relay.simulator.http import Request, Response
from relay.simulator.ledger import Ledger
from relay.simulator.options import FaultTable, MailboxTable
from relay.simulator.pace import Pace
from relay.simulator.report import Report
from relay.simulator.tenant import Tenant

MAILS_AT_ONCE = 1000
PREFIX = "/control/"
_NOTHING_HERE = Response(404, {"error": f"there are {PREFIX}report, mails, faults, advance and mailbox"})


class Control:
    """Answers requests whose path begins with /control/."""

    def __init__(
        self, ledger: Ledger, tenant: Tenant, faults: Faults, pace: Pace, report: Callable[[], Report]
    ) -> None:
        self._ledger = ledger
        self._tenant = tenant
        self._faults = faults
        self._pace = pace
        self._report = report

    def answer(self, request: Request) -> Response:
        """The response; what is asked for wrongly is 400 with a sentence."""
        try:
            return self._answer(request)
        except ValidationError as error:
            table = MailboxTable if request.path.endswith("mailbox") else FaultTable
            return Response(400, {"error": "; ".join(explain_all(error, {"": table}))})
        except ValueError as error:
            return Response(400, {"error": str(error)})

    def _answer(self, request: Request) -> Response:
        match request.method, request.path.removeprefix(PREFIX):
            case "GET", "report":
                return Response(200, self._report())
            case "GET", "mails":
                return Response(200, self._mails(request.query))
            case "POST", "faults":
                self._faults.set(FaultTable.model_validate_json(request.body), self._pace.now())
                return Response(200, {"faults": len(self._faults)})
            case "DELETE", "faults":
                self._faults.clear()
                return Response(200, {"faults": 0})
            case "POST", "advance":
                return self._advance(request.body)
            case "POST", "mailbox":
                return self._change(request.body)
        return _NOTHING_HERE

    def _mails(self, query: str) -> object:
        after = int(parse_qs(query).get("after", ["0"])[0])
        if after < 0:
            raise ValueError("after counts from 0")
        return self._ledger.mails[after : after + MAILS_AT_ONCE]

    def _advance(self, body: bytes) -> Response:
        seconds = msgspec.json.decode(body, type=dict[str, float]).get("seconds", 0.0)
        if not 0 < seconds < 1e9:
            raise ValueError('write {"seconds": 3600}; time only goes forward')
        self._pace.advance(seconds)
        return Response(200, {"now": self._pace.now()})

    def _change(self, body: bytes) -> Response:
        """An account's options are replaced; its windows and sessions stay."""
        changes = msgspec.json.decode(body, type=dict[str, object])
        account = self._tenant.accounts.get(str(changes.get("address", "")).lower().encode())
        if account is None:
            raise ValueError("there is no such mailbox")
        options = MailboxTable.model_validate(account.options.model_dump() | changes)
        account.change(options)
        return Response(200, {"mailbox": options.address})
