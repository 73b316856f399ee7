"""AUTH and XCLIENT in a session: order, TLS, what is forgotten when."""

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.smtp.command import MailCommand
from relay.smtp.reply import Reply, ReplyReader
from relay.smtp.sasl_server import WRONG, Login
from relay.smtp.server import Event, Phase, Server, Signal
from relay.smtp.xclient import XClient
from tests.smtp.test_sasl_server import Doorkeeper
from tests.smtp.test_server import OPTIONS

WELCOME = Reply(235, "2.7.0", "Welcome")
TIM = b64encode(b"\0tim\0sesame")
GUEST = b64encode(b"\0guest\0x")


class Driver:
    """Lets tim in, takes every mail, follows every proxy."""

    def __init__(self, *, is_tls: bool = True, has_auth: bool = True) -> None:
        self.server = Server(OPTIONS, Doorkeeper() if has_auth else None, is_tls=is_tls)
        self.buffer = bytearray()
        self.events: list[Event] = []

    def feed(self, data: bytes) -> bytes:
        server = self.server
        self.buffer += data
        start = 0
        while (event := server.next_event(self.buffer, start, len(self.buffer))) is not None:
            start = server.position
            self.events.append(event)
            match event:
                case Login(username="tim"):
                    server.answer(WELCOME)
                case Login():
                    server.answer(WRONG)
                case XClient():
                    server.answer(Reply(220, "", "again"))
                case Signal.START_TLS:
                    break
                case Signal.RESET | Signal.CONTENT_REFUSED:
                    pass
                case _:
                    server.answer(Reply(250, "2.0.0", "ok"))
        del self.buffer[: server.position]
        return server.take_output()


def test_ehlo_offers_auth_only_where_it_may_be_used() -> None:
    offer = b"250-AUTH SCRAM-SHA-256 PLAIN LOGIN\r\n"
    assert offer in Driver().feed(b"EHLO a\r\n")
    assert b"AUTH" not in Driver(is_tls=False).feed(b"EHLO a\r\n")
    assert b"AUTH" not in Driver(has_auth=False).feed(b"EHLO a\r\n")
    trusted = Driver(is_tls=False)
    trusted.server.login.without_tls = True
    assert offer in trusted.feed(b"EHLO a\r\n")


def test_a_login_before_tls_is_refused_before_it_is_read() -> None:
    driver = Driver(is_tls=False)
    driver.feed(b"EHLO a\r\n")
    assert driver.feed(b"AUTH PLAIN " + TIM + b"\r\n") == b"538 5.7.11 A login needs TLS here\r\n"
    assert driver.events == []


@pytest.mark.parametrize("initial", [True, False])
def test_who_is_logged_in_is_not_logged_in_again(initial: bool) -> None:
    driver = Driver()
    driver.feed(b"EHLO a\r\n")
    if initial:
        assert driver.feed(b"AUTH PLAIN " + TIM + b"\r\n") == b"235 2.7.0 Welcome\r\n"
    else:
        assert driver.feed(b"auth plain\r\n") == b"334 \r\n"
        assert driver.feed(TIM + b"\r\n") == b"235 2.7.0 Welcome\r\n"
    assert driver.server.login.is_done
    assert driver.feed(b"AUTH PLAIN " + TIM + b"\r\n").startswith(b"503 5.5.1 You are logged in")
    # RFC 4954 section 4: a new EHLO changes nothing about it; no security layer was put on.
    driver.feed(b"EHLO a\r\n")
    assert driver.server.login.is_done


def test_auth_has_its_place() -> None:
    driver = Driver()
    assert driver.feed(b"AUTH PLAIN\r\n").startswith(b"503 5.5.1 Say EHLO")
    driver.feed(b"HELO a\r\n")
    assert driver.feed(b"AUTH PLAIN\r\n").startswith(b"503 5.5.1 Say EHLO")
    driver.feed(b"EHLO a\r\nMAIL FROM:<a@b>\r\n")
    assert driver.feed(b"AUTH PLAIN\r\n").startswith(b"503 5.5.1 A transaction")
    driver.feed(b"RSET\r\n")
    assert driver.feed(b"AUTH PLAIN\r\n") == b"334 \r\n"


