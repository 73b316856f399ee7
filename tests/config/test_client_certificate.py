"""What the file of a route's client certificate shows before Microsoft refuses it."""

import datetime
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from relay.config.configuration import Configuration
from relay.config.problem import InvalidConfiguration
from relay.config.read import read
from relay.simulator.certificate import self_signed
from tests.fakes.certificate import Authority

TEXT = """
[relay]
hostname = "relay.example.com"
[spool]
path = "spool"
[[listener]]
address = "127.0.0.1:0"
[[route]]
name = "exchange"
kind = "{kind}"
host = "mx.test"
client_certificate = "{certificate}"
client_key = "{key}"
[tenant]
domains = [{domains}]
"""
Pair = tuple[Path, Path]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    folder = tmp_path / "authority"
    folder.mkdir()
    return Authority(folder)


def reading(pair: Pair, *domains: str, kind: str = "connector") -> Configuration:
    certificate, key = pair
    quoted = ", ".join(f'"{domain}"' for domain in domains)
    file = certificate.parent / "relay.toml"
    file.write_text(TEXT.format(certificate=certificate, key=key, domains=quoted, kind=kind))
    return read(file, time.time())


def whole(pair: Pair, authority: Authority) -> Pair:
    """With its issuer in the file."""
    certificate, key = pair
    certificate.write_bytes(certificate.read_bytes() + authority.ca_file.read_bytes())
    return certificate, key


def rsa_pair(folder: Path, bits: int) -> Pair:
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    certificate, private = folder / "self.pem", folder / "self.key"
    certificate.write_bytes(self_signed("relay.contoso.com", key).public_bytes(serialization.Encoding.PEM))
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))
    return certificate, private


def test_a_good_one_is_not_talked_about_and_its_end_is_known(authority: Authority) -> None:
    configuration = reading(whole(authority.issue("relay.contoso.com", days=200), authority), "contoso.com")
    assert configuration.warnings == ()
    (credential,) = configuration.credentials
    assert credential.name == "certificate of the route exchange"
    assert 199 < (credential.expires_at - time.time()) / 86_400 < 200


def test_one_without_its_issuer_is_warned_of(authority: Authority) -> None:
    (warning,) = reading(authority.issue("relay.contoso.com"), "contoso.com").warnings
    assert warning.startswith("route[0].client_certificate: holds no certificate of its issuer")
    assert "TenantAttribution" in warning and "append the authority's chain" in warning


def test_an_issuer_of_the_same_name_is_not_the_issuer(authority: Authority, tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere" / "authority"
    folder.mkdir(parents=True)
    pair = whole(authority.issue("relay.contoso.com"), Authority(folder))
    (warning,) = reading(pair, "contoso.com").warnings
    assert "holds no certificate of its issuer" in warning


def test_one_that_signed_itself_is_warned_of(tmp_path: Path) -> None:
    warnings = reading(rsa_pair(tmp_path, 2048), "contoso.com").warnings
    assert any("is self-signed" in warning for warning in warnings)


@pytest.mark.parametrize(
    ("names", "domains", "is_good"),
    [
        (("contoso.com",), ("contoso.com",), True),
        (("relay.contoso.com",), ("contoso.com",), True),
        (("RELAY.Contoso.com",), ("contoso.com",), True),
        (("other.test", "relay.contoso.com"), ("contoso.com",), True),
        (("*.contoso.com",), ("contoso.com",), True),
        (("a.b.contoso.com",), ("contoso.com",), False),
        (("a.b.contoso.com",), ("contoso.com", "b.contoso.com"), True),
        (("a.b.contoso.com",), ("*.contoso.com",), True),
        (("*.b.contoso.com",), ("contoso.com",), False),
        (("*.contoso.com",), ("*.contoso.com",), False),
        (("notcontoso.com",), ("contoso.com",), False),
        (("relay.fabrikam.com",), (), True),
    ],
)
def test_a_name_lies_in_a_domain_of_the_tenant_or_immediately_below(
    authority: Authority, names: tuple[str, ...], domains: tuple[str, ...], is_good: bool
) -> None:
    warnings = reading(whole(authority.issue(*names), authority), *domains).warnings
    told = [warning for warning in warnings if "ATTR36" in warning]
    assert bool(told) is not is_good
    assert all(names[0] in warning.lower() for warning in told)


def test_other_kinds_have_other_rules(authority: Authority) -> None:
    assert reading(authority.issue("relay.test"), "contoso.com", kind="smtp").warnings == ()


def test_one_that_ends_is_warned_of_and_stops_nothing(authority: Authority) -> None:
    now = datetime.datetime.now(datetime.UTC)
    pair = authority.issue("relay.test", start=now - datetime.timedelta(days=31), days=30)
    (warning,) = reading(pair, kind="smtp").warnings
    assert warning.startswith("route[0].client_certificate: the certificate of the route exchange ended on")
    (warning,) = reading(authority.issue("relay.test", days=5), kind="smtp").warnings
    assert "put a new one into its file, then reload" in warning


def test_one_that_has_not_begun_is_warned_of(authority: Authority) -> None:
    tomorrow = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)
    (warning,) = reading(authority.issue("relay.test", start=tomorrow), kind="smtp").warnings
    assert "is valid only from" in warning


def test_a_key_of_another_certificate_is_refused(authority: Authority) -> None:
    certificate, _ = authority.issue("relay.contoso.com")
    _, key = authority.issue("relay.contoso.com")
    with pytest.raises(InvalidConfiguration, match=r"client_certificate: the key .* does not belong to"):
        reading((certificate, key))


def test_a_short_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match=r"client_certificate: the certificate .* is too weak"):
        reading(rsa_pair(tmp_path, 1024))
