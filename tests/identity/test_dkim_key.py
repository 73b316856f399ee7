"""Signing keys: what is taken, what is refused in words, and that others accept the signatures."""

import base64
import hashlib
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from relay.errors import ConfigurationError
from relay.identity.dkim_key import SigningKey, load_key
from relay.identity.dkim_new_key import KeyKind, create_key
from relay.message.dkim.record import KeyRecord
from relay.message.dkim.signature import Algorithm
from tests.identity.keys import ed25519_pem, needs_openssl, openssl, rsa_pem, write_key

# RFC 8463 appendix A.1 and A.2.
RFC_8463_SEED = base64.b64decode("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
RFC_8463_PUBLIC = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
PKCS8_ED25519 = bytes.fromhex("302e020100300506032b657004220420")
"""What stands before the 32 bytes in PKCS#8 (RFC 8410 section 7)."""


def refusal(path: Path) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_key(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def pem(der: bytes) -> bytes:
    return b"-----BEGIN PRIVATE KEY-----\n" + base64.encodebytes(der) + b"-----END PRIVATE KEY-----\n"


def test_the_key_of_rfc_8463_has_the_record_of_rfc_8463() -> None:
    key = SigningKey(pem(PKCS8_ED25519 + RFC_8463_SEED), "rfc8463")
    assert key.public_record_value() == f"v=DKIM1; k=ed25519; p={RFC_8463_PUBLIC}"
    assert (key.algorithm, key.bits, key.warnings) == (Algorithm.ED25519_SHA256, 256, ())


def test_ed25519_signs_the_hash_not_the_data() -> None:
    key = SigningKey(ed25519_pem(7), "k")
    public = Ed25519PublicKey.from_public_bytes(key.public_key)
    public.verify(key.sign(b"data"), hashlib.sha256(b"data").digest())


@needs_openssl
@pytest.mark.parametrize("form", [["-traditional"], []], ids=["pkcs1", "pkcs8"])
def test_a_key_of_openssl_signs_what_openssl_verifies(tmp_path: Path, form: list[str]) -> None:
    path = tmp_path / "key.pem"
    openssl("genrsa", *form, "-out", path, "2048")
    path.chmod(0o600)
    head = b"-----BEGIN RSA PRIVATE KEY-----" if form else b"-----BEGIN PRIVATE KEY-----"
    assert path.read_bytes().startswith(head)
    key = load_key(path)
    assert (key.algorithm, key.bits, key.warnings) == (Algorithm.RSA_SHA256, 2048, ())
    (tmp_path / "signature").write_bytes(key.sign(b"mail\r\n"))
    openssl("pkey", "-in", path, "-pubout", "-out", tmp_path / "public.pem")
    verify = ("dgst", "-sha256", "-verify", tmp_path / "public.pem", "-signature", tmp_path / "signature")
    assert openssl(*verify, stdin=b"mail\r\n") == b"Verified OK\n"


@needs_openssl
@pytest.mark.parametrize("kind", ["RSA", "ED25519"])
def test_the_record_holds_what_openssl_says_the_public_key_is(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "key.pem"
    openssl("genpkey", "-algorithm", kind, "-out", path)
    path.chmod(0o600)
    der = openssl("pkey", "-in", path, "-pubout", "-outform", "DER")
    published = KeyRecord.parse(load_key(path).public_record_value().encode()).public_key
    # The 32 bytes of Ed25519 end its SubjectPublicKeyInfo (RFC 8410 section 4).
    assert published == (der if kind == "RSA" else der[-32:])


@needs_openssl
def test_an_elliptic_curve_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ec.pem"
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path)
    assert "neither an RSA nor an Ed25519 key" in refusal(path)


@needs_openssl
@pytest.mark.parametrize("form", [["-traditional"], []], ids=["pkcs1", "pkcs8"])
def test_an_encrypted_key_is_refused_and_says_how_to_decrypt(tmp_path: Path, form: list[str]) -> None:
    path = tmp_path / "key.pem"
    openssl("genrsa", "-aes256", "-passout", "pass:secret", *form, "-out", path, "2048")
    assert "openssl pkey -in" in refusal(path)


@needs_openssl
def test_a_key_under_1024_bits_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    openssl("genrsa", "-out", path, "768")
    assert "1024" in refusal(path)


def test_a_key_under_2048_bits_is_warned_of(tmp_path: Path) -> None:
    key = load_key(write_key(tmp_path / "key.pem", rsa_pem(1024)))
    assert key.bits == 1024
    assert len(key.warnings) == 1
    assert "has 1024 bits" in key.warnings[0]


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    assert "m365-relay dkim new" in refusal(tmp_path / "none.pem")


def test_a_folder_and_a_fifo_are_no_keys(tmp_path: Path) -> None:
    assert "Is a directory" in refusal(tmp_path)
    os.mkfifo(tmp_path / "fifo")
    assert "no regular file" in refusal(tmp_path / "fifo")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no PEM file"),
        (b"not a key", "no PEM file"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "holds no private key"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "holds no private key"),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n", "for SSH"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "cannot use the key"),
        (b"-----BEGIN PRIVATE KEY-----\n" + b"A" * 70_000, "more than 65536 bytes"),
    ],
)
def test_what_is_no_private_key_is_refused_in_words(tmp_path: Path, content: bytes, words: str) -> None:
    assert words in refusal(write_key(tmp_path / "key.pem", content))


