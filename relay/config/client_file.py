"""The clients file: what `m365-relay client` keeps, one JSON line a client after a first line of its own.

It holds hashes, so that only the relay's user and root may read it. It is replaced as a
whole: whoever reads it sees the old one or the new one, and a crash leaves one of both.
"""

import contextlib
import fcntl
import json
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import Field, ValidationError

from relay.config.client_table import StoredClient
from relay.config.problem import explain_all
from relay.config.table import Table
from relay.errors import ConfigurationError

Shape = TypeVar("Shape", bound=Table)

FILE_MAX_BYTES = 16 * 1024 * 1024
"""Some 30,000 clients; more is another file named by mistake."""
FORBIDDEN = stat.S_IWGRP | stat.S_IXGRP | stat.S_IRWXO
"""0600, or 0640 for a group that is the relay's own."""
SEED_BYTES = 32
LOCK_WAIT_S = 10.0
"""An edit takes some milliseconds; whoever holds the lock longer is stuck."""
LOCK_POLL_S = 0.02


class _First(Table):
    format: Literal[1]
    seed: str = Field(min_length=32)


@dataclass(slots=True)
class ClientFile:
    """Its content; the order is that of the lines."""

    seed: str
    clients: list[StoredClient] = field(default_factory=list)
    """Line n + 2 holds number n."""

    def get(self, name: str) -> StoredClient | None:
        """The client of that name."""
        return next((each for each in self.clients if each.name == name), None)

    def put(self, client: StoredClient) -> None:
        """In the place of the one with the same name, or at the end."""
        for index, each in enumerate(self.clients):
            if each.name == client.name:
                self.clients[index] = client
                return
        self.clients.append(client)


def load(path: Path) -> ClientFile | None:
    """What the file holds, None when there is none; ConfigurationError names line and key."""
    try:
        with open(path, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(FILE_MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}") from None
    if mode & FORBIDDEN:
        raise ConfigurationError(
            f"{path} may be read or changed by others (mode {stat.S_IMODE(mode):04o}), and it holds password hashes; "
            f"run: chmod 600 {path}"
        )
    if len(data) > FILE_MAX_BYTES:
        raise ConfigurationError(f"{path} is larger than {FILE_MAX_BYTES} bytes; is it the right file?")
    first, *rest = data.splitlines() or [b""]
    head = _line(path, 1, first, _First)
    return ClientFile(
        head.seed, [_line(path, n, line, StoredClient) for n, line in enumerate(rest, 2) if line]
    )


@contextlib.contextmanager
def edited(
    path: Path, new_seed: str, owner: tuple[int, int] | None, wait_s: float = LOCK_WAIT_S
) -> Iterator[ClientFile]:
    """The file's content, to be changed; written when the block ends well. One at a time.

    A new file begins with `new_seed`. `owner` is whose a new file is, where we may say so;
    one that is there keeps its owner and mode.
    """
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigurationError(f"cannot open the folder {path.parent}: {error.strerror}") from None
    try:
        _lock(path, folder, wait_s)
        content = load(path) or ClientFile(new_seed)
        yield content
        _replace(path, folder, _text(content), owner)
    finally:
        os.close(folder)


def _lock(path: Path, folder: int, wait_s: float) -> None:
    """Two who edit at once would lose one's change. The file itself is replaced, so the folder is locked."""
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise ConfigurationError(
                    f"another command has held the folder of {path} for {wait_s:g} seconds; end it, or try again"
                ) from None
        time.sleep(LOCK_POLL_S)


def _text(content: ClientFile) -> bytes:
    lines = [json.dumps({"format": 1, "seed": content.seed})]
    lines += [each.model_dump_json(exclude_none=True, by_alias=True) for each in content.clients]
    return "".join(f"{line}\n" for line in lines).encode()


def _replace(path: Path, folder: int, text: bytes, owner: tuple[int, int] | None) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            _take_after(path, descriptor, owner)
            with open(descriptor, "wb", closefd=False) as file:
                file.write(text)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(temporary, path)
        os.fsync(folder)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise ConfigurationError(f"cannot write {path}: {error.strerror}") from None


def _take_after(path: Path, descriptor: int, owner: tuple[int, int] | None) -> None:
    """Owner and mode of the file that is there; else the owner that was named."""
    try:
        old = os.stat(path)
    except FileNotFoundError:
        if owner is not None and os.geteuid() == 0:
            os.fchown(descriptor, *owner)
        return
    if os.geteuid() == 0:
        os.fchown(descriptor, old.st_uid, old.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(old.st_mode))


def _line(path: Path, number: int, text: bytes, shape: type[Shape]) -> Shape:
    try:
        return shape.model_validate_json(text)
    except ValidationError as error:
        problem = explain_all(error, {"": shape})[0]
        raise ConfigurationError(f"{path}: line {number}: {problem}") from None