def test_a_login_that_failed_leaves_nothing_behind() -> None:
    driver = Driver()
    driver.feed(b"EHLO a\r\n")
    assert driver.feed(b"AUTH PLAIN " + GUEST + b"\r\n") == b"535 5.7.8 Name or password is wrong\r\n"
    assert not driver.server.login.is_done
    assert driver.feed(b"AUTH PLAIN\r\n") == b"334 \r\n"
    assert driver.feed(b"*\r\n") == b"501 5.7.0 The login was cancelled\r\n"
    assert driver.feed(b"NOOP\r\n") == b"250 2.0.0 Here I am\r\n"
    assert driver.feed(b"AUTH PLAIN " + TIM + b"\r\n") == b"235 2.7.0 Welcome\r\n"


def test_many_failed_logins_end_the_session() -> None:
    driver = Driver()
    driver.feed(b"EHLO a\r\n")
    for _ in range(OPTIONS.errors_per_session):
        assert driver.feed(b"AUTH PLAIN " + GUEST + b"\r\n").endswith(b"wrong\r\n")
    assert driver.feed(b"AUTH PLAIN " + GUEST + b"\r\n").endswith(b"421 4.7.0 Too many errors\r\n")
    assert driver.server.phase is Phase.CLOSED


def test_a_login_line_without_end_does_not_fill_the_buffer() -> None:
    driver = Driver()
    driver.feed(b"EHLO a\r\nAUTH PLAIN\r\n")
    for _ in range(1000):
        assert driver.feed(b"A" * 100) == b""
        assert len(driver.buffer) <= OPTIONS.command_line_bytes + 102
    assert driver.feed(b"\r\n") == b"500 5.5.6 The line of the login is too long\r\n"
    assert driver.feed(b"NOOP\r\n") == b"250 2.0.0 Here I am\r\n"


def test_a_login_line_that_ends_with_a_bare_lf_ends_the_session() -> None:
    driver = Driver()
    driver.feed(b"EHLO a\r\nAUTH PLAIN\r\n")
    assert driver.feed(TIM + b"\n").startswith(b"500 5.5.2")
    assert driver.server.phase is Phase.CLOSED and driver.events == []


def test_tls_forgets_a_login() -> None:
    driver = Driver(is_tls=False)
    driver.server.login.without_tls = True
    assert driver.feed(b"EHLO a\r\nAUTH PLAIN " + TIM + b"\r\n").endswith(b"235 2.7.0 Welcome\r\n")
    driver.feed(b"STARTTLS\r\n")
    driver.server.tls_started()
    assert b"AUTH SCRAM" in driver.feed(b"EHLO a\r\n")
    assert driver.feed(b"AUTH PLAIN " + GUEST + b"\r\n").startswith(b"535 5.7.8")


def test_tls_forgets_the_greeting_that_a_login_needs() -> None:
    driver = Driver(is_tls=False)
    driver.feed(b"EHLO a\r\nSTARTTLS\r\n")
    driver.server.tls_started()
    assert driver.feed(b"AUTH PLAIN " + TIM + b"\r\n").startswith(b"503 5.5.1 Say EHLO")


def test_nothing_that_follows_starttls_logs_in() -> None:
    driver = Driver(is_tls=False)
    driver.feed(b"EHLO a\r\n")
    assert driver.feed(b"STARTTLS\r\nAUTH PLAIN " + TIM + b"\r\n").startswith(b"503 5.5.1 Nothing may follow")
    assert driver.server.phase is Phase.CLOSED and driver.events == []


