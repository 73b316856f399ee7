"""A next hop for one large mail: it keeps the header and a hash of the body and no more, with DATA or with BDAT."""

import hashlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

PIECE_BYTES = 1 << 20
END = b"\r\n.\r\n"
WITHIN_S = 60.0


class HashingSink:
    """Serves one connection after the other; `digests` are of bodies, without the header; `headers` beside them. Lines must not begin with dots."""

    def __init__(self, *, chunking: bool) -> None:
        self.digests: list[tuple[str, int]] = []
        """SHA-256 and size of each body."""
        self.headers: list[bytes] = []
        self.arrived = threading.Event()
        self._chunking = chunking
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])

    def serve(self) -> None:
        """Until `close`."""
        with suppress(OSError):
            while True:
                peer, _ = self._listening.accept()
                with peer, suppress(ConnectionError):
                    self._session(peer)

    def close(self) -> None:
        """No more connections."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _session(self, peer: socket.socket) -> None:
        peer.sendall(b"220 hashing.test\r\n")
        buffer, body = bytearray(), _Body()
        while True:
            line = _line(peer, buffer)
            verb = line[:4].upper()
            match verb:
                case b"EHLO":
                    chunking = b"250-CHUNKING\r\n" if self._chunking else b""
                    peer.sendall(
                        b"250-hashing.test\r\n" + chunking + b"250-8BITMIME\r\n250 SIZE 200000000\r\n"
                    )
                case b"DATA":
                    peer.sendall(b"354 go on\r\n")
                    _read_to_end(peer, buffer, body)
                    self._keep(body)
                    body = _Body()
                    peer.sendall(b"250 2.0.0 taken\r\n")
                case b"BDAT":
                    words = line.split()
                    _read_exactly(peer, buffer, int(words[1]), body)
                    if words[-1].upper() == b"LAST":
                        self._keep(body)
                        body = _Body()
                    peer.sendall(b"250 2.0.0 taken\r\n")
                case b"QUIT" | b"":
                    return
                case _:
                    peer.sendall(b"250 2.0.0 fine\r\n")

    def _keep(self, body: "_Body") -> None:
        self.headers.append(body.header)
        self.digests.append((body.hash.hexdigest(), body.size))
        self.arrived.set()


class _Body:
    """Hashes what stands behind the header."""

    def __init__(self) -> None:
        self.hash = hashlib.sha256()
        self.size = 0
        self.header = b""
        """With its last CRLF, once it is whole."""
        self._beginning = bytearray()

    def feed(self, piece: bytes | bytearray) -> None:
        if not self.header:
            self._beginning += piece
            header, blank, piece = self._beginning.partition(b"\r\n\r\n")
            if not blank:
                return
            self.header = bytes(header) + b"\r\n"
            self._beginning.clear()
        self.hash.update(piece)
        self.size += len(piece)


def _line(peer: socket.socket, buffer: bytearray) -> bytes:
    while (end := buffer.find(b"\n")) < 0:
        piece = peer.recv(PIECE_BYTES)
        if not piece:
            return b""
        buffer += piece
    line = bytes(buffer[: end + 1])
    del buffer[: end + 1]
    return line


def _read_to_end(peer: socket.socket, buffer: bytearray, body: _Body) -> None:
    while (end := buffer.find(END)) < 0:
        # The last bytes may be the beginning of the end.
        keep = max(0, len(buffer) - len(END) + 1)
        body.feed(buffer[:keep])
        del buffer[:keep]
        piece = peer.recv(PIECE_BYTES)
        if not piece:
            raise ConnectionError
        buffer += piece
    body.feed(buffer[: end + 2])
    del buffer[: end + len(END)]


def _read_exactly(peer: socket.socket, buffer: bytearray, size: int, body: _Body) -> None:
    while size:
        if not buffer:
            piece = peer.recv(PIECE_BYTES)
            if not piece:
                raise ConnectionError
            buffer += piece
        body.feed(buffer[:size])
        taken = min(size, len(buffer))
        del buffer[:taken]
        size -= taken


@contextmanager
def hashing(*, chunking: bool) -> Iterator[HashingSink]:
    """A sink for the time of the block."""
    sink = HashingSink(chunking=chunking)
    thread = threading.Thread(target=sink.serve, daemon=True)
    thread.start()
    try:
        yield sink
    finally:
        sink.close()
