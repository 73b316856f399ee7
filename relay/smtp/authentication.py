"""Whether a session is logged in, and what its AUTH is answered with (RFC 4954 section 4)."""

from collections.abc import Sequence

from relay.smtp import bearer
from relay.smtp.reply import Reply
from relay.smtp.sasl_server import (
    Dialogue,
    Doorkeeper,
    Login,
    Step,
    begin,
    complaint,
    go_on,
    mechanism_of,
)

NEEDS_TLS = Reply(538, "5.7.11", "A login needs TLS here")
NOT_OFFERED = Reply(502, "5.5.1", "The command is not offered here")
TOO_LONG = Reply(500, "5.5.6", "The line of the login is too long")
MECHANISM_MAX = 20
"""Characters of a mechanism's name (RFC 4422 section 3.1)."""
_NO_GREETING = Reply(503, "5.5.1", "Say EHLO first")
_DONE_ALREADY = Reply(503, "5.5.1", "You are logged in already")
_IN_TRANSACTION = Reply(503, "5.5.1", "A transaction is open")


class Authentication:
    """One a session."""

    __slots__ = ("_dialogue", "_doorkeeper", "_refusal", "is_done", "mechanism", "without_tls")

    def __init__(self, doorkeeper: Doorkeeper | None) -> None:
        """`doorkeeper` None: there is no AUTH."""
        self._doorkeeper = doorkeeper
        self._dialogue: Dialogue | None = None
        self._refusal: Reply | None = None
        """What follows the client's answer to a complaint."""
        self.is_done = False
        self.mechanism = ""
        """What the last AUTH named, taken or not; letters, digits, - and _ (RFC 4422 section 3.1), else empty."""
        self.without_tls = False
        """This client may log in although everybody on its way can listen."""

    def offered(self, *, is_tls: bool) -> Sequence[str]:
        """The mechanisms that EHLO names; only where they may be used."""
        if self._doorkeeper is None or not (is_tls or self.without_tls):
            return ()
        names = self._doorkeeper.mechanisms
        # RFC 7628 section 5: a token needs TLS. What knows no TLS knows no tokens.
        return names if is_tls else [name for name in names if name not in bearer.NAMES]

    def line_bytes(self, otherwise: int, begun: bytes | None = None, *, is_tls: bool) -> int:
        """How long a line may be where AUTH is followed by `begun`, or in the dialogue under way; `otherwise` without a token in it."""
        name = self.mechanism if begun is None else mechanism_of(begun)
        takes_token = is_tls and name in bearer.NAMES and name in self.offered(is_tls=True)
        return max(otherwise, bearer.LINE_MAX_BYTES) if takes_token else otherwise

    def begin(self, text: bytes, *, is_tls: bool, is_extended: bool, in_transaction: bool) -> Step:
        """AUTH was said; what follows goes to `take` when the step is a 334."""
        name = text.partition(b" ")[0][:MECHANISM_MAX].upper()
        self.mechanism = name.decode() if name.isascii() and name.translate(None, b"-_").isalnum() else ""
        if self._doorkeeper is None:
            return NOT_OFFERED
        if not is_tls and (not self.without_tls or mechanism_of(text) in bearer.NAMES):
            return NEEDS_TLS
        if not is_extended:
            return _NO_GREETING
        if self.is_done:
            return _DONE_ALREADY
        if in_transaction:
            return _IN_TRANSACTION
        dialogue, step = begin(text, self._doorkeeper)
        return self._kept(dialogue, step)

    def take(self, line: bytes, *, is_too_long: bool) -> Step:
        """The client's next line, without its line end."""
        dialogue = self._dialogue
        assert dialogue is not None, "a line of a login that has not begun"
        return self._kept(dialogue, TOO_LONG if is_too_long else go_on(dialogue, line))

    def judged(self, login: Login, reply: Reply) -> Reply:
        """What is said to a login that got this reply: where a mechanism complains first, a 334."""
        self.is_done = reply.is_positive
        said = complaint(login) if reply.is_permanent else None
        self._refusal = None if said is None else reply
        return said or reply

    def refusal(self) -> Reply | None:
        """The reply to any line now, as the client has read the complaint; once."""
        reply, self._refusal = self._refusal, None
        return reply

    def forget(self) -> None:
        """Nobody is logged in."""
        self.is_done = False
        self._dialogue = self._refusal = None

    def _kept(self, dialogue: Dialogue | None, step: Step) -> Step:
        goes_on = isinstance(step, Reply) and step.is_intermediate
        self._dialogue = dialogue if goes_on else None
        return step