def test_commands_behind_a_login_wait_for_its_answer() -> None:
    server = Server(OPTIONS, Doorkeeper(), is_tls=True)
    buffer = bytearray(b"EHLO a\r\nAUTH PLAIN " + TIM + b"\r\nMAIL FROM:<a@b>\r\n")
    assert server.next_event(buffer, 0, len(buffer)) == Login("PLAIN", "tim", b"sesame")
    at = server.position
    assert server.next_event(buffer, at, len(buffer)) is None and server.position == at
    server.answer(Reply(454, "4.7.0", "later"))
    assert not server.login.is_done
    assert server.next_event(buffer, at, len(buffer)) == MailCommand(b"a@b")


def test_xclient_is_for_proxies() -> None:
    driver = Driver()
    assert b"XCLIENT" not in driver.feed(b"EHLO a\r\n")
    assert driver.feed(b"XCLIENT ADDR=192.0.2.1\r\n").startswith(b"502 5.5.1")
    assert driver.events == []


def test_a_session_begins_anew_for_the_client_of_a_proxy() -> None:
    driver = Driver()
    driver.server.offers_xclient = True
    assert b"250-XCLIENT NAME ADDR PROTO HELO LOGIN\r\n" in driver.feed(b"EHLO a\r\n")
    driver.feed(b"AUTH PLAIN " + TIM + b"\r\n")
    assert driver.feed(b"MAIL FROM:<a@b>\r\nXCLIENT ADDR=192.0.2.1\r\n").endswith(
        b"503 5.5.1 A transaction is open\r\n"
    )
    driver.feed(b"RSET\r\n")
    assert driver.feed(b"XCLIENT ADDR=192.0.2.1\r\n") == b"220 again\r\n"
    assert driver.events[-1] == XClient("192.0.2.1") and not driver.server.login.is_done
    assert driver.feed(b"MAIL FROM:<a@b>\r\n").startswith(b"503 5.5.1 Say EHLO")
    driver.feed(b"XCLIENT PROTO=ESMTP HELO=app.example\r\n")
    assert (driver.server.helo, driver.server.is_extended) == (b"app.example", True)
    assert driver.feed(b"MAIL FROM:<a@b>\r\n").startswith(b"250")


words = st.sampled_from(
    [b"EHLO a", b"AUTH PLAIN", b"AUTH PLAIN " + TIM, b"AUTH PLAIN " + GUEST, b"AUTH LOGIN", b"AUTH SCRAM-SHA-256", TIM, b"dGlt",
     b"*", b"", b"=", b"AUTH X", b"MAIL FROM:<a@b>", b"RCPT TO:<c@d>", b"DATA", b".", b"RSET", b"XCLIENT ADDR=192.0.2.1",
     b"x" * 600, b"QUIT", b"\0", b"bixuPXRpbSxyPWFiYw=="]
)  # fmt: skip
talks = st.lists(st.tuples(words, st.sampled_from([b"\r\n"] * 6 + [b"\n", b""])), max_size=25).map(
    lambda parts: b"".join(a + b for a, b in parts)
)


@given(talks, st.integers(1, 40), st.booleans())
def test_any_talk_gets_well_formed_replies_and_is_cut_alike(talk: bytes, size: int, is_tls: bool) -> None:
    whole, cut = Driver(is_tls=is_tls), Driver(is_tls=is_tls)
    whole.server.offers_xclient = cut.server.offers_xclient = True
    out = whole.feed(talk)
    assert b"".join(cut.feed(talk[at : at + size]) for at in range(0, len(talk), size)) == out
    assert cut.events == whole.events
    reader = ReplyReader()
    for reply in reader.feed(out):
        assert reply.enhanced or reply.code in (220, 250, 334, 354), reply
    assert reader.is_empty
    # Whatever was said: only a name and password that are right log in, and only where nobody can listen.
    done = [event for event in whole.events if isinstance(event, Login) and event.username == "tim"]
    assert not whole.server.login.is_done or (done and is_tls)
