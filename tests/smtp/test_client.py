"""The client's state machine, spoken to by hand."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.errors import ProtocolError
from relay.smtp.client import (
    Client,
    Completed,
    ContentWanted,
    Ended,
    Event,
    Login,
    Misconfigured,
    Ready,
    StartTls,
    TlsWanted,
    TokenLogin,
    Unavailable,
)
from relay.smtp.offer import Offer
from relay.smtp.transaction import Phase, Transaction, refusal

ALL = ("PIPELINING", "SIZE 1000000", "8BITMIME", "SMTPUTF8", "DSN", "CHUNKING")
OK, GO = b"250 2.0.0 Ok\r\n", b"354 Go ahead\r\n"
NO, LATER = b"550 5.1.1 No such user\r\n", b"450 4.2.1 Later\r\n"


@dataclass
class Rcpt:
    address: bytes
    notify: bytes = b""
    orcpt: bytes = b""


@dataclass
class Mail:
    sender: bytes = b"a@b.test"
    size: int = 10
    is_8bit: bool = False
    is_utf8: bool = False
    ret: bytes = b""
    envid: bytes = b""


def mail(
    *recipients: bytes, head: bytes = b"Subject: x\r\n\r\nx\r\n", chunks: int = 1, **fields: object
) -> Transaction:
    names = recipients or (b"c@d.test",)
    envelope = Mail(**fields)  # type: ignore[arg-type]  # names are checked at run time
    return Transaction(envelope, [Rcpt(name) for name in names], head, chunks)


def ehlo(*keywords: str) -> bytes:
    lines = ["host", *keywords]
    return b"".join(f"250{'-' if i < len(lines) - 1 else ' '}{t}\r\n".encode() for i, t in enumerate(lines))


def ready(*keywords: str, use_bdat: bool = False) -> Client:
    client = Client(b"relay.test", use_bdat=use_bdat)
    assert client.receive(b"220 hello\r\n") == []
    assert client.take_output() == b"EHLO relay.test\r\n"
    assert client.receive(ehlo(*(keywords or ALL))) == [Ready()]
    assert client.take_output() == b""
    return client


def codes(transaction: Transaction) -> list[int]:
    return [reply.code for reply in transaction.replies()]


# The session.


def test_without_esmtp_helo_is_said() -> None:
    client = Client(b"relay.test")
    client.receive(b"220 hello\r\n")
    client.take_output()
    assert client.receive(b"500 what?\r\n") == []
    assert client.take_output() == b"HELO relay.test\r\n"
    assert client.receive(b"250 hi\r\n") == [Ready()]


@pytest.mark.parametrize("greeting", [b"554 5.3.2 go away\r\n", b"421 4.3.2 busy\r\n", b"450 later\r\n"])
def test_a_refused_session_is_unavailable(greeting: bytes) -> None:
    [event] = Client(b"relay.test").receive(greeting)
    assert isinstance(event, Unavailable) and greeting[:3].decode() in event.reason


def test_starttls_starts_over_with_ehlo() -> None:
    client = Client(b"relay.test", start_tls=StartTls.ALWAYS)
    client.receive(b"220 hello\r\n" + ehlo("STARTTLS", "PIPELINING"))
    assert client.take_output().endswith(b"STARTTLS\r\n")
    assert client.receive(b"220 go\r\n") == [TlsWanted()]
    client.tls_started()
    assert client.take_output() == b"EHLO relay.test\r\n"
    assert client.offer == Offer(), "what was offered in clear is forgotten"
    assert client.receive(ehlo("SIZE")) == [Ready()]
    assert client.is_encrypted


@pytest.mark.parametrize("injected", [b"250 ready for your password\r\n", b"2", b"250-x\r\n"])
def test_nothing_may_follow_the_reply_to_starttls(injected: bytes) -> None:
    client = Client(b"relay.test", start_tls=StartTls.ALWAYS)
    client.receive(b"220 hello\r\n" + ehlo("STARTTLS"))
    with pytest.raises(ProtocolError):
        client.receive(b"220 go\r\n" + injected)


def test_nothing_may_come_in_clear_before_the_handshake() -> None:
    client = Client(b"relay.test", start_tls=StartTls.ALWAYS)
    client.receive(b"220 hello\r\n" + ehlo("STARTTLS"))
    client.receive(b"220 go\r\n")
    with pytest.raises(ProtocolError):
        client.receive(b"250 late\r\n")


def test_required_tls_that_is_not_offered_is_a_fault() -> None:
    client = Client(b"relay.test", start_tls=StartTls.ALWAYS)
    [event] = client.receive(b"220 hello\r\n" + ehlo("PIPELINING"))
    assert isinstance(event, Misconfigured)


def test_opportunistic_tls_goes_on_without() -> None:
    client = Client(b"relay.test", start_tls=StartTls.IF_OFFERED)
    assert client.receive(b"220 hello\r\n" + ehlo("PIPELINING")) == [Ready()]
    refused = Client(b"relay.test", start_tls=StartTls.IF_OFFERED)
    assert refused.receive(b"220 hello\r\n" + ehlo("STARTTLS") + b"454 4.7.0 not now\r\n") == [Ready()]


def test_auth_plain_is_one_line() -> None:
    client = Client(b"relay.test", is_encrypted=True, login=Login("user", "secret"))
    client.receive(b"220 hello\r\n" + ehlo("AUTH LOGIN PLAIN"))
    assert client.take_output().endswith(b"AUTH PLAIN " + b64encode(b"\0user\0secret") + b"\r\n")
    assert client.receive(b"235 2.7.0 welcome\r\n") == [Ready()]


def test_auth_login_answers_two_prompts() -> None:
    client = Client(b"relay.test", is_encrypted=True, login=Login("user", "secret"))
    client.receive(b"220 hello\r\n" + ehlo("AUTH LOGIN"))
    assert client.take_output().endswith(b"AUTH LOGIN\r\n")
    client.receive(b"334 VXNlcm5hbWU6\r\n")
    assert client.take_output() == b64encode(b"user") + b"\r\n"
    client.receive(b"334 UGFzc3dvcmQ6\r\n")
    assert client.take_output() == b64encode(b"secret") + b"\r\n"
    assert client.receive(b"235 welcome\r\n") == [Ready()]


def test_a_password_never_goes_out_in_clear_unless_that_was_asked_for() -> None:
    client = Client(b"relay.test", start_tls=StartTls.IF_OFFERED, login=Login("user", "secret"))
    [event] = client.receive(b"220 hello\r\n" + ehlo("AUTH PLAIN"))
    assert isinstance(event, Misconfigured)
    assert b"AUTH" not in client.take_output()
    willing = Client(b"relay.test", login=Login("user", "secret", in_clear=True))
    assert willing.receive(b"220 hello\r\n" + ehlo("AUTH PLAIN") + b"235 ok\r\n") == [Ready()]


def opened_for_a_token(token: str = "t" * 3000) -> Client:
    client = Client(b"relay.test", is_encrypted=True, login=TokenLogin("orders@contoso.example", token))
    assert client.receive(b"220 hello\r\n" + ehlo("AUTH LOGIN XOAUTH2")) == []
    assert client.take_output().endswith(b"AUTH XOAUTH2\r\n")
    return client


def test_a_token_goes_out_in_two_steps() -> None:
    client = opened_for_a_token()
    assert client.receive(b"334 \r\n") == []
    blob = b"user=orders@contoso.example\x01auth=Bearer " + b"t" * 3000 + b"\x01\x01"
    assert client.take_output() == b64encode(blob) + b"\r\n"
    assert client.receive(b"235 2.7.0 Authentication successful\r\n") == [Ready()]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_a_token_that_is_refused_with_a_complaint_is_told_with_it(size: int) -> None:
    client = opened_for_a_token("hidden")
    said = b"334\r\n334 " + b64encode(b'{"status":"401"}') + b"\r\n535 5.7.8 No\r\n"
    events = [event for at in range(0, len(said), size) for event in client.receive(said[at : at + size])]
    blob = b64encode(b"user=orders@contoso.example\x01auth=Bearer hidden\x01\x01")
    assert client.take_output() == blob + b"\r\n\r\n"
    [event] = events
    assert isinstance(event, Misconfigured) and event.reply is not None and event.reply.code == 535
    assert event.reason == 'refused the login: 535 5.7.8 No; it said of the token: {"status":"401"}'


def test_a_token_is_not_sent_in_clear_nor_shown() -> None:
    login = TokenLogin("orders@contoso.example", "hidden")
    client = Client(b"relay.test", start_tls=StartTls.IF_OFFERED, login=login)
    [event] = client.receive(b"220 hello\r\n" + ehlo("AUTH XOAUTH2"))
    assert isinstance(event, Misconfigured) and b"AUTH" not in client.take_output()
    assert "hidden" not in repr(login) + repr(event)


def test_a_server_that_takes_no_token_is_named_with_what_it_takes() -> None:
    client = Client(b"relay.test", is_encrypted=True, login=TokenLogin("a@b.test", "token"))
    [event] = client.receive(b"220 hello\r\n" + ehlo("AUTH LOGIN"))
    assert isinstance(event, Misconfigured) and "no AUTH XOAUTH2 but LOGIN" in event.reason


@pytest.mark.parametrize(
    ("reply", "kind"),
    [(b"535 5.7.8 wrong\r\n", Misconfigured), (b"454 4.7.0 try later\r\n", Unavailable)],
)
def test_a_refused_login_is_a_fault_and_a_postponed_one_is_not(reply: bytes, kind: type[Event]) -> None:
    client = Client(b"relay.test", is_encrypted=True, login=Login("user", "secret"))
    [event] = client.receive(b"220 hello\r\n" + ehlo("AUTH PLAIN") + reply)
    assert isinstance(event, kind) and "secret" not in str(event)


def test_no_mechanism_in_common_is_a_fault() -> None:
    client = Client(b"relay.test", is_encrypted=True, login=Login("user", "secret"))
    [event] = client.receive(b"220 hello\r\n" + ehlo("AUTH XOAUTH2"))
    assert isinstance(event, Misconfigured) and "XOAUTH2" in event.reason


def test_the_password_does_not_show_in_a_repr() -> None:
    assert "secret" not in repr(Login("user", "secret"))


# Transactions.


def test_the_envelope_is_one_write() -> None:
    client = ready()
    assert client.begin(mail(b"c@d.test", b"e@f.test")) is False
    assert client.take_output() == (
        b"MAIL FROM:<a@b.test> SIZE=10\r\nRCPT TO:<c@d.test>\r\nRCPT TO:<e@f.test>\r\nDATA\r\n"
    )


def test_a_warm_connection_costs_one_round_trip_a_mail() -> None:
    client = ready()
    first, second = mail(head=b"one\r\n"), mail(head=b".two")
    client.begin(first)
    client.take_output()
    assert client.receive(OK + OK + GO) == [ContentWanted(first)]
    client.send(first, first.head, is_last=True)
    client.begin(second)
    with pytest.raises(AssertionError):
        client.begin(mail())
    assert (
        client.take_output() == b"one\r\n.\r\nMAIL FROM:<a@b.test> SIZE=10\r\nRCPT TO:<c@d.test>\r\nDATA\r\n"
    )
    assert client.awaits_verdict
    assert client.receive(OK + OK + OK + GO) == [Completed(first), ContentWanted(second)]
    client.send(second, second.head, is_last=True)
    assert client.take_output() == b"..two\r\n.\r\n", "stuffed, and the missing line end added"
    assert client.receive(OK) == [Completed(second)]
    assert codes(first) == codes(second) == [250]
    assert client.is_idle


def test_content_in_pieces_is_stuffed_across_their_borders() -> None:
    client, big = ready(), mail(chunks=3)
    client.begin(big)
    client.receive(OK + OK + GO)
    client.take_output()
    for piece, is_last in ((b"a\r\n", False), (b".b\r", False), (b"\n.c\r\n", True)):
        client.send(big, piece, is_last=is_last)
    assert client.take_output() == b"a\r\n..b\r\n..c\r\n.\r\n"


def test_without_pipelining_each_command_waits() -> None:
    client, both = ready("SIZE"), mail(b"c@d.test", b"e@f.test")
    client.begin(both)
    sent = [bytes(client.take_output())]
    for reply in (OK, NO, OK):
        assert client.receive(reply) == []
        sent.append(bytes(client.take_output()))
    assert sent == [
        b"MAIL FROM:<a@b.test> SIZE=10\r\n",
        b"RCPT TO:<c@d.test>\r\n",
        b"RCPT TO:<e@f.test>\r\n",
        b"DATA\r\n",
    ]
    assert client.receive(GO) == [ContentWanted(both)]
    client.send(both, b"x\r\n", is_last=True)
    assert not client.can_begin
    assert client.receive(OK) == [Completed(both)]
    assert codes(both) == [550, 250]
    assert client.can_begin


def test_without_pipelining_a_refused_sender_ends_it_there() -> None:
    client, one = ready("SIZE"), mail()
    client.begin(one)
    client.take_output()
    assert client.receive(NO) == [Completed(one)]
    assert client.take_output() == b""
    client.begin(mail())
    assert client.take_output().startswith(b"MAIL")


def test_without_pipelining_no_recipient_means_no_data_but_rset() -> None:
    client, one = ready("SIZE"), mail()
    client.begin(one)
    assert client.receive(OK + NO) == [Completed(one)]
    client.take_output()
    client.begin(mail())
    assert client.take_output() == b"RSET\r\n"
    client.receive(OK)
    assert client.take_output() == b"MAIL FROM:<a@b.test> SIZE=10\r\n"


def test_some_recipients_refused_the_others_get_the_mail() -> None:
    client, three = ready(), mail(b"1@d.test", b"2@d.test", b"3@d.test")
    client.begin(three)
    assert client.receive(OK + OK + NO + LATER + GO) == [ContentWanted(three)]
    client.send(three, b"x\r\n", is_last=True)
    client.receive(b"250 2.0.0 queued\r\n")
    assert codes(three) == [250, 550, 450]


def test_all_recipients_refused_no_content_leaves() -> None:
    client, one = ready(), mail()
    client.begin(one)
    client.take_output()
    assert client.receive(OK + NO + b"554 5.5.1 no valid recipients\r\n") == [Completed(one)]
    assert codes(one) == [550] and not one.content_begun
    client.begin(mail())
    assert client.take_output().startswith(b"RSET\r\nMAIL"), "else the server sees a nested MAIL"


def test_354_without_a_recipient_is_answered_with_a_lone_dot() -> None:
    client, one = ready(), mail()
    client.begin(one)
    client.take_output()
    assert client.receive(OK + NO + GO) == []
    assert client.take_output() == b".\r\n"
    assert client.receive(b"554 5.5.1 no valid recipients\r\n") == [Completed(one)]
    assert codes(one) == [550]
    client.begin(mail())
    assert client.take_output().startswith(b"MAIL")


def test_a_refused_sender_decides_for_all_recipients() -> None:
    client, two = ready(), mail(b"1@d.test", b"2@d.test")
    client.begin(two)
    assert client.receive(b"550 5.7.1 not you\r\n" + b"503 no\r\n" * 3) == [Completed(two)]
    assert [str(reply) for reply in two.replies()] == ["550 5.7.1 not you"] * 2


def test_refused_data_is_the_reply_of_those_accepted() -> None:
    client, two = ready(), mail(b"1@d.test", b"2@d.test")
    client.begin(two)
    assert client.receive(OK + OK + NO + b"451 4.3.0 not now\r\n") == [Completed(two)]
    assert codes(two) == [451, 550]


def test_251_counts_as_accepted() -> None:
    client, one = ready(), mail()
    client.begin(one)
    assert client.receive(OK + b"251 will forward\r\n" + GO) == [ContentWanted(one)]


def test_a_reply_to_nothing_breaks_the_protocol() -> None:
    with pytest.raises(ProtocolError):
        ready().receive(OK)


def test_250_to_data_breaks_the_protocol() -> None:
    client = ready()
    client.begin(mail())
    with pytest.raises(ProtocolError):
        client.receive(OK + OK + OK)


def test_garbage_breaks_the_protocol() -> None:
    with pytest.raises(ProtocolError):
        ready().receive(b"hello there\r\n")


def test_421_while_idle_ends_the_session() -> None:
    [event] = ready().receive(b"421 4.4.2 idle too long\r\n")
    assert isinstance(event, Ended)


def test_421_before_the_content_leaves_the_mail_unfinished() -> None:
    client, one = ready(), mail()
    client.begin(one)
    [event] = client.receive(OK + b"421 4.3.2 shutting down\r\n" + GO)
    assert isinstance(event, Ended)
    assert client.unfinished == (one,) and not client.can_begin


def test_421_to_the_dot_is_a_verdict_on_that_mail_alone() -> None:
    client, first, second = ready(), mail(), mail()
    client.begin(first)
    client.receive(OK + OK + GO)
    client.send(first, b"x\r\n", is_last=True)
    client.begin(second)
    events = client.receive(b"421 4.3.2 shutting down\r\n")
    assert [type(event) for event in events] == [Completed, Ended]
    assert codes(first) == [421] and client.unfinished == (second,)


def test_quit_is_answered_with_ended() -> None:
    client = ready()
    client.quit()
    assert client.take_output() == b"QUIT\r\n"
    [event] = client.receive(b"221 bye\r\n")
    assert isinstance(event, Ended)


# BDAT.


def test_bdat_sends_the_whole_transaction_in_one_write() -> None:
    client, one = ready(use_bdat=True), mail(head=b".x\r\n")
    assert client.begin(one) is True
    client.send(one, one.head, is_last=True)
    assert client.take_output() == (
        b"MAIL FROM:<a@b.test> SIZE=10\r\nRCPT TO:<c@d.test>\r\nBDAT 4 LAST\r\n.x\r\n"
    )
    assert client.receive(OK + OK + OK) == [Completed(one)]
    assert codes(one) == [250]


def test_bdat_is_not_used_where_it_is_not_offered() -> None:
    client = ready("PIPELINING", use_bdat=True)
    client.begin(mail())
    assert client.take_output().endswith(b"DATA\r\n")


def test_behind_a_bdat_the_next_mail_begins_with_rset() -> None:
    client, first, second = ready(use_bdat=True), mail(), mail()
    client.begin(first)
    client.send(first, b"x\r\n", is_last=True)
    client.take_output()
    client.begin(second)
    client.send(second, b"y\r\n", is_last=True)
    assert client.take_output().startswith(b"RSET\r\nMAIL")
    assert not client.can_begin, "two are under way"
    refused = b"503 5.5.1 no recipients\r\n"
    assert client.receive(OK + NO + refused) == [Completed(first)]
    assert client.receive(OK + OK + OK + OK) == [Completed(second)]
    assert codes(first) == [550] and codes(second) == [250]


def test_a_refused_chunk_ends_the_mail() -> None:
    client, big = ready(use_bdat=True), mail(chunks=3)
    client.begin(big)
    client.send(big, b"x\r\n", is_last=False)
    client.send(big, b"y\r\n", is_last=False)
    assert client.receive(OK + OK + b"452 4.3.1 full\r\n") == [Completed(big)]
    assert codes(big) == [452] and big.phase is Phase.DONE
    assert client.receive(b"503 5.5.1 what?\r\n") == [], "the reply to the chunk behind it"
    client.begin(mail())
    assert b"RSET\r\nMAIL" in client.take_output()


# What the envelope says.


def test_parameters_go_out_only_where_they_are_offered() -> None:
    recipient = Rcpt(b"c@d.test", b"NEVER", b"rfc822;c@d.test")
    envelope = Mail(size=7, is_8bit=True, is_utf8=True, ret=b"HDRS", envid=b"QQ314159")
    full = ready()
    full.begin(Transaction(envelope, [recipient], b""))
    assert full.take_output() == (
        b"MAIL FROM:<a@b.test> SIZE=7 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=QQ314159\r\n"
        b"RCPT TO:<c@d.test> NOTIFY=NEVER ORCPT=rfc822;c@d.test\r\nDATA\r\n"
    )
    bare = ready("PIPELINING")
    bare.begin(Transaction(envelope, [recipient], b""))
    assert bare.take_output() == b"MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n"


def test_the_null_sender_is_empty_brackets() -> None:
    client = ready("PIPELINING")
    client.begin(mail(sender=b""))
    assert client.take_output().startswith(b"MAIL FROM:<>\r\n")


@pytest.mark.parametrize(
    ("transaction", "keywords", "enhanced"),
    [
        (mail(size=2_000_000), ALL, "5.3.4"),
        (mail(size=2_000_000), ("SIZE",), None),
        (mail(is_utf8=True, sender="ä@b.test".encode()), ("8BITMIME",), "5.6.7"),
        (mail("ü@d.test".encode(), is_utf8=True), ("8BITMIME",), "5.6.7"),
        (mail(is_utf8=True, head="Subject: ä\r\n\r\nx\r\n".encode()), ("8BITMIME",), "5.6.7"),
        (mail(is_utf8=True, head="Subject: x\r\n\r\nä\r\n".encode()), ("8BITMIME",), None),
        (mail(is_utf8=True, head="Subject: ä\r\n\r\nx\r\n".encode()), ALL, None),
        (mail(is_8bit=True, head="Subject: x\r\n\r\nä\r\n".encode()), ("SIZE",), "5.6.3"),
        (mail(is_8bit=True, chunks=2), ("SIZE",), "5.6.3"),
        (mail(is_8bit=True), ("SIZE",), None),
        (mail(is_8bit=True, head="Subject: x\r\n\r\nä\r\n".encode()), ALL, None),
    ],
)
def test_what_the_next_hop_cannot_take_is_refused_here(
    transaction: Transaction, keywords: Sequence[str], enhanced: str | None
) -> None:
    found = refusal(transaction, ready(*keywords).offer)
    assert (found.enhanced if found else None) == enhanced


def test_an_address_with_a_line_end_never_goes_out() -> None:
    for keywords in (ALL, ("SIZE",)):
        client = ready(*keywords)
        with pytest.raises(AssertionError):
            client.begin(mail(b"c@d.test>\r\nRSET\r\nRCPT TO:<x"))


# Bytes in pieces.

CONVERSATION = (
    b"220 hello\r\n"
    + ehlo(*ALL)
    + OK
    + OK
    + NO
    + GO
    + b"250-2.0.0 two\r\n250 2.0.0 lines\r\n"
    + OK
    + OK
    + OK
    + GO
)
CONVERSATION += b"552 5.2.2 full\r\n"


def converse(pieces: Sequence[bytes]) -> tuple[bytes, list[list[int]]]:
    """Two mails, whatever the pieces; what was sent and what was answered."""
    client = Client(b"relay.test")
    waiting = [mail(b"1@d.test", b"2@d.test"), mail(b"3@d.test", b"4@d.test")]
    begun, sent = list(waiting), b""
    for piece in pieces:
        for event in client.receive(piece):
            if isinstance(event, ContentWanted):
                client.send(event.transaction, b"x\r\n", is_last=True)
            if waiting and client.can_begin:
                client.begin(waiting.pop(0))
        sent += client.take_output()
    return sent, [codes(transaction) for transaction in begun]


# A real server answers only what was asked, so the whole is cut where we must have spoken first.
TURNS = [CONVERSATION[:11], CONVERSATION[11 : 11 + len(ehlo(*ALL))]]
TURNS.append(OK + OK + NO + GO)
TURNS.append(b"250-2.0.0 two\r\n250 2.0.0 lines\r\n" + OK + OK + OK + GO)
TURNS.append(b"552 5.2.2 full\r\n")


def test_the_conversation_fed_byte_by_byte_is_the_same() -> None:
    assert b"".join(TURNS) == CONVERSATION
    whole = converse(TURNS)
    assert whole[1] == [[250, 550], [552, 552]]
    assert converse([bytes([byte]) for byte in CONVERSATION]) == whole


@given(st.lists(st.integers(0, 200), max_size=8), st.sampled_from(range(5)))
def test_the_conversation_cut_anywhere_is_the_same(cuts: list[int], turn: int) -> None:
    text = TURNS[turn]
    edges = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    pieces = [text[a:b] for a, b in pairwise(edges)]
    assert converse([*TURNS[:turn], *pieces, *TURNS[turn + 1 :]]) == converse(TURNS)


@given(
    st.lists(
        st.sampled_from([OK, GO, NO, LATER, b"421 x\r\n", b"503 x\r\n", b"250-a\r\n", b"x\r\n"]), max_size=12
    )
)
def test_no_sequence_of_replies_books_a_mail_twice_or_delivers_what_was_not_accepted(
    replies: list[bytes],
) -> None:
    client, finished = ready(), []
    begun = [mail(b"1@d.test", b"2@d.test")]
    client.begin(begun[0])
    try:
        for reply in replies:
            for event in client.receive(reply):
                if isinstance(event, ContentWanted):
                    client.send(event.transaction, b"x\r\n", is_last=True)
                elif isinstance(event, Completed):
                    finished.append(event.transaction)
            if client.can_begin:
                begun.append(mail())
                client.begin(begun[-1])
    except ProtocolError:
        pass
    assert len(set(finished)) == len(finished)
    assert set(finished).isdisjoint(client.unfinished)
    for transaction in finished:
        assert len(transaction.replies()) == len(transaction.recipients)
        if any(reply.is_positive for reply in transaction.replies()):
            assert transaction.content_begun and transaction.accepted
