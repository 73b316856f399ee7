"""A listener's certificate is taken anew when its files change; sessions that are open keep theirs.

Once a second a thread looks at the files (time, inode and size: robots replace files, or
what a link points to). What has changed is read when two looks saw the same, for a robot
writes key and certificate one after the other. The pair is taken whole or not at all: it
must fit together, and be the same before and after it was read. One that cannot be used
leaves the old one in force, and is told when it has stayed so for a while.
"""

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from relay import tls
from relay.clock import Clock
from relay.errors import ConfigurationError
from relay.identity.certificate import good_now, read_file
from relay.tls import ServerContext, TlsVersion
from relay.trace.event import CertificateRefused, CertificateReloaded, Record

REFUSE_AFTER_S = 10.0
"""Some robots write the certificate, and the key seconds later: no reason to alarm anybody."""
READ_TRIES = 3

Signature = tuple[tuple[int, int, int] | None, ...]
"""Of each file its time of change, inode and size; None: it is not there."""


class Shows(Protocol):
    """`relay.receive.session.Listener`, as far as this is concerned: each handshake asks it anew."""

    context: ServerContext | None


@dataclass(frozen=True, slots=True)
class ContextFiles:
    """What a listener's TLS is made of."""

    certificate: str
    key: str | None = None
    client_ca_file: str | None = None
    client_crl_file: str | None = None
    minimum: TlsVersion = TlsVersion.TLS_1_2
    tickets: bool = True

    def signature(self) -> Signature:
        """Another one when a file was changed."""
        files = (self.certificate, self.key, self.client_ca_file, self.client_crl_file)
        return tuple(_signature(file) for file in files if file is not None)

    def load(self) -> "Loaded":
        """All of them as they were at one moment; ConfigurationError says why they cannot be used."""
        for _ in range(READ_TRIES):
            before = self.signature()
            context = tls.server_context(
                self.certificate,
                self.key,
                client_ca_file=self.client_ca_file,
                client_crl_file=self.client_crl_file,
                minimum=self.minimum,
                tickets=self.tickets,
            )
            fingerprint = tls.fingerprint(read_file(Path(self.certificate)).decode("latin-1"))
            if self.signature() == before:
                return Loaded(self, context, fingerprint, before)
        raise ConfigurationError(f"{self.certificate} changes while it is read")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A context, and what it was made of."""

    files: ContextFiles
    context: ServerContext
    fingerprint: str
    signature: Signature


class CertificateWatch:
    """Of one listener."""

    def __init__(self, loaded: Loaded, listener: Shows, name: str, record: Record, clock: Clock) -> None:
        """`loaded` is in force at the listener, which events call `name`."""
        self._loaded = loaded
        self._listener = listener
        self._name = name
        self._record = record
        self._clock = clock
        self._pending: Signature | None = None
        """Seen by the last look, and neither in force nor refused."""
        self._since = 0.0
        self._refused: Signature | None = None

    async def look(self) -> None:
        """Look at the files, off the loop: they may lie on a disk that sleeps."""
        files = self._loaded.files
        signature = await asyncio.to_thread(files.signature)
        if not self._is_settled(signature):
            return
        try:
            loaded = await asyncio.to_thread(self._read)
        except ConfigurationError as error:
            self._refuse(signature, str(error))
        else:
            self._take(loaded)

    def _is_settled(self, signature: Signature) -> bool:
        """New, and the same as a look ago?"""
        if signature in (self._loaded.signature, self._refused):
            self._pending = None
            return False
        if signature != self._pending:
            self._pending, self._since = signature, self._clock.monotonic()
            return False
        return True

    def _read(self) -> Loaded:
        loaded = self._loaded.files.load()
        good_now(Path(loaded.files.certificate), self._clock.now())
        return loaded

    def _take(self, loaded: Loaded) -> None:
        before, self._loaded = self._loaded, loaded
        self._pending = self._refused = None
        self._listener.context = loaded.context
        self._record(
            CertificateReloaded(self._name, loaded.files.certificate, loaded.fingerprint, before.fingerprint)
        )

    def _refuse(self, signature: Signature, reason: str) -> None:
        if self._clock.monotonic() - self._since >= REFUSE_AFTER_S:
            self._refused = signature
            self._record(CertificateRefused(self._name, self._loaded.files.certificate, reason))


def _signature(file: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
