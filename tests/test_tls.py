"""TLS contexts over memory BIOs: what is verified, and what an administrator reads when it fails."""

import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from relay import tls
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
