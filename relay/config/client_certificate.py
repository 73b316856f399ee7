"""Will the next hop know us by our certificate? What its file shows of that.

That key and certificate belong together, and that the key is strong enough (RSA with 2048
bits), OpenSSL has found out before. What is wrong here stops no other route, so it is a warning: chain and names of a connector's certificate
are Microsoft's to judge (SUP: tenantattribution-ndr, relay-access-denied-attr36-ndr).
"""

from pathlib import Path
from typing import TYPE_CHECKING

from relay.config.findings import Findings
from relay.identity.expiry import of_certificate
from relay.m365.preset import Kind
from relay.route.route import Route
from relay.route.tenant import Tenant

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

NAMES_SHOWN_MAX = 5


def examine(found: Findings, key: str, route: Route, tenant: Tenant) -> None:
    """Warn of what will be refused, and note when it ends. `key` is that of the certificate."""
    from cryptography import x509

    assert route.client_certificate is not None
    # OpenSSL has read it a moment ago; whether this library can, too, is another matter.
    try:
        chain = x509.load_pem_x509_certificates(Path(route.client_certificate).read_bytes())
    except (ValueError, OSError) as error:
        found.problem(key, f"{route.client_certificate} cannot be read: {error}")
        return
    leaf = chain[0]
    begins_at, ends_at = leaf.not_valid_before_utc.timestamp(), leaf.not_valid_after_utc.timestamp()
    found.credential(key, of_certificate(f"certificate of the route {route.name}", begins_at, ends_at))
    if begins_at > found.now:
        found.warning(key, f"is valid only from {leaf.not_valid_before_utc:%Y-%m-%d %H:%M} UTC")
    if route.kind is Kind.CONNECTOR:
        for warning in (_chain_trouble(chain), _name_trouble(leaf, tenant)):
            if warning:
                found.warning(key, warning)


def _chain_trouble(chain: "list[Certificate]") -> str:
    leaf = chain[0]
    if leaf.issuer == leaf.subject:
        return "is self-signed; Microsoft answers 550 5.7.64 TenantAttribution to all but certificates of a public authority"
    if any(_issued(leaf, issuer) for issuer in chain[1:]):
        return ""
    return (
        "holds no certificate of its issuer; Microsoft answers 550 5.7.64 TenantAttribution when an intermediate "
        "is missing: append the authority's chain to the file"
    )


def _issued(leaf: "Certificate", issuer: "Certificate") -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        leaf.verify_directly_issued_by(issuer)
    # Another name, another kind of key, another signature: not this one.
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _name_trouble(leaf: "Certificate", tenant: Tenant) -> str:
    if not tenant.domains:
        return ""
    names = _names(leaf)
    if any(tenant.is_inside(f"@{domain}".encode()) for name in names for domain in _domains(name)):
        return ""
    shown = ", ".join(names[:NAMES_SHOWN_MAX]) or "none"
    return (
        f"is made out for no name in a domain of the tenant, nor immediately below one (its names: {shown}); "
        "Microsoft answers 550 5.7.64 ATTR36: add the domain to the tenant and to [tenant] domains, or have "
        "another certificate made"
    )


def _names(leaf: "Certificate") -> list[str]:
    """Subject's common name, and the host names it is for besides."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    names = [str(each.value) for each in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    try:
        extension = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        names += extension.value.get_values_for_type(x509.DNSName)
    # None, or one that is not as RFC 5280 has it.
    except (x509.ExtensionNotFound, ValueError):
        pass
    return list(dict.fromkeys(name.lower() for name in names))


def _domains(name: str) -> list[str]:
    """The name and its immediate parent; of `*.contoso.com` that is contoso.com only."""
    host, _, parent = name.partition(".")
    return [parent] if host == "*" else [name, parent]
