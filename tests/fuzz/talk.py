"""A client's talk with the server core, which takes everything: what the fuzzers of whole sessions look at."""

from relay.smtp.reply import Reply, ReplyReader
from relay.smtp.sasl_server import WRONG_TOKEN, Login
from relay.smtp.scram import Verifier
from relay.smtp.server import Event, Phase, Server, ServerOptions, Signal
from relay.smtp.xclient import XClient

OPTIONS = ServerOptions(
    hostname="relay.example", starttls=False, refuse_bare_lf=False, message_bytes=2_000, content_line_bytes=500,
    command_line_bytes=512, recipients_per_message=10, mails_per_session=20, errors_per_session=20, commands_without_mail=100,
)  # fmt: skip


class Doors:
    """Names that nobody has: no verifier fits."""

    mechanisms = ("SCRAM-SHA-256", "PLAIN", "LOGIN", "OAUTHBEARER", "XOAUTH2")

    def verifiers(self, username: str) -> list[Verifier]:
        return [Verifier(b"salt of 16 bytes", 4096, b"s" * 32, b"k" * 32)]

    def nonce(self) -> str:
        return "nonce"


class Talk:
    """Feeds as a session does: what was not taken stays in the buffer."""

    def __init__(self, options: ServerOptions = OPTIONS) -> None:
        # Tokens are taken over TLS only; where STARTTLS is tried it begins later.
        self.server = Server(options, Doors(), is_tls=not options.starttls)
        self.server.login.without_tls = self.server.offers_xclient = True
        self.mails: list[bytes] = []
        self.events: list[Event] = []
        self.out = b""
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """All that can be taken is taken."""
        server, start = self.server, 0
        self._buffer += data
        while (event := server.next_event(self._buffer, start, len(self._buffer))) is not None:
            start = server.position
            self.events.append(event)
            self._answer(event, len(self._buffer) - start)
        del self._buffer[: server.position]
        self.out += server.take_output()

    def _answer(self, event: Event, left: int) -> None:
        if event is Signal.START_TLS:
            assert not left, "bytes that came with STARTTLS are still there"
            self.server.tls_started()
        elif event is Signal.END_OF_CONTENT:
            self.mails.append(bytes(self.server.content))
        if self.server.phase is Phase.ANSWER:
            code = 220 if isinstance(event, XClient) else 250
            reply = Reply(code, "2.0.0", "ok")
            # What a token says decides how the dialogue goes on.
            if isinstance(event, Login) and event.password.startswith(b"x"):
                reply = WRONG_TOKEN
            self.server.answer(reply)

    def replies(self) -> list[Reply]:
        """All of them; ProtocolError where one is none."""
        reader = ReplyReader()
        found = reader.feed(self.out)
        assert reader.is_empty and self.out.count(b"\n") == self.out.count(b"\r\n") == self.out.count(b"\r")
        return found
