"""TLS contexts over memory BIOs: what is verified, and what an administrator reads when it fails."""

import contextlib
import ssl
import warnings
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from relay import tls
from relay.audit.report import WEAK
from relay.errors import ConfigurationError
from tests.fakes.certificate import Authority, private_pem


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


class Wire:
    """`get_extra_info` of a transport."""

    def __init__(self, tls_object: object) -> None:
        self._tls_object = tls_object

    def get_extra_info(self, name: str, default: object = None) -> object:
        return self._tls_object if name == "ssl_object" else default


def shake(server: tls.ServerContext, client: tls.ClientContext, host: str) -> ssl.SSLObject:
    """Both ends of a handshake in memory; the client's end, or what it raised."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(to_client, to_server, server_hostname=host)
    far = server.wrap_bio(to_server, to_client, server_side=True)
    done: set[ssl.SSLObject] = set()
    for _ in range(10):
        for end in (near, far):
            try:
                end.do_handshake()
                done.add(end)
            except ssl.SSLWantReadError:
                continue
        if len(done) == 2:
            return near
    raise AssertionError("the handshake did not end in ten turns")


def test_a_trusted_name_is_accepted_and_described(authority: Authority) -> None:
    certificate, key = authority.issue("smtp.example.net")
    server = tls.server_context(str(certificate), str(key))
    client = tls.client_context(ca_file=str(authority.ca_file))
    near = shake(server, client, "smtp.example.net")
    assert tls.describe(Wire(near)).startswith("TLSv1.3 TLS_")


def test_a_connection_without_tls_is_described_as_nothing() -> None:
    assert tls.describe(Wire(None)) == ""


def test_a_wrong_name_is_refused_and_explained(authority: Authority) -> None:
    certificate, key = authority.issue("other.example.net")
    server = tls.server_context(str(certificate), str(key))
    client = tls.client_context(ca_file=str(authority.ca_file))
    with pytest.raises(tls.TlsError) as caught:
        shake(server, client, "smtp.example.net")
    assert tls.is_verification_failure(caught.value)
    assert "not made out for the name smtp.example.net" in tls.explain(caught.value, "smtp.example.net")


def test_an_unknown_issuer_is_refused_and_explained(authority: Authority, tmp_path: Path) -> None:
    certificate, key = authority.issue("smtp.example.net")
    stranger = Authority(tmp_path)
    server = tls.server_context(str(certificate), str(key))
    with pytest.raises(tls.TlsError) as caught:
        shake(server, tls.client_context(ca_file=str(stranger.ca_file)), "smtp.example.net")
    assert "ca_file" in tls.explain(caught.value, "smtp.example.net")


def test_without_verification_any_certificate_serves(authority: Authority) -> None:
    certificate, key = authority.issue("other.example.net")
    server = tls.server_context(str(certificate), str(key))
    assert shake(server, tls.client_context(verify=False), "smtp.example.net").version() == "TLSv1.3"


def test_tls_before_1_2_is_refused(authority: Authority) -> None:
    certificate, key = authority.issue("smtp.example.net")
    context = tls.server_context(str(certificate), str(key))
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert tls.client_context(verify=False).minimum_version == ssl.TLSVersion.TLSv1_2


def names_of(context: tls.ServerContext) -> set[str]:
    return {str(cipher["name"]) for cipher in context.get_ciphers()}


def test_ciphers_have_forward_secrecy_and_no_sha1(authority: Authority) -> None:
    certificate, key = authority.issue("smtp.example.net")
    names = names_of(tls.server_context(str(certificate), str(key)))
    assert all(name.startswith(("TLS_", "ECDHE-")) for name in names)
    assert not {name for name in names if name.endswith("-SHA") or "CCM" in name or "DES" in name}
    assert "ECDHE-RSA-AES256-SHA384" in names


def test_the_server_chooses_the_cipher_and_an_aead_first(authority: Authority) -> None:
    certificate, key = authority.issue("smtp.example.net")
    client = tls.client_context(verify=False)
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    client.set_ciphers("ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256")
    cipher = shake(tls.server_context(str(certificate), str(key)), client, "smtp.example.net").cipher()
    assert cipher is not None and cipher[0] == "ECDHE-ECDSA-AES128-GCM-SHA256"


def old_client(version: ssl.TLSVersion) -> ssl.SSLContext:
    """A machine of another time; what it needs of OpenSSL is lowered here."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    client.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        client.minimum_version = client.maximum_version = version
    return client


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_versions_are_spoken_only_where_they_are_asked_for(
    authority: Authority, version: ssl.TLSVersion
) -> None:
    certificate, key = (str(path) for path in authority.issue("smtp.example.net"))
    client = old_client(version)
    with pytest.raises(ssl.SSLError):
        shake(tls.server_context(certificate, key), client, "smtp.example.net")
    old = tls.server_context(certificate, key, minimum=tls.TlsVersion.TLS_1_0)
    spoken = tls.describe(Wire(shake(old, client, "smtp.example.net")))
    assert spoken.startswith(WEAK)
    # Who can do better, does.
    assert shake(old, tls.client_context(verify=False), "smtp.example.net").version() == "TLSv1.3"


