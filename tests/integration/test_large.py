"""A mail of 150 MB, by DATA and by BDAT, on both sides: unaltered, signed or not, and in flat memory."""

import base64
import hashlib
import re
import socket
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from tests import dkimpy
from tests.identity.keys import rsa_key, rsa_pem, write_key
from tests.integration.hashing import WITHIN_S, hashing
from tests.integration.memory import Growth
from tests.integration.serving import Serving, configuration
from tests.integration.wire import Wire

SIZE_BYTES = 150_000_000
BLOCK = b"".join(b"%075d\r\n" % number for number in range(1_000))
HEADER = (
    b"From: a@example.com\r\nDate: Tue, 24 Nov 2026 03:00:00 +0000\r\nMessage-ID: <large@example.com>\r\n\r\n"
)
GROWTH_MAX_MIB = 16
"""A receiver holds what it decodes (256 KiB), two records of 256 KiB that wait for the disk, and the dirty pages of a
commit (8 MiB at most); a deliverer one record and what the socket has not taken. What the allocators keep comes
on top. 2 to 3 MiB were measured, signed or not; a tenth of the mail, so that one copy of it anywhere would show."""


DKIM = """
[[dkim]]
domain = "example.com"
canonicalization = "{}/{}"

[[dkim.selector]]
name = "s1"
key_file = "s1.pem"
"""


@pytest.mark.parametrize("by", ["DATA", "BDAT"])
def test_a_mail_of_150_mb_passes_unaltered_in_flat_memory(tmp_path: Path, by: str) -> None:
    relay_one_large_mail(tmp_path, by)


@pytest.mark.parametrize(("by", "body"), [("DATA", "relaxed"), ("BDAT", "simple")])
def test_a_mail_of_150_mb_is_signed_in_flat_memory(tmp_path: Path, by: str, body: str) -> None:
    write_key(tmp_path / "s1.pem", rsa_pem())
    header, digest = relay_one_large_mail(tmp_path, by, DKIM.format("relaxed", body))
    # Its lines have no white space, and it ends with one CRLF: both canonical forms are the body itself.
    assert_signature_is_good(header, digest, f"relaxed/{body}")


def relay_one_large_mail(folder: Path, by: str, dkim: str = "") -> tuple[bytes, bytes]:
    """Through the whole relay; header and SHA-256 of the body as they arrived."""
    blocks = SIZE_BYTES // len(BLOCK)
    expected = hashlib.sha256()
    for _ in range(blocks):
        expected.update(BLOCK)
    route = f'tls = "none"\nuse_bdat = {str(by == "BDAT").lower()}'
    with (
        hashing(chunking=by == "BDAT") as hop,
        Serving.started(folder, configuration(hop.port, route=route, rest=dkim)) as relay,
    ):
        # Children, a signer among them where there is one.
        relay.now.wait_for("process_started", 3 if dkim else 2)
        with Growth(relay.now.children() | relay.now.signers()) as growth:
            with Wire(relay.port) as wire:
                wire.open()
                (send_data if by == "DATA" else send_chunks)(wire, blocks)
            assert hop.arrived.wait(WITHIN_S)
            relay.now.wait_for("delivered")
        assert relay.now.stop() == 0
        assert relay.command("spool", "check").returncode == 0
    print(f"{by}: growth in MiB: {growth.mib}")
    assert hop.digests == [(expected.hexdigest(), blocks * len(BLOCK))]
    assert max(growth.mib.values()) < GROWTH_MAX_MIB, growth.mib
    return hop.headers[0], expected.digest()


def assert_signature_is_good(header: bytes, body_hash: bytes, canonicalization: str) -> None:
    """RFC 6376 section 6.1.3 by dkimpy's canonical fields and the library's verification: none of it is the relay's.

    dkimpy itself would take the body into memory several times.
    """
    fields = [each.split(b":", 1) for each in re.findall(rb"[^\r]+(?:\r\n[ \t][^\r]+)*\r\n", header)]
    name, value = fields.pop(0)
    assert name == b"DKIM-Signature"
    tags = dict(re.findall(r"(\w+)=([^;]*)", re.sub(r"\s", "", value.decode())))
    assert (tags["a"], tags["c"], tags["bh"]) == (
        "rsa-sha256",
        canonicalization,
        base64.b64encode(body_hash).decode(),
    )
    signed = b""
    for listed in tags["h"].lower().encode().split(b":"):
        places = [at for at, (each, _) in enumerate(fields) if each.lower() == listed]
        if places:
            signed += dkimpy.relaxed_field(*(part.removesuffix(b"\r\n") for part in fields.pop(places[-1])))
    assert signed.count(b"\r\n") >= 3, "From, Date and Message-ID are there and signed"
    own = dkimpy.relaxed_field(name, re.sub(rb"(\bb=)[^;]*$", rb"\1", value.removesuffix(b"\r\n")))
    signed += own.removesuffix(b"\r\n")
    public = load_der_public_key(rsa_key().public_key)
    assert isinstance(public, RSAPublicKey)
    public.verify(base64.b64decode(tags["b"]), signed, PKCS1v15(), SHA256())


def send_data(wire: Wire, blocks: int) -> None:
    assert wire.say(b"DATA").startswith(b"354")
    wire.socket.sendall(HEADER)
    for _ in range(blocks):
        wire.socket.sendall(BLOCK)
    answer = wire.say(b".")
    assert answer.startswith(b"250"), answer


def send_chunks(wire: Wire, blocks: int) -> None:
    """Chunks of some MB, as clients send them, each with its reply."""
    wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    assert wire.say(b"BDAT %d\r\n" % len(HEADER) + HEADER[:-2]).startswith(b"250")
    per_chunk = 50
    for first in range(0, blocks, per_chunk):
        chunk = BLOCK * min(per_chunk, blocks - first)
        wire.socket.sendall(b"BDAT %d\r\n" % len(chunk))
        wire.socket.sendall(chunk)
        answer = wire.reply()
        assert answer.startswith(b"250"), answer
    assert wire.say(b"BDAT 0 LAST").startswith(b"250")
