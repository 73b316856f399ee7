"""The server without a network: whatever comes, however it is cut."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.smtp.command import MailCommand, RcptCommand
from relay.smtp.reply import Reply, ReplyReader
from relay.smtp.server import Phase, Server, ServerOptions, Signal

OPTIONS = ServerOptions(
    hostname="relay.example", starttls=True, refuse_bare_lf=False, message_bytes=5_000, content_line_bytes=1_000,
    command_line_bytes=512, recipients_per_message=10, mails_per_session=5, errors_per_session=5, commands_without_mail=50,
)  # fmt: skip


class Driver:
    """Takes every mail; remembers content and replies."""

    def __init__(self, *, takes: bool = True) -> None:
        self.server = Server(OPTIONS)
        self.buffer = bytearray()
        self.mails: list[bytes] = []
        self.signals: list[Signal] = []
        self.out = b""
        self.takes = takes

    def feed(self, data: bytes) -> bytes:
        server = self.server
        self.buffer += data
        start = 0
        while (event := server.next_event(self.buffer, start, len(self.buffer))) is not None:
            start = server.position
            if isinstance(event, Signal):
                self.signals.append(event)
            if event is Signal.END_OF_CONTENT:
                self.mails.append(bytes(server.content))
            if isinstance(event, MailCommand | RcptCommand) or event is Signal.END_OF_CONTENT:
                server.answer(Reply(250, "2.0.0", "ok") if self.takes else Reply(451, "4.3.0", "no"))
            elif event is Signal.START_TLS:
                break
        del self.buffer[: server.position]
        out = server.take_output()
        self.out += out
        return out


TALK = (
    b"EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nSubject: x\r\n\r\n..one\r\n.\r\n"
    b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 5\r\nA: b\rBDAT 11 LAST\r\n\n\r\nQUIT\r\n\r\n"
    b"NOOP\r\nMAIL FROM:<a@b>\r\nRSET\r\n" + b"NOOP " + b"x" * 600 + b"\r\nWHAT\r\nQUIT\r\nNOOP\r\n"
)
MAILS = [b"Subject: x\r\n\r\n.one\r\n", b"A: b\r\n\r\nQUIT\r\n\r\n"]


@given(st.lists(st.integers(0, len(TALK)), max_size=12))
def test_a_session_is_the_same_however_it_is_cut(cuts: list[int]) -> None:
    whole, cut = Driver(), Driver()
    whole.feed(TALK)
    for start, end in pairwise([0, *sorted(cuts), len(TALK)]):
        cut.feed(TALK[start:end])
    assert cut.mails == whole.mails == MAILS
    assert cut.out == whole.out
    assert cut.server.phase is Phase.CLOSED


def test_a_session_is_the_same_byte_by_byte() -> None:
    whole, cut = Driver(), Driver()
    whole.feed(TALK)
    for byte in TALK:
        cut.feed(bytes((byte,)))
    assert cut.out == whole.out and cut.mails == MAILS


words = st.sampled_from(
    [b"EHLO a", b"HELO a", b"MAIL FROM:<a@b>", b"MAIL FROM:<>", b"RCPT TO:<c@d>", b"RCPT TO:<>", b"DATA", b"RSET",
     b"BDAT 4", b"BDAT 0 LAST", b"BDAT 3 LAST", b"BDAT x", b"NOOP", b"QUIT", b"STARTTLS", b"VRFY x", b"HELP", b".", b"",
     b"\r", b"\n", b"\0", b"x" * 600, b"Subject: x"]
)  # fmt: skip
ends = st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b"", b"\r\n.\r\n"])
noise = st.lists(st.tuples(words, ends), max_size=30).map(lambda parts: b"".join(a + b for a, b in parts))


@given(noise, st.booleans(), st.integers(1, 40))
def test_any_talk_gets_well_formed_replies_and_is_cut_alike(talk: bytes, takes: bool, size: int) -> None:
    whole, cut = Driver(takes=takes), Driver(takes=takes)
    whole.feed(talk)
    for start in range(0, len(talk), size):
        if cut.server.phase is Phase.ANSWER:
            # STARTTLS was the last that came; in one piece something followed it, and that is refused.
            break
        cut.feed(talk[start : start + size])
    if Signal.START_TLS not in whole.signals + cut.signals:
        assert cut.out == whole.out and cut.mails == whole.mails
    reader = ReplyReader()
    for reply in reader.feed(whole.out):
        assert reply.enhanced or reply.code in (354, 250), reply
    assert reader.is_empty
    assert len(whole.server.content) <= OPTIONS.message_bytes


def test_all_replies_of_one_read_leave_together() -> None:
    driver = Driver()
    replies = ReplyReader().feed(driver.feed(b"EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n"))
    assert [reply.code for reply in replies] == [250, 250, 250, 354]


def test_pipelined_commands_wait_for_the_answer() -> None:
    server = Server(OPTIONS)
    buffer = bytearray(b"EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n")
    assert server.next_event(buffer, 0, len(buffer)) == MailCommand(b"a@b")
    at = server.position
    assert server.next_event(buffer, at, len(buffer)) is None and server.position == at
    server.answer(Reply(250, "2.1.0", "ok"))
    assert server.next_event(buffer, at, len(buffer)) == RcptCommand(b"c@d")


def test_an_unfinished_line_does_not_fill_the_buffer() -> None:
    driver = Driver()
    for _ in range(1000):
        driver.feed(b"x" * 100)
        assert len(driver.buffer) <= OPTIONS.command_line_bytes + 102
    assert (
        driver.feed(b"\r\nNOOP\r\n") == b"500 5.5.2 The command line is too long\r\n250 2.0.0 Here I am\r\n"
    )


def test_tls_forgets_what_was_said_before_it() -> None:
    driver = Driver()
    driver.feed(b"EHLO a\r\nMAIL FROM:<a@b>\r\n")
    assert driver.feed(b"STARTTLS\r\n") == b"220 2.0.0 Start TLS\r\n"
    driver.server.tls_started()
    assert driver.feed(b"MAIL FROM:<a@b>\r\n").startswith(b"503 5.5.1 Say EHLO")
    assert b"STARTTLS" not in driver.feed(b"EHLO a\r\n")
    assert driver.feed(b"STARTTLS\r\n").startswith(b"503 5.5.1 TLS is active")


def test_a_refused_mail_leaves_nothing_behind() -> None:
    driver = Driver()
    driver.feed(
        b"EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nfirst\r\n" + b"x" * 1100 + b"\r\n.\r\n"
    )
    assert driver.signals == [Signal.CONTENT_REFUSED] and not driver.server.content
    driver.feed(b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nsecond\r\n.\r\n")
    assert driver.mails == [b"second\r\n"]


def test_a_reset_between_chunks_leaves_nothing_behind() -> None:
    driver = Driver()
    driver.feed(b"EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 3\r\na\r\nRSET\r\n")
    assert driver.signals == [Signal.RESET] and not driver.server.content
    driver.feed(b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 3 LAST\r\nb\r\n")
    assert driver.mails == [b"b\r\n"]


def test_a_mail_that_was_not_taken_does_not_count() -> None:
    driver = Driver(takes=False)
    driver.feed(b"EHLO a\r\n")
    assert driver.feed(b"MAIL FROM:<a@b>\r\n") == b"451 4.3.0 no\r\n"
    assert driver.server.mail is None
    assert [command for command, _ in driver.server.refused] == ["MAIL"]


def test_an_answer_of_421_ends_the_session() -> None:
    server = Server(OPTIONS)
    buffer = bytearray(b"EHLO a\r\nMAIL FROM:<a@b>\r\nNOOP\r\n")
    server.next_event(buffer, 0, len(buffer))
    server.answer(Reply(421, "4.3.2", "later"))
    assert server.phase is Phase.CLOSED
    assert server.next_event(buffer, server.position, len(buffer)) is None


@pytest.mark.parametrize("size", [4_999, 5_000, 5_001])
def test_the_size_limit_is_exact(size: int) -> None:
    driver = Driver()
    content = (b"x" * 98 + b"\r\n") * 49 + b"x" * (size - 4_902) + b"\r\n"
    assert len(content) == size
    driver.feed(b"EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n" + content + b".\r\n")
    assert (driver.mails == [content]) is (len(content) <= 5_000)
