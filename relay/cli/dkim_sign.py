"""`dkim sign`: a mail with the signatures that the relay would give it now.

By the same ring, the same canonicalisation and the same keys; only the mail comes
from a file, and no field is added before it is signed.
"""

import re
import sys
import time
from pathlib import Path

from relay.cli.dkim_say import read_mail
from relay.config.read import find, read
from relay.errors import ConfigurationError
from relay.identity.dkim import Existing, KeyRing, Signer
from relay.message.dkim.author import author_domain
from relay.message.dkim.canonical import body_hash
from relay.message.dkim.existing import has_aligned_signature
from relay.message.dkim.signature import prepare, with_blank_line
from relay.message.header import Header
from relay.process.exits import Exit


def sign(file: Path, config: Path | None) -> Exit:
    """Write the signed mail to standard output; FOUND, and the mail as it was, when nothing signs it."""
    now = time.time()
    path = find(config)
    ring = KeyRing(read(path, now).dkim)
    # A file has its system's line ends; the relay would have made them CRLF.
    mail = re.sub(rb"(?<!\r)\n", b"\r\n", read_mail(file))
    header = Header.of(mail)
    domain = author_domain(header)
    if domain is None:
        raise ConfigurationError(f"{file} has no From with one domain, so nobody can sign it")
    signers = ring.signers(domain, now)
    policy = ring.policy(domain)
    if (
        policy is not None
        and policy.existing is Existing.LEAVE
        and has_aligned_signature(header, domain, now)
    ):
        print(f'm365-relay: left as it is: it bears an aligned signature, and existing = "leave" for {policy.domain.decode()}', file=sys.stderr)  # fmt: skip
        signers = ()
    elif not signers:
        shown = domain.decode("utf-8", "backslashreplace")
        print(f"m365-relay: no key of {path} signs for {shown} now", file=sys.stderr)
    fields = b"".join(signature(mail, header, signer, now) for signer in signers)
    sys.stdout.buffer.write(fields + (mail if not fields else with_blank_line(mail, header)))
    return Exit.OK if signers else Exit.FOUND


def signature(mail: bytes, header: Header, signer: Signer, now: float) -> bytes:
    """One DKIM-Signature field with its CRLF."""
    body = memoryview(mail)[header.end :]
    prepared = prepare(header, body_hash(body, signer.options.body), signer.options, now)
    return prepared.field(signer.key.sign(prepared.data))
