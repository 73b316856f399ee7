"""The dialogues, word for word, and cut anywhere."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.simulator.session import Want
from tests.simulator.office import BULK, INSIDE, NOW, ORDERS, OUTSIDE, Office, base64, xoauth2


@pytest.fixture
def office() -> Office:
    return Office()


def test_the_banner_has_date_and_session_id(office: Office) -> None:
    greeting = office.session(office.submission).greeting
    assert re.fullmatch(
        r"220 \S+\.outlook\.office365\.com Microsoft ESMTP MAIL Service ready at "
        r"Sun, 23 Nov 2025 11:12:20 \+0000 \[[0-9A-F]{16}\]\r\n",
        greeting,
    )


def test_submission_offers_starttls_and_then_auth(office: Office) -> None:
    talk = office.session(office.submission)
    offer = talk.say("EHLO client.example")
    assert offer.split("\r\n") == [
        "250-SIMP282CA0097.outlook.office365.com Hello [203.0.113.9]", "250-SIZE 157286400", "250-PIPELINING",
        "250-DSN", "250-ENHANCEDSTATUSCODES", "250-STARTTLS", "250-8BITMIME", "250-BINARYMIME", "250-CHUNKING",
        "250 SMTPUTF8",
    ]  # fmt: skip
    assert talk.say("STARTTLS") == "220 2.0.0 SMTP server ready"
    talk.session.secured(())
    assert talk.say("EHLO client.example") == offer.replace("STARTTLS", "AUTH LOGIN XOAUTH2")


def test_the_mx_offers_no_auth(office: Office) -> None:
    talk = office.session(office.mx)
    assert re.match(r"220 \S+\.mail\.protection\.outlook\.com Microsoft ESMTP", talk.greeting)
    assert "STARTTLS" in talk.say("EHLO c.example") and "AUTH" not in talk.say("EHLO c.example")
    talk.secure()
    assert "AUTH" not in talk.say("EHLO c.example")
    assert talk.say("AUTH LOGIN") == "500 5.3.3 Unrecognized command"


def test_high_volume_offers_neither_pipelining_nor_chunking(office: Office) -> None:
    talk = office.session(office.high_volume)
    offer = talk.say("EHLO client.example")
    assert "PIPELINING" not in offer and "CHUNKING" not in offer and "SIZE 10000000" in offer


def test_a_mail_is_submitted_word_for_word(office: Office) -> None:
    talk = office.logged_in()
    assert talk.say(f"MAIL FROM:<{ORDERS}> SIZE=100") == "250 2.1.0 Sender OK"
    assert talk.say(f"RCPT TO:<{INSIDE}>") == "250 2.1.5 Recipient OK"
    assert talk.say("DATA") == "354 Start mail input; end with <CRLF>.<CRLF>"
    assert talk.say(f"From: {ORDERS}", "Message-ID: <a@b>", "", "..", ".") == (
        "250 2.0.0 OK <a@b> [Hostname=SIMP282MB2635.SIMP282.PROD.OUTLOOK.COM]"
    )
    assert talk.say("QUIT") == "221 2.0.0 Service closing transmission channel"
    assert talk.session.want is Want.CLOSE
    (mail,) = office.ledger.mails
    assert (mail.mailbox, mail.sender, mail.recipients, mail.size) == (ORDERS, ORDERS, (INSIDE,), 54)
    assert (mail.message_id, mail.time, mail.service) == ("<a@b>", NOW, "submission")


def test_the_mx_takes_a_mail_word_for_word(office: Office) -> None:
    talk = office.session(office.mx)
    talk.say("EHLO client.example")
    assert re.fullmatch(
        r"250 2\.6\.0 <1@client\.example> \[InternalId=\d+, Hostname=\S+\.PROD\.OUTLOOK\.COM\] \d+ bytes in "
        r"\d+\.\d{3}, \d+\.\d{3} KB/sec Queued mail for delivery",
        talk.send(OUTSIDE),
    )


def test_a_mail_without_message_id_is_given_one(office: Office) -> None:
    talk = office.logged_in()
    talk.say(f"MAIL FROM:<{ORDERS}>", f"RCPT TO:<{INSIDE}>", "DATA")
    assert re.match(r"250 2\.0\.0 OK <\S+@\S+> \[Hostname=", talk.say(f"From: {ORDERS}", "", "x", "."))


@pytest.mark.parametrize("initial", [True, False])
def test_login_in_both_forms(office: Office, initial: bool) -> None:
    talk = office.session(office.submission)
    talk.secure()
    if initial:
        assert talk.say(f"AUTH LOGIN {base64(ORDERS)}") == "334 UGFzc3dvcmQ6"
    else:
        assert talk.say("auth login") == "334 VXNlcm5hbWU6"
        assert talk.say(base64(ORDERS)) == "334 UGFzc3dvcmQ6"
    assert talk.say(base64("pw")) == "235 2.7.0 Authentication successful"


@pytest.mark.parametrize("initial", [True, False])
def test_xoauth2_in_both_forms(office: Office, initial: bool) -> None:
    talk = office.session(office.submission)
    talk.secure()
    blob = xoauth2(ORDERS, office.token())
    if initial:
        said = talk.say(f"AUTH XOAUTH2 {blob}")
    else:
        assert talk.say("AUTH XOAUTH2") == "334 "
        said = talk.say(blob)
    assert said == "235 2.7.0 Authentication successful"
    assert talk.send().startswith("250 2.0.0 OK")


def test_a_wrong_password_is_535_with_host_date_and_session(office: Office) -> None:
    talk = office.session(office.submission)
    talk.secure()
    said = talk.say(f"AUTH LOGIN {base64(ORDERS)}", base64("wrong")).split("\r\n")[-1]
    assert re.fullmatch(
        r"535 5\.7\.3 Authentication unsuccessful \[\S+ 2025-11-23T11:12:20\.000Z [0-9A-F]{16}\]", said
    )


@pytest.mark.parametrize(
    ("lines", "reply"),
    [
        (["MAIL FROM:<a@b.example>"], "503 5.5.2 Send hello first"),
        (["EHLO c", "MAIL FROM:<a@b.example>"], "530 5.7.0 Must issue a STARTTLS command first"),
        (["EHLO c", "AUTH LOGIN"], "530 5.7.0 Must issue a STARTTLS command first"),
        (["EHLO c", "TURN"], "500 5.3.3 Unrecognized command"),
        (["EHLO"], "501 5.5.4 Invalid domain name"),
        (["EHLO c", "RCPT TO:<a@b.example>"], "503 5.5.2 Need mail command"),
        (["EHLO c", "DATA"], "503 5.5.2 Need mail command"),
        (["EHLO c", "RSET"], "250 2.0.0 Resetting"),
        (["EHLO c", "NOOP"], "250 2.0.0 OK"),
    ],
)
def test_commands_out_of_place(office: Office, lines: list[str], reply: str) -> None:
    assert office.session(office.submission).say(*lines).split("\r\n")[-1] == reply


@pytest.mark.parametrize(
    ("lines", "reply"),
    [
        (["MAIL FROM:<a@b.example>"], "530 5.7.57 Client not authenticated to send mail."),
        (["AUTH CRAM-MD5"], "504 5.7.4 Unrecognized authentication type"),
        (["AUTH LOGIN", "*"], "501 5.5.4 Invalid arguments"),
        (["STARTTLS"], "503 5.5.1 Bad sequence of commands"),
    ],
)
def test_commands_before_login(office: Office, lines: list[str], reply: str) -> None:
    talk = office.session(office.submission)
    talk.secure()
    assert talk.say(*lines).split("\r\n")[-1] == reply


@pytest.mark.parametrize(
    ("lines", "reply"),
    [
        (["AUTH LOGIN"], "503 5.5.2 Auth command already specified"),
        (["MAIL FROM:<no>"], "501 5.1.7 Invalid address"),
        (
            [f"MAIL FROM:<{ORDERS}> SIZE=157286401"],
            "552 5.3.4 Message size exceeds fixed maximum message size",
        ),
        ([f"MAIL FROM:<{ORDERS}>", "RCPT TO:<no>"], "501 5.1.3 Invalid address"),
        ([f"MAIL FROM:<{ORDERS}>", "RCPT TO:<missing@contoso.example>"], "550 5.1.10 Recipient not found"),
        ([f"MAIL FROM:<{ORDERS}>", "DATA"], "503 5.5.2 Need rcpt command"),
        (
            [f"MAIL FROM:<{ORDERS}> BODY=BINARYMIME", f"RCPT TO:<{INSIDE}>", "DATA"],
            "503 5.5.1 Bad sequence of commands",
        ),
    ],
)
def test_commands_after_login(office: Office, lines: list[str], reply: str) -> None:
    assert office.logged_in().say(*lines).split("\r\n")[-1] == reply


def test_what_was_sent_with_starttls_is_not_read(office: Office) -> None:
    talk = office.session(office.submission)
    talk.say("EHLO c")
    assert talk.say("STARTTLS", "EHLO injected", "NOOP") == "220 2.0.0 SMTP server ready"
    talk.session.secured(())
    assert talk.say("MAIL FROM:<a@b.example>") == "503 5.5.2 Send hello first"


def test_too_many_errors_end_the_session(office: Office) -> None:
    talk = office.session(office.submission)
    said = talk.say(*["TURN"] * 9).split("\r\n")
    assert said[4:] == [
        "500 5.3.3 Unrecognized command",
        "421 4.7.0 Too many errors on this connection, closing transmission channel",
    ]
    assert talk.session.want is Want.CLOSE


def test_three_failed_logins_end_the_session(office: Office) -> None:
    talk = office.session(office.submission)
    talk.secure()
    for _ in range(3):
        said = talk.say(f"AUTH LOGIN {base64(ORDERS)}", base64("wrong"))
    assert "421 4.7.0" in said and talk.session.want is Want.CLOSE
    assert office.ledger.violations["logon"] == 3


def test_what_follows_from_a_refused_mail_is_no_further_error(office: Office) -> None:
    office.fault(step="mail", reply="451 4.3.2 later")
    talk = office.logged_in()
    for _ in range(6):
        said = talk.say(f"MAIL FROM:<{ORDERS}>", f"RCPT TO:<{INSIDE}>", "DATA")
    assert said.split("\r\n")[0] == "451 4.3.2 later"
    assert talk.session.want is Want.NOTHING


def test_a_mail_in_chunks(office: Office) -> None:
    talk = office.logged_in()
    talk.say(f"MAIL FROM:<{ORDERS}>", f"RCPT TO:<{INSIDE}>")
    first = f"From: {ORDERS}\r\nMessage-ID: <c@d>\r\n\r\n".encode()
    assert (
        talk.feed(b"BDAT %d\r\n" % len(first) + first)
        == f"250 2.6.0 CHUNK received OK, {len(first)} octets\r\n"
    )
    assert talk.feed(b"BDAT 4 LAST\r\n.\r\n\n").startswith("250 2.0.0 OK <c@d>")
    assert office.ledger.mails[0].size == len(first) + 5


def test_a_chunk_without_a_mail_is_read_and_refused(office: Office) -> None:
    assert office.logged_in().feed(b"BDAT 6\r\nNOOP\r\nNOOP\r\n") == (
        "503 5.5.2 Need mail command\r\n250 2.0.0 OK\r\n"
    )


def test_a_line_without_end_is_refused(office: Office) -> None:
    talk = office.session(office.submission)
    assert talk.feed(b"x" * 20_000).startswith("500 5.5.2 Command too long")
    assert talk.session.want is Want.CLOSE


def test_an_idle_session_is_closed(office: Office) -> None:
    talk = office.logged_in()
    talk.session.sweep(NOW + 299)
    assert talk.say("NOOP").startswith("250")
    talk.session.active_at = NOW
    talk.session.sweep(NOW + 300)
    assert talk.session.take_output() == b"451 4.7.0 Timeout waiting for client input\r\n"
    assert talk.session.want is Want.CLOSE


def test_a_session_is_cut_at_20_minutes(office: Office) -> None:
    talk = office.logged_in()
    for minute in range(1, 20):
        office.now = NOW + 60 * minute
        assert talk.say("NOOP").startswith("250")
        talk.session.sweep(office.now)
    talk.session.sweep(NOW + 1200)
    assert talk.session.take_output().startswith(b"421 4.4.1")
    assert office.ledger.violations["session"] == 1


def test_a_slow_login_takes_its_time(office: Office) -> None:
    slow = Office(tenant={"auth_delay": 10})
    talk = slow.session(slow.submission)
    talk.secure()
    assert talk.say(f"AUTH LOGIN {base64(ORDERS)}", base64("pw")) == "334 UGFzc3dvcmQ6"
    assert talk.session.wake_at == NOW + 10
    assert talk.wake(NOW + 9.9) == ""
    assert talk.wake(NOW + 10) == "235 2.7.0 Authentication successful"


def test_content_is_kept_where_it_is_wanted(office: Office) -> None:
    kept: list[bytes] = []
    talk = office.session(office.mx, kept=kept)
    talk.say("EHLO c")
    talk.send(OUTSIDE, message_id="<k@l>")
    assert kept == [f"From: Shop <{OUTSIDE}>\r\nMessage-ID: <k@l>\r\nSubject: x\r\n\r\nHello\r\n".encode()]


CONVERSATION = (
    "EHLO client.example\r\n"
    f"MAIL FROM:<{OUTSIDE}>\r\nRCPT TO:<{INSIDE}>\r\nRCPT TO:<{OUTSIDE}>\r\nDATA\r\n"
    f"From: {OUTSIDE}\r\nMessage-ID: <1@x>\r\n\r\n..dot\r\n\r\n.\r\n"
    f"MAIL FROM:<>\r\nRCPT TO:<{INSIDE}>\r\nBDAT 21\r\nMessage-ID: <2@x>\r\n\r\nBDAT 3 LAST\r\n.\r\n"
    "RSET\r\nVRFY x\r\nNOOP\r\nQUIT\r\n"
).encode()


def spoken(pieces: list[bytes]) -> tuple[str, list[tuple[str, int]]]:
    """What is answered, and what arrived; the driver's buffer keeps what was not taken."""
    office = Office()
    talk = office.session(office.mx)
    buffer, said = bytearray(), ""
    for piece in pieces:
        buffer += piece
        del buffer[: talk.session.receive(buffer, 0, len(buffer), office.now)]
        said += talk.session.take_output().decode()
    assert not buffer
    return said, [(mail.message_id, mail.size) for mail in office.ledger.mails]


