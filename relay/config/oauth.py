"""From `[route.oauth]` to an application and the mailboxes it logs in to, with the checks that need more than one key."""

import datetime

from relay import tls
from relay.config import application_certificate, secret
from relay.config.findings import Findings
from relay.config.oauth_table import ApplicationTable, OAuthTable
from relay.errors import ConfigurationError
from relay.identity import expiry
from relay.m365.cloud import Cloud
from relay.m365.preset import Preset
from relay.route.oauth import Application, ClientSecret, ManagedIdentity, OAuth, Proof

SYSTEM = "system"
"""As managed_identity: the machine's own."""
PROOFS = ("client_secret_file", "client_secret_env", "certificate", "managed_identity")


class OAuthBuilder:
    """For one route: its kind and its cloud say what is left out."""

    def __init__(self, found: Findings, preset: Preset, cloud: Cloud, resource: str = "") -> None:
        """`resource` is whose token it is, where that is no SMTP server."""
        self._found = found
        self._preset = preset
        self._cloud = cloud
        self._resource = resource or preset.token_resource or cloud.token_resource

    def application(self, key: str, table: ApplicationTable) -> Application | None:
        """Who asks for tokens; None when problems were found. `key` is the path of the table."""
        found = self._found
        before = len(found.problems)
        _check(found, key, table)
        proof, expires_at = _proof(found, key, table)
        if proof is None or len(found.problems) > before:
            return None
        is_managed = isinstance(proof, ManagedIdentity)
        authority = table.authority or f"https://{self._cloud.authority}"
        application = Application(
            client_id="" if is_managed else table.client_id or "",
            authority="" if is_managed else f"{authority}/{table.tenant}",
            scope=table.scope or f"{self._resource}/.default",
            proof=proof,
            ca_file=found.optional_file(table.ca_file),
            expires_at=expires_at,
        )
        if application.ca_file is not None:
            found.judge(f"{key}.ca_file", lambda: _try_authorities(application.ca_file))
        if (credential := expiry.of_application(application)) is not None:
            found.credential(key, credential)
        return application

    def login(self, username: str, application: Application, table: OAuthTable) -> OAuth:
        """To one mailbox."""
        preset = self._preset
        return OAuth(
            username=username,
            application=application,
            role=preset.token_role,
            audiences=tuple(dict.fromkeys((self._resource, self._cloud.token_resource))),
            margin_s=preset.token_margin_s if table.margin is None else table.margin,
            ends_session=table.session_ends_with_token is not False,
        )


def _try_authorities(ca_file: str | None) -> None:
    tls.client_context(ca_file=ca_file)


def _check(found: Findings, key: str, table: ApplicationTable) -> None:
    given = [name for name in PROOFS if getattr(table, name) is not None]
    if len(given) != 1:
        wrong = (
            f"{' and '.join(given)} exclude each other"
            if given
            else "says not how the application proves who it is"
        )
        found.problem(key, f"{wrong}; write one of {', '.join(PROOFS)}")
    if table.managed_identity is None:
        for name in ("tenant", "client_id"):
            if getattr(table, name) is None:
                found.problem(f"{key}.{name}", "is missing; the app registration's overview shows it")
    elif len(given) == 1:
        for name in ("tenant", "client_id", "authority", "ca_file"):
            if getattr(table, name) is not None:
                found.problem(f"{key}.{name}", "is of no use with managed_identity; leave it out")
    if table.certificate is None:
        for name in ("key", "key_password_env"):
            if getattr(table, name) is not None:
                found.problem(f"{key}.{name}", "goes with a certificate; name that one too")
    if table.client_secret_expires is not None and not (table.client_secret_file or table.client_secret_env):
        found.problem(
            f"{key}.client_secret_expires",
            "goes with a client secret; a certificate says itself when it ends",
        )


def _proof(found: Findings, key: str, table: ApplicationTable) -> tuple[Proof | None, float | None]:
    if table.managed_identity is not None:
        return ManagedIdentity("" if table.managed_identity == SYSTEM else table.managed_identity), None
    if table.certificate is not None:
        return _certificate(found, key, table, table.certificate)
    value = _secret(found, key, table)
    return (None if value is None else ClientSecret(value)), _end(table.client_secret_expires)


def _secret(found: Findings, key: str, table: ApplicationTable) -> str | None:
    try:
        if table.client_secret_env is not None:
            found.secret_names.add(table.client_secret_env)
            return secret.from_environment(table.client_secret_env)
        if table.client_secret_file is None:
            return None
        value, warning = secret.from_file(found.file(table.client_secret_file))
    except ValueError as error:
        found.problem(f"{key}.client_secret_{'env' if table.client_secret_env else 'file'}", str(error))
        return None
    if warning:
        found.warning(f"{key}.client_secret_file", warning)
    return value


def _certificate(
    found: Findings, key: str, table: ApplicationTable, name: str
) -> tuple[Proof | None, float | None]:
    password = None
    try:
        if table.key_password_env is not None:
            found.secret_names.add(table.key_password_env)
            password = secret.from_environment(table.key_password_env)
    except ValueError as error:
        found.problem(f"{key}.key_password_env", str(error))
        return None, None
    private = None if table.key is None else found.file(table.key)
    try:
        return application_certificate.load(found.file(name), private, password)
    except ConfigurationError as error:
        found.problem(f"{key}.certificate", str(error))
        return None, None


def _end(day: datetime.date | None) -> float | None:
    """When that day begins: the hour is not known, and too early is the safe side."""
    if day is None:
        return None
    return datetime.datetime.combine(day, datetime.time(), datetime.UTC).timestamp()
