"""SMTP by hand: a blocking socket that says what the test writes and returns whole replies."""

import socket
import ssl
from types import TracebackType

TIMEOUT_S = 20.0


class Wire:
    """A connection whose banner has been read."""

    def __init__(self, port: int, *, tls: ssl.SSLContext | None = None, banner: bytes = b"220") -> None:
        plain = socket.create_connection(("127.0.0.1", port), TIMEOUT_S)
        self.socket = tls.wrap_socket(plain, server_hostname="localhost") if tls else plain
        self._file = self.socket.makefile("rb")
        self.banner = self.reply()
        assert self.banner.startswith(banner), self.banner

    def __enter__(self) -> "Wire":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._file.close()
        self.socket.close()

    def reply(self) -> bytes:
        """The next reply, all lines; nothing when the other side hung up."""
        whole = b""
        while line := self._file.readline():
            whole += line
            if line[3:4] == b" ":
                break
        return whole

    def say(self, line: bytes) -> bytes:
        """A command and its reply."""
        self.socket.sendall(line + b"\r\n")
        return self.reply()

    def open(self, *, recipient: bytes = b"b@example.net", parameters: bytes = b"") -> None:
        """EHLO, MAIL and RCPT, all taken."""
        for line in (b"EHLO client", b"MAIL FROM:<a@example.com>" + parameters, b"RCPT TO:<%b>" % recipient):
            answer = self.say(line)
            assert answer.startswith(b"250"), answer

    def send(self, content: bytes) -> bytes:
        """A whole mail by DATA; the reply to it."""
        self.open()
        assert self.say(b"DATA").startswith(b"354")
        return self.say(content.replace(b"\r\n.", b"\r\n..") + b".")