WHOLE = spoken([CONVERSATION])


def test_the_conversation_goes_as_it_should() -> None:
    said, mails = WHOLE
    codes = [line[:3] for line in said.split("\r\n") if line[3:4] == " "]
    assert codes == ["250"] * 3 + ["550", "354"] + ["250"] * 6 + ["252", "250", "221"]
    assert mails == [("<1@x>", 61), ("<2@x>", 24)]


def test_a_conversation_byte_by_byte_is_the_same() -> None:
    assert spoken([bytes((byte,)) for byte in CONVERSATION]) == WHOLE


@given(st.sets(st.integers(1, len(CONVERSATION) - 1), max_size=30))
def test_a_conversation_cut_anywhere_is_the_same(cuts: set[int]) -> None:
    ends = [*sorted(cuts), len(CONVERSATION)]
    starts = [0, *ends[:-1]]
    assert spoken([CONVERSATION[a:b] for a, b in zip(starts, ends, strict=True)]) == WHOLE


@given(st.binary(max_size=300))
def test_noise_is_answered_or_waited_out(noise: bytes) -> None:
    office = Office()
    talk = office.session(office.submission)
    taken = talk.session.receive(bytearray(noise), 0, len(noise), office.now)
    assert taken == len(noise) or b"\n" not in noise[taken:]
    assert not office.ledger.mails


def test_a_large_mail_takes_little_memory(office: Office) -> None:
    talk = office.session(office.mx)
    talk.say("EHLO c", f"MAIL FROM:<{OUTSIDE}>", f"RCPT TO:<{INSIDE}>", "DATA", "Message-ID: <big@x>", "")
    line = b"x" * 78 + b"\r\n"
    for _ in range(100):
        talk.feed(line * 800)
        assert len(talk.session._content.decoded) < 100_000
    assert talk.say(".").startswith("250 2.6.0 <big@x>")
    assert office.ledger.mails[0].size > 6_400_000


def test_bulk_logs_in_at_high_volume(office: Office) -> None:
    assert office.logged_in(BULK, office.high_volume).send(BULK).startswith("250 2.0.0 OK")
