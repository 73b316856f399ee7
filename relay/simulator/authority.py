"""The tenant's OAuth 2.0 authority, as login.microsoftonline.com: discovery, keys, client credentials.

Real msal talks to it: `authority = "https://127.0.0.1:1443/<tenant id>"`, with instance
discovery off, because msal asks Microsoft about hosts that it does not know. Errors are
Entra's: an AADSTS number, which clients show to administrators.
"""

import hashlib
import uuid
from collections.abc import Mapping
from urllib.parse import parse_qs

from relay.simulator import assertion
from relay.simulator.assertion import Certificate
from relay.simulator.fault import Faults
from relay.simulator.http import Request, Response
from relay.simulator.ledger import Ledger
from relay.simulator.options import ApplicationTable, LimitsTable
from relay.simulator.token import Claims, TokenKey


class Authority:
    """Answers requests; the time is the simulator's, `real_now` the world's."""

    def __init__(
        self,
        tenant_id: str,
        applications: Mapping[str, ApplicationTable],
        limits: LimitsTable,
        key: TokenKey,
        faults: Faults,
        ledger: Ledger,
    ) -> None:
        self.base = ""
        """`https://127.0.0.1:1443`, once it is known."""
        self._tenant_id = tenant_id
        self._applications = applications
        self._certificates: dict[str, list[Certificate]] = {
            client_id: [assertion.load(path) for path in each.certificates]
            for client_id, each in applications.items()
        }
        self._limits = limits
        self._key = key
        self._faults = faults
        self._ledger = ledger

    def answer(self, request: Request, now: float, real_now: float) -> Response | str:
        """The response, or `stall` or `reset`, as a fault has it."""
        first, _, rest = request.path.lstrip("/").partition("/")
        if request.path == "/common/discovery/instance":
            return Response(200, self._instance())
        if first != self._tenant_id:
            return Response(400, _error("invalid_tenant", f"AADSTS90002: Tenant '{first}' not found."))
        match request.method, rest:
            case "GET", "v2.0/.well-known/openid-configuration":
                return Response(200, self._configuration(f"{self._issuer}/v2.0", "v2.0/"))
            case "GET", ".well-known/openid-configuration":
                return Response(200, self._configuration(f"{self._issuer}/", ""))
            case "GET", "discovery/v2.0/keys" | "discovery/keys":
                return Response(200, self._key.public())
            case "POST", "oauth2/v2.0/token":
                return self._token(request, now, real_now)
        return Response(404, _error("not_found", "There is nothing here."))

    @property
    def _issuer(self) -> str:
        return f"{self.base}/{self._tenant_id}"

    def _instance(self) -> object:
        """Instance discovery: this host is an authority, and has no other names."""
        host = self.base.removeprefix("https://")
        return {
            "tenant_discovery_endpoint": f"{self._issuer}/v2.0/.well-known/openid-configuration",
            "api-version": "1.1",
            "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
        }

    def _configuration(self, issuer: str, version: str) -> object:
        """Of tokens of version 1, whose issuer ends in a slash, or 2 (OpenID Connect Discovery 1.0)."""
        return {
            "issuer": issuer,
            "authorization_endpoint": f"{self._issuer}/oauth2/{version}authorize",
            "token_endpoint": f"{self._issuer}/oauth2/{version}token",
            "device_authorization_endpoint": f"{self._issuer}/oauth2/v2.0/devicecode",
            "jwks_uri": f"{self._issuer}/discovery/{version}keys",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
            "response_types_supported": ["code"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }

    def _token(self, request: Request, now: float, real_now: float) -> Response | str:
        strike = self._faults.strike("token", "", now)
        if strike is not None:
            self._ledger.faults[f"token: {strike.reply.decode() or strike.action}"] += 1
            if strike.action != "reply":
                return strike.action
            return Response(503, _error("temporarily_unavailable", strike.reply.decode()))
        form = {
            name: values[0]
            for name, values in parse_qs(request.body.decode("utf-8", "replace"), max_num_fields=50).items()
        }
        status, body = self._grant(form, now, real_now)
        self._ledger.tokens["issued" if status == 200 else _number(body)] += 1
        return Response(status, body)

    def _grant(
        self, form: Mapping[str, str], now: float, real_now: float
    ) -> tuple[int, Mapping[str, object]]:
        client_id, scope = form.get("client_id", ""), form.get("scope", "")
        application = self._applications.get(client_id)
        if form.get("grant_type") != "client_credentials":
            return 400, _error(
                "unsupported_grant_type", "AADSTS70003: The app requested an unsupported grant type."
            )
        if application is None:
            text = f"AADSTS700016: Application with identifier '{client_id}' was not found in the directory."
            return 400, _error("unauthorized_client", text)
        wrong = self._wrong_credential(application, form, real_now)
        if wrong:
            return 401, _error("invalid_client", wrong)
        if not scope.endswith("/.default") or " " in scope:
            text = f"AADSTS1002012: The provided value for scope {scope} is not valid."
            return 400, _error("invalid_scope", text)
        return 200, self._issue(client_id, application, scope.removesuffix("/.default"), now)

    def _wrong_credential(
        self, application: ApplicationTable, form: Mapping[str, str], real_now: float
    ) -> str:
        if form.get("client_assertion_type") == assertion.TYPE:
            # Entra takes the issuer for the endpoint, too.
            audiences = (f"{self._issuer}/oauth2/v2.0/token", f"{self._issuer}/v2.0")
            known = self._certificates[application.client_id]
            return assertion.trouble(
                form.get("client_assertion", ""), application.client_id, audiences, known, real_now
            )
        if "client_secret" not in form:
            return "AADSTS7000216: 'client_assertion' or 'client_secret' is required."
        if form["client_secret"] != application.secret:
            return "AADSTS7000215: Invalid client secret provided."
        return ""

    def _issue(
        self, client_id: str, application: ApplicationTable, audience: str, now: float
    ) -> Mapping[str, object]:
        lifetime = int(self._limits.token_lifetime)
        oid = str(uuid.UUID(bytes=hashlib.sha256(client_id.encode()).digest()[:16]))
        claims = Claims(
            aud=audience,
            iss=f"{self._issuer}/",
            appid=client_id,
            oid=oid,
            sub=oid,
            tid=self._tenant_id,
            iat=int(now),
            nbf=int(now),
            exp=int(now) + lifetime,
            roles=tuple(application.roles),
        )
        token = self._key.sign(claims)
        return {
            "token_type": "Bearer",
            "expires_in": lifetime,
            "ext_expires_in": lifetime,
            "access_token": token,
        }


def _error(error: str, description: str) -> Mapping[str, object]:
    numbers = [int(word[6:-1]) for word in description.split() if word.startswith("AADSTS")]
    return {"error": error, "error_description": description, "error_codes": numbers}


def _number(body: Mapping[str, object]) -> str:
    return str(body["error_description"]).partition(":")[0]
