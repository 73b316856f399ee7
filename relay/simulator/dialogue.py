"""The dialogue of AUTH: LOGIN's two questions, XOAUTH2's one, each with or without an initial response."""

from dataclasses import dataclass

from relay.simulator import texts
from relay.simulator.login import Doorkeeper, decode_base64
from relay.simulator.tenant import Visit


@dataclass(frozen=True, slots=True)
class Judged:
    """The dialogue is over: the reply."""

    reply: bytes


class Dialogue:
    """One AUTH. Lines in; a question, or `Judged`, or None for a line that is no base64 (or `*`, RFC 4954 section 4)."""

    MECHANISMS = (b"LOGIN", b"XOAUTH2")

    def __init__(self, mechanism: bytes, doorkeeper: Doorkeeper, visit: Visit) -> None:
        """`mechanism` is one of MECHANISMS."""
        self._is_login = mechanism == b"LOGIN"
        self._doorkeeper = doorkeeper
        self._visit = visit
        self._name: bytes | None = None

    @property
    def question(self) -> bytes:
        """What is asked next."""
        if not self._is_login:
            return texts.AUTH_GO_ON
        return texts.AUTH_USERNAME if self._name is None else texts.AUTH_PASSWORD

    def respond(self, line: bytes, now: float) -> bytes | Judged | None:
        """The client's next line."""
        response = decode_base64(line)
        if response is None:
            return None
        if not self._is_login:
            refusal = self._doorkeeper.judge_token(self._visit, line, now)
        elif self._name is None:
            self._name = response
            return self.question
        else:
            refusal = self._doorkeeper.judge_password(self._visit, self._name, response, now)
        return Judged(texts.AUTHENTICATED if refusal is None else refusal)
