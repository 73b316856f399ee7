"""The deadline of an exchange over sockets, held whatever the other end does.

The timeout of a socket is one for each read: who sends a byte now and then, of a header,
of a proxy's answer to CONNECT or of a TLS handshake, holds a thread that blocks for as
long as he likes. So another thread shuts the sockets down at the deadline, which wakes
whoever reads. A name that the system takes long to look up is not held (`thread.py`).
"""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator


class Deadline:
    """Of all exchanges together that are made under it."""

    def __init__(self, within_s: float) -> None:
        self._ends_at = time.monotonic() + within_s
        self._lock = threading.Lock()
        self._held: list[socket.socket] = []
        """Doubles of what was dialled: TLS takes the socket itself away, and its number may be another's by then."""
        self._is_over = False

    def left_s(self) -> float:
        """More than 0; TimeoutError."""
        left_s = self._ends_at - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        return left_s

    @contextlib.contextmanager
    def holding(self) -> Iterator[None]:
        """An exchange, from dialling to the last byte; TimeoutError when it was cut, whatever it made of that."""
        timer = threading.Timer(self.left_s(), self._end)
        timer.daemon = True
        timer.start()
        try:
            yield
        except Exception:
            if self._is_over:
                raise TimeoutError from None
            raise
        finally:
            timer.cancel()
            self._let_go()
        if self._is_over:
            # A body without a length looks whole when it was cut.
            raise TimeoutError

    def dial(self, address: tuple[str, int], *_: object) -> socket.socket:
        """As socket.create_connection, by this deadline."""
        host, port = address
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        trouble: OSError = TimeoutError()
        for index, (family, kind, protocol, _name, where) in enumerate(found):
            sock = socket.socket(family, kind, protocol)
            try:
                # Its share of what is left: else one that does not answer leaves nothing to the others.
                sock.settimeout(self.left_s() / (len(found) - index))
                sock.connect(where)
                sock.settimeout(self.left_s())
                self._hold(sock)
            except OSError as error:
                sock.close()
                trouble = error
            else:
                return sock
        raise trouble

    def _hold(self, sock: socket.socket) -> None:
        with self._lock:
            if self._is_over:
                raise TimeoutError
            self._held.append(sock.dup())

    def _end(self) -> None:
        with self._lock:
            self._is_over = True
            for sock in self._held:
                # The other end may be gone already.
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def _let_go(self) -> None:
        with self._lock:
            for sock in self._held:
                sock.close()
            self._held.clear()
