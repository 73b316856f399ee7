"""Tokens in a session: long lines, the complaint and what follows it, TLS before all of it."""

from base64 import b64decode, b64encode

import pytest

from relay.smtp.bearer import LINE_MAX_BYTES
from relay.smtp.reply import Reply
from relay.smtp.sasl_server import WRONG_TOKEN, Login
from relay.smtp.server import Event, Phase, Server
from tests.fakes.tokens import oauthbearer, xoauth2
from tests.smtp.test_sasl_server import Doorkeeper
from tests.smtp.test_server import OPTIONS

WELCOME = b"235 2.7.0 Welcome\r\n"
REFUSED = b"535 5.7.8 The token is not taken here\r\n"
INVALID = b'{"status":"invalid_token"}'
GOOGLES = b'{"status":"401","schemes":"bearer","scope":""}'
GOOD = "good." + "x" * 6_000
BEGUN = {"OAUTHBEARER": oauthbearer, "XOAUTH2": xoauth2}
ANSWERS = {"OAUTHBEARER": (b64encode(b"\x01"), INVALID), "XOAUTH2": (b"", GOOGLES)}
WAYS = pytest.mark.parametrize("mechanism", BEGUN)


class Tokens(Doorkeeper):
    mechanisms = (*Doorkeeper.mechanisms, "OAUTHBEARER", "XOAUTH2")


class Driver:
    """Takes tokens that begin with "good", for whom it may be; `busy` is told to come again, `banned` to go."""

    def __init__(self, *, is_tls: bool = True, step: int = 0, takes_tokens: bool = True) -> None:
        self.server = Server(OPTIONS, Tokens() if takes_tokens else Doorkeeper(), is_tls=is_tls)
        self.server.login.without_tls = True
        self.buffer = bytearray()
        self.events: list[Event] = []
        self.most = 0
        self._step = step
        self.feed(b"EHLO a\r\n")

    def feed(self, data: bytes) -> bytes:
        out = b""
        for start in range(0, len(data), self._step or max(1, len(data))):
            out += self._feed(data[start : start + (self._step or len(data))])
        return out

    def _feed(self, data: bytes) -> bytes:
        server, start = self.server, 0
        self.buffer += data
        while (event := server.next_event(self.buffer, start, len(self.buffer))) is not None:
            start = server.position
            self.events.append(event)
            assert isinstance(event, Login)
            replies = {b"good": Reply(235, "2.7.0", "Welcome"), b"busy": Reply(454, "4.7.0", "Later")}
            replies[b"bann"] = Reply(421, "4.7.0", "Go away")
            server.answer(replies.get(event.password[:4], WRONG_TOKEN))
        del self.buffer[: server.position]
        self.most = max(self.most, len(self.buffer))
        return server.take_output()


@WAYS
@pytest.mark.parametrize("step", [0, 1, 7, 1_000])
def test_a_token_of_several_thousand_bytes_logs_in(mechanism: str, step: int) -> None:
    message = BEGUN[mechanism](GOOD, "tim")
    assert 8_000 < len(message) < LINE_MAX_BYTES
    expected = Login(mechanism, "tim", GOOD.encode())
    driver = Driver(step=step)
    assert driver.feed(b"AUTH %b %b\r\n" % (mechanism.encode(), message)) == WELCOME
    again = Driver(step=step)
    assert again.feed(b"auth %b\r\n" % mechanism.lower().encode()) == b"334 \r\n"
    assert again.feed(message + b"\r\nNOOP\r\n") == WELCOME + b"250 2.0.0 Here I am\r\n"
    assert driver.events == again.events == [expected]
    # A session's own buffer is small (relay.receive.buffers): what is longer is kept here.
    assert step == 0 or again.most <= OPTIONS.command_line_bytes + step + 2


@WAYS
@pytest.mark.parametrize("answer", [None, b"*", b"", b"AQ==", b"what?", b"QUIT"])
def test_a_refusal_comes_after_the_complaint_whatever_the_client_makes_of_it(
    mechanism: str, answer: bytes | None
) -> None:
    usual, text = ANSWERS[mechanism]
    driver = Driver()
    said = driver.feed(b"AUTH %b %b\r\n" % (mechanism.encode(), BEGUN[mechanism]("bad")))
    assert said.startswith(b"334 ") and b64decode(said[4:]) == text
    assert driver.server.phase is Phase.AUTH and not driver.server.login.is_done
    assert driver.feed((usual if answer is None else answer) + b"\r\n") == REFUSED
    # No fact of the command's: the login is told of once, by whoever has judged it.
    assert driver.server.refused == []
    assert driver.feed(b"NOOP\r\n").startswith(b"250 ")
    assert driver.feed(b"AUTH %b %b\r\n" % (mechanism.encode(), BEGUN[mechanism](GOOD))) == WELCOME