@pytest.mark.parametrize("cut", [0.3, 0.6, 0.9])
def test_a_key_cut_short_is_refused(tmp_path: Path, cut: float) -> None:
    whole = rsa_pem()
    assert "cannot use the key" in refusal(write_key(tmp_path / "key.pem", whole[: int(len(whole) * cut)]))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read_says_so(tmp_path: Path) -> None:
    assert "may not read" in refusal(write_key(tmp_path / "key.pem", ed25519_pem(), 0o000))


def test_a_file_that_all_may_read_is_warned_of(tmp_path: Path) -> None:
    key = load_key(write_key(tmp_path / "key.pem", ed25519_pem(), 0o644))
    assert len(key.warnings) == 1
    assert "chmod o=" in key.warnings[0]


def test_a_file_that_its_group_may_read_is_well(tmp_path: Path) -> None:
    assert load_key(write_key(tmp_path / "key.pem", ed25519_pem(), 0o640)).warnings == ()


def test_a_file_that_all_may_write_is_refused(tmp_path: Path) -> None:
    assert "can replace the key" in refusal(write_key(tmp_path / "key.pem", ed25519_pem(), 0o602))


def test_nothing_private_shows(tmp_path: Path) -> None:
    key = load_key(write_key(tmp_path / "key.pem", ed25519_pem(9)))
    secret = base64.b64decode(b"".join(ed25519_pem(9).splitlines()[1:-1]))[-32:]
    for text in (repr(key), key.fingerprint, key.public_record_value()):
        assert secret.hex() not in text
        assert base64.b64encode(secret).decode() not in text
    assert repr(key) == f"SigningKey(ed25519, 256 bits, {tmp_path}/key.pem)"


@pytest.mark.parametrize(
    ("kind", "bits"), [(KeyKind.RSA2048, 2048), (KeyKind.RSA3072, 3072), (KeyKind.ED25519, 256)]
)
def test_a_new_key_belongs_to_its_owner_alone(tmp_path: Path, kind: KeyKind, bits: int) -> None:
    before = os.umask(0)
    try:
        key = create_key(tmp_path / "new.pem", kind)
    finally:
        os.umask(before)
    assert (tmp_path / "new.pem").stat().st_mode & 0o777 == 0o600
    assert (key.bits, key.warnings) == (bits, ())


def test_a_new_key_is_never_written_over_another_file(tmp_path: Path) -> None:
    path = write_key(tmp_path / "new.pem", ed25519_pem())
    (tmp_path / "link.pem").symlink_to(path)
    for name in ("new.pem", "link.pem"):
        with pytest.raises(ConfigurationError, match="left as it is"):
            create_key(tmp_path / name, KeyKind.ED25519)
    assert path.read_bytes() == ed25519_pem()


def test_a_folder_that_is_not_there_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file or directory"):
        create_key(tmp_path / "missing" / "new.pem", KeyKind.ED25519)
