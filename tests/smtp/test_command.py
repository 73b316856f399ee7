"""MAIL, RCPT and BDAT lines, as tables."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.smtp.command import (
    BdatCommand,
    MailCommand,
    RcptCommand,
    decode_xtext,
    is_domain_argument,
    parse_bdat,
    parse_mail,
    parse_rcpt,
)
from relay.smtp.reply import Reply


@pytest.mark.parametrize(
    "text, command",
    [
        (b"FROM:<a@b>", MailCommand(b"a@b")),
        (b"from:<a@b>", MailCommand(b"a@b")),
        (b"FROM: <a@b>", MailCommand(b"a@b")),
        (b"FROM:<>", MailCommand(b"")),
        (b"FROM:<postmaster@b>", MailCommand(b"postmaster@b")),
        (b"FROM:<a@b> SIZE=12", MailCommand(b"a@b", size=12)),
        (b"FROM:<a@b> size=0", MailCommand(b"a@b")),
        (b"FROM:<a@b> BODY=7bit", MailCommand(b"a@b")),
        (b"FROM:<a@b>  BODY=8bitmime", MailCommand(b"a@b", is_8bit=True)),
        (b"FROM:<a@b> SMTPUTF8", MailCommand(b"a@b", is_utf8=True)),
        (b"FROM:<\xc3\xa4@b> SMTPUTF8", MailCommand(b"\xc3\xa4@b", is_utf8=True)),
        (b"FROM:<a@b> RET=full ENVID=x+2B", MailCommand(b"a@b", ret=b"FULL", envid=b"x+2B")),
        (b"FROM:<a@b> MT-PRIORITY=0", MailCommand(b"a@b", mt_priority=0)),
        (b"FROM:<a@b> mt-priority=9", MailCommand(b"a@b", mt_priority=9)),
        (b"FROM:<a@b> MT-PRIORITY=-9 SMTPUTF8", MailCommand(b"a@b", is_utf8=True, mt_priority=-9)),
        (b"FROM:<a@b> ENVID=" + b"x" * 100, MailCommand(b"a@b", envid=b"x" * 100)),
    ],
)
def test_a_mail_command_is_understood(text: bytes, command: MailCommand) -> None:
    assert parse_mail(text) == command


@pytest.mark.parametrize(
    "text, code",
    [
        (b"", "501 5.5.4"), (b"FROM:", "501 5.5.4"), (b"FROM:a@b", "501 5.5.4"), (b"TO:<a@b>", "501 5.5.4"),
        (b"FROM:  <a@b>", "501 5.1.7"), (b"FROM:<a>", "501 5.1.7"), (b"FROM:<postmaster>", "501 5.1.7"),
        (b"FROM:<a@b>x", "501 5.5.4"), (b"FROM:<a@b> SIZE", "501 5.5.4"), (b"FROM:<a@b> SIZE=-1", "501 5.5.4"),
        (b"FROM:<a@b> SIZE=" + b"1" * 21, "501 5.5.4"), (b"FROM:<a@b> SIZE=1 Size=1", "501 5.5.4"),
        (b"FROM:<a@b> BODY=BINARYMIME", "501 5.5.4"), (b"FROM:<a@b> SMTPUTF8=1", "501 5.5.4"),
        (b"FROM:<a@b> RET=ALL", "501 5.5.4"), (b"FROM:<a@b> ENVID=", "501 5.5.4"), (b"FROM:<a@b> ENVID", "501 5.5.4"),
        (b"FROM:<a@b> ENVID=a+2", "501 5.5.4"), (b"FROM:<a@b> ENVID=a+0A", "501 5.5.4"),
        (b"FROM:<a@b> ENVID=a+2b", "501 5.5.4"), (b"FROM:<a@b> ENVID=" + b"x" * 101, "501 5.5.4"),
        (b"FROM:<a@b> MT-PRIORITY=", "501 5.5.4"), (b"FROM:<a@b> MT-PRIORITY=10", "501 5.5.4"),
        (b"FROM:<a@b> MT-PRIORITY=-10", "501 5.5.4"), (b"FROM:<a@b> MT-PRIORITY=-0", "501 5.5.4"),
        (b"FROM:<a@b> MT-PRIORITY=+1", "501 5.5.4"), (b"FROM:<a@b> MT-PRIORITY=high", "501 5.5.4"),
        (b"FROM:<a@b> MT-PRIORITY=-", "501 5.5.4"), (b"FROM:<a@b> NOTIFY=NEVER", "555 5.5.4"), (b"FROM:<a@b> X-Y=1", "555 5.5.4"), (b"FROM:<a@b> =1", "501 5.5.4"),
        (b"FROM:<a@b> X=a=b", "501 5.5.4"), (b"FROM:<a@b> X=\xc3\xa4", "501 5.5.4"), (b"FROM:<a@b> \xc3\xa4", "501 5.5.4"),
        (b"FROM:<\xc3\xa4@b>", "553 5.6.7"), (b"FROM:<\xc3\xa4@b> SIZE=1", "553 5.6.7"), (b"FROM:<\xff@b> SMTPUTF8", "501 5.1.7"),
    ],
)  # fmt: skip
def test_a_mail_command_is_refused(text: bytes, code: str) -> None:
    reply = parse_mail(text)
    assert isinstance(reply, Reply)
    assert f"{reply.code} {reply.enhanced}" == code


@pytest.mark.parametrize(
    "text, command",
    [
        (b"TO:<a@b>", RcptCommand(b"a@b")),
        (b"to: <a@b>", RcptCommand(b"a@b")),
        (b"TO:<postmaster>", RcptCommand(b"postmaster")),
        (b"TO:<@x,@y:a@b>", RcptCommand(b"a@b")),
        (b"TO:<a@b> NOTIFY=never", RcptCommand(b"a@b", notify=b"NEVER")),
        (b"TO:<a@b> NOTIFY=Success,DELAY", RcptCommand(b"a@b", notify=b"SUCCESS,DELAY")),
        (b"TO:<a@b> ORCPT=rfc822;x+2By@z", RcptCommand(b"a@b", orcpt=b"rfc822;x+2By@z")),
        (b"TO:<a@b> ORCPT=utf-8;x\\x{E4}@z", RcptCommand(b"a@b", orcpt=b"utf-8;x\\x{E4}@z")),
    ],
)
def test_a_rcpt_command_is_understood(text: bytes, command: RcptCommand) -> None:
    assert parse_rcpt(text) == command


@pytest.mark.parametrize(
    "text, code",
    [
        (b"", "501 5.5.4"), (b"TO:a@b", "501 5.5.4"), (b"FROM:<a@b>", "501 5.5.4"), (b"TO:<>", "501 5.1.3"),
        (b"TO:<a>", "501 5.1.3"), (b"TO:<a@b>NOTIFY=NEVER", "501 5.5.4"), (b"TO:<a@b> NOTIFY=", "501 5.5.4"),
        (b"TO:<a@b> NOTIFY=NEVER,SUCCESS", "501 5.5.4"), (b"TO:<a@b> NOTIFY=SUCCESS,", "501 5.5.4"),
        (b"TO:<a@b> NOTIFY=OFTEN", "501 5.5.4"), (b"TO:<a@b> ORCPT=a@b", "501 5.5.4"), (b"TO:<a@b> ORCPT=x;", "501 5.5.4"),
        (b"TO:<a@b> ORCPT=rfc822;" + b"x" * 500, "501 5.5.4"), (b"TO:<a@b> ORCPT=rfc822;a+zz", "501 5.5.4"),
        (b"TO:<a@b> ORCPT=utf-8;\xc3\xa4", "501 5.5.4"), (b"TO:<a@b> RET=FULL", "555 5.5.4"), (b"TO:<\xc3\xa4@b>", "553 5.6.7"),
    ],
)  # fmt: skip
def test_a_rcpt_command_is_refused(text: bytes, code: str) -> None:
    reply = parse_rcpt(text)
    assert isinstance(reply, Reply)
    assert f"{reply.code} {reply.enhanced}" == code


def test_utf8_stands_where_smtputf8_allows_it() -> None:
    text = b"TO:<\xc3\xa4@b> ORCPT=utf-8;\xc3\xa4@b"
    assert parse_rcpt(text, is_utf8=True) == RcptCommand(b"\xc3\xa4@b", orcpt=b"utf-8;\xc3\xa4@b")


@pytest.mark.parametrize(
    "text, command",
    [(b"0", BdatCommand(0, False)), (b"12 LAST", BdatCommand(12, True)), (b"0 last", BdatCommand(0, True))],
)
def test_a_bdat_command_is_understood(text: bytes, command: BdatCommand) -> None:
    assert parse_bdat(text) == command


@pytest.mark.parametrize(
    "text", [b"", b"x", b"-1", b"+1", b"1 FIRST", b"1 LAST LAST", b"LAST", b"1" * 21, b"1_0"]
)
def test_a_bdat_command_is_refused(text: bytes) -> None:
    assert isinstance(parse_bdat(text), Reply)


@pytest.mark.parametrize(
    "text, fits",
    [(b"client", True), (b"[127.0.0.1]", True), (b"my_pc", True), (b"", False), (b"a b", False), (b"\xe9", False),
     (b"x" * 255, True), (b"x" * 256, False), (b"a\tb", False)],
)  # fmt: skip
def test_a_client_may_call_itself_so(text: bytes, fits: bool) -> None:
    assert is_domain_argument(text) is fits


def test_xtext_is_decoded() -> None:
    assert decode_xtext(b"a+2Bb+3D") == b"a+b="
    with pytest.raises(ValueError):
        decode_xtext(b"a+2b")


@given(st.binary(max_size=80))
def test_any_line_gets_a_command_or_a_refusal(noise: bytes) -> None:
    for result in (parse_mail(b"FROM:<a@b> " + noise), parse_rcpt(b"TO:<a@b> " + noise), parse_bdat(noise)):
        if isinstance(result, Reply):
            assert result.is_permanent and result.enhanced


@pytest.mark.parametrize("value", [b"<>", b"e+3Dmc2@example.com", b"x" * 500])
def test_who_logged_in_elsewhere_is_read_over(value: bytes) -> None:
    assert parse_mail(b"FROM:<a@example.com> AUTH=" + value) == MailCommand(b"a@example.com")


@pytest.mark.parametrize("value", [b"", b"e+3dmc2", b"x" * 501])
def test_a_malformed_auth_parameter_is_refused(value: bytes) -> None:
    reply = parse_mail(b"FROM:<a@example.com> AUTH=" + value)
    assert isinstance(reply, Reply) and reply.code == 501