@WAYS
def test_what_is_no_fault_of_the_token_is_told_at_once(mechanism: str) -> None:
    driver = Driver()
    auth = b"AUTH %b " % mechanism.encode()
    assert driver.feed(auth + BEGUN[mechanism]("busy") + b"\r\n") == b"454 4.7.0 Later\r\n"
    assert driver.feed(auth + b64encode(b"n,a=") + b"\r\n").startswith(b"501 5.5.2")
    assert driver.feed(auth + b"no base64\r\n").startswith(b"501 5.5.2")
    assert driver.feed(auth.rstrip() + b"\r\n*\r\n").endswith(b"501 5.7.0 The login was cancelled\r\n")
    assert driver.feed(auth + BEGUN[mechanism]("banned") + b"\r\n") == b"421 4.7.0 Go away\r\n"
    assert driver.server.phase is Phase.CLOSED


@WAYS
def test_a_token_is_taken_over_tls_only(mechanism: str) -> None:
    driver = Driver(is_tls=False)
    assert b"PLAIN" in driver.feed(b"EHLO a\r\n") and mechanism.encode() not in driver.feed(b"EHLO a\r\n")
    for initial in (b"", b" " + BEGUN[mechanism]("good")):
        said = driver.feed(b"AUTH %b%b\r\n" % (mechanism.encode(), initial))
        assert said == b"538 5.7.11 A login needs TLS here\r\n"
    assert driver.events == []


def test_refused_tokens_end_a_session_in_the_end() -> None:
    driver = Driver()
    for _ in range(OPTIONS.errors_per_session):
        assert driver.feed(b"AUTH XOAUTH2 %b\r\n\r\n" % xoauth2("bad")).endswith(REFUSED)
    said = driver.feed(b"AUTH XOAUTH2 %b\r\n\r\n" % xoauth2("bad"))
    assert said.endswith(b"421 4.7.0 Too many errors\r\n") and driver.server.phase is Phase.CLOSED


@pytest.mark.parametrize("step", [0, 1, 1_000])
@pytest.mark.parametrize("more", [0, 1])
def test_a_line_of_a_login_is_as_long_as_the_bound_and_no_longer(step: int, more: int) -> None:
    line = b"AUTH XOAUTH2 ".ljust(LINE_MAX_BYTES + more, b"A") + b"\r\n"
    said = Driver(step=step).feed(line)
    assert said.startswith(b"500 5.5.2" if more else b"501 5.5.2"), said
    in_dialogue = Driver(step=step)
    in_dialogue.feed(b"AUTH XOAUTH2\r\n")
    said = in_dialogue.feed(b"A" * (LINE_MAX_BYTES + more) + b"\r\n")
    assert said.startswith(b"500 5.5.6" if more else b"501 5.5.2 That is no answer"), said
    assert in_dialogue.feed(b"NOOP\r\n").startswith(b"250 "), "out of step"


@pytest.mark.parametrize("step", [0, 1, 1_000])
def test_nobody_else_may_say_longer_lines(step: int) -> None:
    long = b"A" * (OPTIONS.command_line_bytes + 1)
    for driver in (Driver(step=step, takes_tokens=False), Driver(step=step, is_tls=False)):
        assert driver.feed(b"AUTH PLAIN " + long + b"\r\n").startswith(b"500 5.5.2")
    for verb in (
        b"NOOP ",
        b"AUTHX ",
        b" AUTH ",
        b"",
        b"AUTH PLAIN ",
        b"AUTH SCRAM-SHA-256 ",
        b"AUTH XOAUTH2X ",
        b"AUTH  XOAUTH2 ",
    ):
        driver = Driver(step=step)
        assert driver.feed(verb + long + b"\r\n").startswith(b"500 5.5.2"), verb
        assert driver.feed(b"NOOP\r\n").startswith(b"250 "), "out of step"


@pytest.mark.parametrize("mechanism", [b"PLAIN", b"LOGIN", b"SCRAM-SHA-256"])
def test_nor_in_the_dialogue_of_a_password(mechanism: bytes) -> None:
    driver = Driver()
    # Nor after one of a token.
    driver.feed(b"AUTH XOAUTH2 %b\r\n\r\nAUTH %b\r\n" % (xoauth2("bad"), mechanism))
    said = driver.feed(b"A" * (OPTIONS.command_line_bytes + 4) + b"\r\n")
    assert said == b"500 5.5.6 The line of the login is too long\r\n"


@WAYS
def test_a_lone_line_feed_ends_a_long_line_as_any_other(mechanism: str) -> None:
    driver = Driver(step=500)
    said = driver.feed(b"AUTH %b " % mechanism.encode() + b"A" * 5_000 + b"\nNOOP\r\n")
    assert said == b"500 5.5.2 A command ends with CRLF, not with a bare LF\r\n"
    assert driver.server.phase is Phase.CLOSED