def test_a_listener_may_ask_for_1_1_or_1_3(authority: Authority) -> None:
    certificate, key = (str(path) for path in authority.issue("smtp.example.net"))
    least = tls.server_context(certificate, key, minimum=tls.TlsVersion.TLS_1_1)
    with pytest.raises(ssl.SSLError):
        shake(least, old_client(ssl.TLSVersion.TLSv1), "smtp.example.net")
    newest = tls.server_context(certificate, key, minimum=tls.TlsVersion.TLS_1_3)
    with pytest.raises(ssl.SSLError):
        shake(newest, old_client(ssl.TLSVersion.TLSv1_2), "smtp.example.net")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("tickets", [True, False])
def test_tickets_can_be_turned_off(authority: Authority, version: ssl.TLSVersion, tickets: bool) -> None:
    certificate, key = (str(path) for path in authority.issue("smtp.example.net"))
    server = tls.server_context(certificate, key, tickets=tickets)
    client = tls.client_context(verify=False)
    client.minimum_version = client.maximum_version = version
    near, to_far = shake_with_data(server, client)
    assert to_far and (near.session is not None and near.session.has_ticket) is tickets


def shake_with_data(server: tls.ServerContext, client: tls.ClientContext) -> tuple[ssl.SSLObject, bool]:
    """The client's end after it has read a byte: a ticket of TLS 1.3 comes with the data."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(to_client, to_server)
    far = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(10):
        for end in (near, far):
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
    far.write(b"x")
    return near, near.read(1) == b"x"


def test_the_fingerprint_is_that_of_the_first_certificate(authority: Authority) -> None:
    certificate, _ = authority.issue("smtp.example.net")
    leaf = x509.load_pem_x509_certificate(certificate.read_bytes())
    chain = certificate.read_text() + authority.ca_file.read_text()
    assert tls.fingerprint(chain) == leaf.fingerprint(hashes.SHA256()).hex()
    with pytest.raises(ConfigurationError, match="no PEM certificate"):
        tls.fingerprint("nothing")


def test_a_key_of_another_certificate_is_named(authority: Authority) -> None:
    certificate, _ = authority.issue("a.example.net")
    _, key = authority.issue("b.example.net")
    with pytest.raises(ConfigurationError, match="does not belong to the certificate"):
        tls.server_context(str(certificate), str(key))


def test_an_encrypted_key_is_refused_without_asking(authority: Authority, tmp_path: Path) -> None:
    certificate, _ = authority.issue("a.example.net")
    locked = tmp_path / "locked.key"
    locked.write_bytes(private_pem(ec.generate_private_key(ec.SECP256R1()), b"secret"))
    with pytest.raises(ConfigurationError, match="encrypted"):
        tls.server_context(str(certificate), str(locked))


def test_missing_and_empty_files_are_named(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.pem")
    with pytest.raises(ConfigurationError, match=r"missing\.pem"):
        tls.server_context(missing)
    with pytest.raises(ConfigurationError, match=r"missing\.pem"):
        tls.client_context(ca_file=missing)
    empty = tmp_path / "empty.pem"
    empty.touch()
    with pytest.raises(ConfigurationError, match=r"empty\.pem"):
        tls.server_context(str(empty))
    with pytest.raises(ConfigurationError, match=r"empty\.pem"):
        tls.client_context(ca_file=str(empty))


def test_plain_smtp_on_a_tls_port_is_explained(authority: Authority) -> None:
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = tls.client_context(verify=False).wrap_bio(to_client, to_server)
    to_client.write(b"220 smtp.example.net ESMTP\r\n")
    with pytest.raises(tls.TlsError) as caught:
        client.do_handshake()
    assert "does not speak TLS here" in tls.explain(caught.value, "smtp.example.net")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionResetError(), "closed the connection"),
        (TimeoutError(), "in time"),
        (ssl.SSLError(1, "odd"), "failed"),
        (OSError("other"), "other"),
    ],
)
def test_other_trouble_is_one_sentence(error: BaseException, words: str) -> None:
    text = tls.explain(error, "smtp.example.net")
    assert words in text and "smtp.example.net" in text and "\n" not in text
