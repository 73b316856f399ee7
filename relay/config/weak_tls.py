"""A listener for machines that stopped at TLS 1.0 or 1.1: for whom, and with which certificate.

What is weak about these versions and their ciphers must not reach anybody else: only named
networks are served, and no other listener has the key, for a key that is used with an old
protocol is attacked there to break the new one (DROWN, CVE-2016-0800).
"""

from ipaddress import ip_network
from pathlib import Path

from relay.config.configuration import Listener
from relay.config.findings import Findings
from relay.config.model import ListenerTable
from relay.receive.options import ListenerTls


def check_weak_tls(
    found: Findings, key: str, table: ListenerTable, listener: Listener, others: tuple[Listener, ...]
) -> None:
    """Is `tls_min` below 1.2 set where it may be?"""
    options = listener.options
    if options.tls is ListenerTls.NONE:
        for name, given in (("tls_min", table.tls_min), ("session_tickets", table.session_tickets)):
            if given is not None:
                found.warning(f"{key}.{name}", 'is not used with tls = "none"')
        return
    if not options.tls_min.is_weak:
        return
    if table.networks is None or not table.networks:
        found.problem(
            f"{key}.networks",
            f'must name the machines that need tls_min = "{options.tls_min.value}", such as ["10.20.0.7/32"]',
        )
    for network in filter(_is_everybody, table.networks or ()):
        found.problem(
            f"{key}.networks",
            f'"{network}" lets everybody use TLS {options.tls_min.value}; name the machines that need it',
        )
    for other in others:
        if other is not listener and not other.options.tls_min.is_weak and _shares(listener, other):
            found.problem(
                f"{key}.certificate",
                f"the listener {other.options.name} has the same key; what is weak here would endanger that one: "
                "give this listener a certificate and key of its own",
            )
    found.warning(
        f"{key}.tls_min",
        f"TLS {options.tls_min.value} can be broken by whoever sees the traffic (RFC 8996); "
        "m365-relay audit report says who still needs it",
    )


def _is_everybody(network: str) -> bool:
    return ip_network(network).prefixlen == 0


def _shares(one: Listener, other: Listener) -> bool:
    """Do both use the same key, by whatever file or certificate?"""
    if other.options.tls is ListenerTls.NONE:
        return False
    mine = _public_key(one.certificate)
    return mine is not None and mine == _public_key(other.certificate)


def _public_key(certificate: Path | None) -> bytes | None:
    """Of its first certificate; None where there is none that can be read, which is told elsewhere."""
    if certificate is None:
        return None
    # A light command should not load a library it may not need (30 ms).
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    try:
        leaf = x509.load_pem_x509_certificate(certificate.read_bytes())
    except (OSError, ValueError):
        return None
    return leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
