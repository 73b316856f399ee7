"""What Microsoft says when it has taken a mail."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.m365.acceptance import Acceptance, parse, session_id
from relay.smtp.reply import Reply, ReplyReader

HOST = "SY4P282MB1257.AUSP282.PROD.OUTLOOK.COM"


def reply(line: str) -> Reply:
    (only,) = ReplyReader().feed(line.encode() + b"\r\n")
    return only


@pytest.mark.parametrize(
    ("line", "acceptance"),
    [
        (f"250 2.0.0 OK <id@example.com> [Hostname={HOST}]", Acceptance("", HOST, 0)),
        (
            f"250 2.6.0 <id@example.com> [InternalId=7619272024915, Hostname={HOST}] 48435 bytes in 0.160, "
            "294.858 KB/sec Queued mail for delivery",
            Acceptance("7619272024915", HOST, 48435),
        ),
        (
            f"250 2.6.0 <id@example.com> [InternalId=7619272024915, Hostname={HOST}] 48435 bytes in 0.160, "
            "294.858 KB/sec Queued mail for delivery -> 250 2.1.5",
            Acceptance("7619272024915", HOST, 48435),
        ),
        (f"250 2.6.0 <id@example.com> [InternalId=76] Queued mail for {HOST}", Acceptance("76", "", 0)),
        (f"250 2.0.0 OK <id@[192.0.2.1]> [hostname={HOST}, Extra=1]", Acceptance("", HOST, 0)),
        (f"250 2.0.0 OK <[Hostname=evil]@x> [Hostname={HOST}]", Acceptance("", HOST, 0)),
    ],
)
def test_both_forms_are_read(line: str, acceptance: Acceptance) -> None:
    assert parse(reply(line)) == acceptance


@pytest.mark.parametrize(
    "line",
    [
        "250 2.0.0 OK",
        "250 2.0.0 Ok: queued as 4F2B",
        "250 2.0.0 OK <id@[192.0.2.1]>",
        "250 2.0.0 OK [Hostname=]",
        f"250 2.0.0 OK [Hostname={HOST}",
        f"432 4.3.2 Concurrent connections limit exceeded. [Hostname={HOST}]",
    ],
)
def test_other_replies_are_no_acceptance(line: str) -> None:
    assert parse(reply(line)) is None


def test_a_reply_of_several_lines_is_read() -> None:
    assert parse(Reply(250, "2.6.0", ("<id@x>", f"[InternalId=1, Hostname={HOST}] 5 bytes"))) == Acceptance(
        "1", HOST, 5
    )


@given(st.text(max_size=300))
def test_any_text_is_read_without_complaint(text: str) -> None:
    found = parse(Reply(250, "", text))
    assert found is None or found.internal_id or found.host
    assert len(session_id(Reply(220, "", text))) in (0, 16)


@given(st.text(alphabet="[]<>@=, InternalIdHostname0123", max_size=60))
def test_what_stands_before_the_last_bracket_counts_for_nothing(text: str) -> None:
    assert parse(Reply(250, "", f"{text} [Hostname={HOST}] 7 bytes")) == Acceptance("", HOST, 7)


@pytest.mark.parametrize(
    ("line", "session"),
    [
        (
            "220 SY5P282CA0097.outlook.office365.com Microsoft ESMTP MAIL Service ready at Sun, 23 Nov 2025 "
            "11:12:20 +0000 [08DE2A6028D26C22]",
            "08DE2A6028D26C22",
        ),
        (
            "535 5.7.139 Authentication unsuccessful, account locked. Contact your administrator. "
            "[CH2PR19CA0002.namprd19.prod.outlook.com 2026-08-28T19:45:50.437Z 08DF04C6D9A404E7]",
            "08DF04C6D9A404E7",
        ),
        ("220 mail.example.com ESMTP Postfix", ""),
        ("220 mail.example.com [08DE2A6028D26C2]", ""),
        ("220 mail.example.com [08DE2A6028D26C22A]", ""),
    ],
)
def test_the_session_is_known_by_its_id(line: str, session: str) -> None:
    assert session_id(reply(line)) == session
