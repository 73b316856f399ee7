"""Every limit is kept exactly, said as Microsoft says it, and counted when violated."""

import pytest

from relay.simulator.mail import address_of
from relay.simulator.options import ApplicationTable, ConnectorTable, MailboxTable
from tests.simulator.office import BULK, INSIDE, NEWS, NOW, ORDERS, OUTSIDE, Office, Talk, base64, xoauth2


def test_the_fourth_connection_is_refused_after_the_data() -> None:
    office = Office()
    talks = [office.logged_in() for _ in range(4)]
    assert all(talk.send().startswith("250") for talk in talks[:3])
    assert talks[3].send() == (
        "432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending for more "
        "information. [Hostname=SIMP282MB2635.SIMP282.PROD.OUTLOOK.COM]"
    )
    assert office.ledger.violations == {"connections": 1}
    assert office.tenant.accounts[ORDERS.encode()].peak_sessions == 4


def test_another_mailbox_has_connections_of_its_own() -> None:
    office = Office()
    talks = [office.logged_in() for _ in range(3)]
    assert office.logged_in(NEWS).send(NEWS).startswith("250")
    talks[0].session.leave()
    assert office.logged_in().send().startswith("250")


def test_who_quits_has_left_when_the_answer_is_there() -> None:
    office = Office()
    talks = [office.logged_in() for _ in range(3)]
    assert talks[0].say("QUIT").startswith("221")
    assert office.logged_in().send().startswith("250")
    talks[0].session.leave()
    assert office.tenant.accounts[ORDERS.encode()].peak_sessions == 3


def test_when_one_leaves_the_fourth_moves_up() -> None:
    office = Office()
    talks = [office.logged_in() for _ in range(4)]
    assert talks[3].send().startswith("432")
    talks[1].session.leave()
    assert talks[3].send().startswith("250")


def sent(talk: Talk, count: int) -> list[str]:
    return [talk.send(message_id=f"<{number}@x>")[:9] for number in range(count)]


def test_the_thirty_first_mail_of_a_minute_is_refused() -> None:
    office = Office(limits={"messages_mode": "refuse"})
    talk = office.logged_in()
    assert sent(talk, 31) == ["250 2.0.0"] * 30 + ["432 4.3.2"]
    office.now = NOW + 59.9
    assert talk.send().startswith("432 4.3.2 STOREDRV.ClientSubmit; exceeded the message limit per account")
    office.now = NOW + 60
    assert talk.send().startswith("250")
    assert office.ledger.violations == {"messages": 2}


def test_the_thirty_first_mail_of_a_minute_waits() -> None:
    office = Office()
    talk = office.logged_in()
    assert sent(talk, 30) == ["250 2.0.0"] * 30
    office.now = NOW + 20
    assert talk.send() == ""
    assert talk.session.wake_at == NOW + 60
    assert talk.wake(NOW + 59.9) == ""
    assert talk.wake(NOW + 60).startswith("250 2.0.0 OK")
    assert office.ledger.violations == {"messages": 1}
    assert office.ledger.mails[-1].time == NOW + 60
    assert office.tenant.accounts[ORDERS.encode()].messages.peak == 30


def test_two_that_wait_share_what_becomes_free() -> None:
    office = Office(limits={"messages": 1})
    first, second, third = (office.logged_in() for _ in range(3))
    assert first.send().startswith("250")
    assert second.send() == third.send() == ""
    assert second.wake(NOW + 60).startswith("250")
    assert third.wake(NOW + 60) == "" and third.session.wake_at == NOW + 120
    assert third.wake(NOW + 120).startswith("250")
    assert office.ledger.violations == {"messages": 2}


def test_recipients_of_a_day_are_bounded() -> None:
    office = Office(limits={"recipients": 5, "external_recipients": 0})
    talk = office.logged_in()
    assert talk.send(ORDERS, "a@x.example", "b@x.example", INSIDE).startswith("250")
    assert talk.send(ORDERS, "a@x.example", "b@x.example", INSIDE).startswith(
        "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException"
    )
    assert talk.send(ORDERS, "a@x.example", INSIDE).startswith("250")
    office.now = NOW + 86_400
    assert talk.send(ORDERS, *(f"{n}@x.example" for n in range(5))).startswith("250")
    assert office.ledger.violations == {"recipients": 1}


def test_the_tenants_limit_stops_external_mail_of_all_and_internal_of_none() -> None:
    office = Office(limits={"external_recipients": 3})
    orders, news = office.logged_in(), office.logged_in(NEWS)
    assert orders.send(ORDERS, OUTSIDE, "b@x.example").startswith("250")
    assert news.send(NEWS, OUTSIDE, "b@x.example").startswith("550 5.7.233 Your message can't be sent")
    assert news.send(NEWS, OUTSIDE, INSIDE).startswith("250")
    assert orders.send(ORDERS, OUTSIDE).startswith("550 5.7.233")
    assert orders.send(ORDERS, INSIDE).startswith("250")
    assert office.ledger.violations == {"external_recipients": 2}
    office.now = NOW + 86_400
    assert orders.send(ORDERS, OUTSIDE).startswith("250")


def test_the_tenants_limit_follows_from_the_licences() -> None:
    assert Office(limits={"licences": 100}).tenant.external.limit == 22_059


def test_a_refused_mail_uses_up_nothing() -> None:
    office = Office(limits={"external_recipients": 1, "recipients": 3})
    talk = office.logged_in()
    for _ in range(3):
        assert talk.send(ORDERS, OUTSIDE, "b@x.example").startswith("550 5.7.233")
    account = office.tenant.accounts[ORDERS.encode()]
    assert (account.recipients.count(NOW), account.messages.count(NOW), account.refused) == (0, 0, 3)


def test_the_501st_recipient_of_a_mail_is_refused() -> None:
    office = Office(limits={"recipients_per_message": 2})
    talk = office.logged_in()
    said = talk.say(f"MAIL FROM:<{ORDERS}>", *[f"RCPT TO:<{INSIDE}>"] * 4).split("\r\n")
    assert said[-1] == said[-2] == "452 4.5.3 Too many recipients"
    assert office.ledger.violations == {"recipients_per_message": 1}


@pytest.mark.parametrize("sender", [ORDERS, "ORDERS@Contoso.Example", "sales@contoso.example"])
def test_who_may_send_as_the_sender_is_taken(sender: str) -> None:
    assert Office().logged_in().send(sender).startswith("250")


@pytest.mark.parametrize(("sender", "author"), [(NEWS, ORDERS), (ORDERS, NEWS), ("", NEWS)])
def test_who_may_not_is_refused_after_the_data(sender: str, author: str) -> None:
    office = Office()
    assert (
        office.logged_in()
        .send(sender, author=author)
        .startswith(
            f"554 5.2.252 SendAsDenied; {ORDERS} not allowed to send as {NEWS}; STOREDRV.Submission.Exception:"
        )
    )
    assert office.ledger.violations == {"send_as": 1}


def test_repeated_denials_block_the_mailbox_for_everything() -> None:
    office = Office(limits={"errors_before_block": 3, "block": 600})
    talk = office.logged_in()
    for _ in range(3):
        assert talk.send(NEWS).startswith("554 5.2.252")
    blocked = "550 5.2.252 Sender throttled due to continuous send as denied errors."
    assert talk.send(NEWS) == blocked
    assert talk.send(ORDERS) == blocked
    assert office.logged_in(NEWS).send(NEWS).startswith("250")
    office.now = NOW + 600
    assert talk.send(ORDERS).startswith("250")


def test_denials_far_apart_block_nobody() -> None:
    office = Office(limits={"errors_before_block": 2, "block": 100})
    talk = office.logged_in()
    for _ in range(4):
        assert talk.send(NEWS).startswith("554 5.2.252")
        office.now += 100


@pytest.mark.parametrize(
    ("state", "first", "then"),
    [
        ("full", "554 5.2.2 mailbox full; STOREDRV", "550 5.2.251 Sender throttled due to continuous mailbox full errors."),
        ("unlicensed", "430 4.2.0 STOREDRV", "550 5.2.253 Sender throttled due to continuous invalid license errors."),
    ],
)  # fmt: skip
def test_a_mailbox_in_trouble_is_blocked_after_a_while(state: str, first: str, then: str) -> None:
    mailbox = MailboxTable.model_validate({"address": ORDERS, "password": "pw", "state": state})
    office = Office(limits={"errors_before_block": 2}, mailboxes=(mailbox,))
    talk = office.logged_in()
    assert talk.send().startswith(first) and talk.send().startswith(first)
    assert talk.send() == then


@pytest.mark.parametrize(
    ("recipients", "then"),
    [
        (["missing@contoso.example"] * 7, "550 5.2.255 Sender throttled due to continuous invalid recipient errors."),
        ([INSIDE] * 5, "550 5.2.254 Sender throttled due to continuous too many recipients errors."),
    ],
)  # fmt: skip
def test_wrong_recipients_block_a_mailbox_too(recipients: list[str], then: str) -> None:
    office = Office(limits={"errors_before_block": 3, "recipients_per_message": 2})
    talk = office.logged_in()
    wrong = (f"MAIL FROM:<{ORDERS}>", *(f"RCPT TO:<{each}>" for each in recipients), "RSET")
    talk.say(*wrong)
    talk.say(*wrong)
    assert talk.send().startswith("250")
    talk.say(*wrong)
    assert talk.send() == then


def test_a_mail_that_is_too_large_is_refused() -> None:
    office = Office(limits={"message_size": 1000})
    talk = office.logged_in()
    assert talk.send(body="x" * 800).startswith("250")
    assert talk.send(body="x" * 1000) == "552 5.3.4 Message size exceeds fixed maximum message size"
    assert talk.send().startswith("250")
    assert office.ledger.violations == {"message_size": 1}


def test_a_header_that_is_too_large_is_refused() -> None:
    office = Office(limits={"header_size": 500})
    talk = office.logged_in()
    assert talk.send(message_id=f"<{'x' * 500}@x>") == "552 5.3.4 Header size exceeds fixed maximum size"
    assert office.ledger.violations == {"header_size": 1}


def test_limits_of_zero_are_off() -> None:
    limits = ("connections", "messages", "recipients", "external_recipients", "recipients_per_message")
    office = Office(limits=dict.fromkeys(limits, 0))
    talks = [office.logged_in() for _ in range(5)]
    many = [f"{number}@x.example" for number in range(600)]
    assert all(talk.send(ORDERS, *many).startswith("250") for talk in talks for _ in range(10))
    assert not office.ledger.violations


# Log-in

LOGIN = "535 5.7.139 Authentication unsuccessful, "


@pytest.mark.parametrize(
    ("tenant", "reply"),
    [
        ({"smtp_auth": False}, LOGIN + "SmtpClientAuthentication is disabled for the Tenant."),
        ({"basic_auth": False}, LOGIN + "basic authentication is disabled."),
    ],
)
def test_switched_off_logins(tenant: dict[str, object], reply: str) -> None:
    office = Office(tenant=tenant)
    talk = office.session(office.submission)
    talk.secure()
    assert talk.say(f"AUTH LOGIN {base64(ORDERS)}", base64("pw")).split("\r\n")[-1].startswith(reply)


def test_a_mailbox_can_be_switched_off() -> None:
    office = Office(mailboxes=(MailboxTable(address=ORDERS, password="pw", smtp_auth=False),))
    talk = office.session(office.submission)
    talk.secure()
    said = talk.say(f"AUTH LOGIN {base64(ORDERS)}", base64("pw")).split("\r\n")[-1]
    assert said.startswith(LOGIN + "SmtpClientAuthentication is disabled for the Mailbox.")


BAD_TOKENS: dict[str, dict[str, object]] = {
    "expired": {"exp": int(NOW)},
    "soon": {"exp": int(NOW) + 300},
    "audience": {"aud": "https://graph.microsoft.com"},
    "application": {"appid": "nobody"},
    "roles": {"roles": ()},
}


@pytest.mark.parametrize("kind", [kind for kind in BAD_TOKENS if kind != "soon"])
def test_submission_says_of_every_bad_token_the_same(kind: str) -> None:
    office = Office()
    talk = office.session(office.submission)
    talk.secure()
    said = talk.say(f"AUTH XOAUTH2 {xoauth2(ORDERS, office.token(**BAD_TOKENS[kind]))}")
    assert said.startswith("535 5.7.3 Authentication unsuccessful [")


@pytest.mark.parametrize(
    ("kind", "reply"),
    [
        ("expired", "535 5.7.143"),
        ("soon", "535 5.7.142"),
        ("audience", "535 5.7.127"),
        ("application", "535 5.7.127"),
        ("roles", "535 5.7.144 XOAUTH2 authentication failed. Invalid API permissions"),
    ],
)
def test_high_volume_names_what_is_wrong_with_a_token(kind: str, reply: str) -> None:
    office = Office()
    talk = office.session(office.high_volume)
    talk.secure()
    said = talk.say(f"AUTH XOAUTH2 {xoauth2(BULK, office.token(**BAD_TOKENS[kind]))}")
    assert said.startswith(reply)


@pytest.mark.parametrize(
    "flaw", ["user=a", "user=a\x01auth=Bearer t", "\x01\x01", "auth=Bearer x\x01user=a\x01\x01"]
)
def test_a_malformed_response_is_501_at_high_volume_and_535_at_submission(flaw: str) -> None:
    office = Office()
    for service, reply in ((office.high_volume, "501 5.5.121"), (office.submission, "535 5.7.3")):
        talk = office.session(service)
        talk.secure()
        assert talk.say(f"AUTH XOAUTH2 {base64(flaw)}").startswith(reply)


def test_a_token_of_another_authority_is_refused() -> None:
    office = Office()
    head, claims, signature = office.token().split(".")
    forged = f"{head}.{claims}.{signature[:-8]}AAAAAAAA"
    for token in (forged, "", "x.y.z", f"{head}.{claims}."):
        fresh = office.session(office.submission)
        fresh.secure()
        assert fresh.say(f"AUTH XOAUTH2 {xoauth2(ORDERS, token)}").startswith("535 5.7.3")


def test_an_application_logs_in_to_its_mailboxes_only() -> None:
    office = Office(application=ApplicationTable(secret="s", mailboxes=("News@Contoso.example",)))
    for mailbox, code in ((NEWS, "235"), (ORDERS, "535 5.7.3")):
        talk = office.session(office.submission)
        talk.secure()
        assert talk.say(f"AUTH XOAUTH2 {xoauth2(mailbox, office.token())}").startswith(code)


# High volume


@pytest.mark.parametrize(
    ("sender", "author", "recipient", "code"),
    [
        (BULK, BULK, INSIDE, "250 2.0.0"),
        (ORDERS, BULK, INSIDE, "550 5.7.62"),
        (BULK, ORDERS, INSIDE, "550 5.6.241"),
        (BULK, BULK, OUTSIDE, "550 5.7.1"),
    ],
)
def test_high_volume_is_for_the_account_and_inside(
    sender: str, author: str, recipient: str, code: str
) -> None:
    office = Office()
    talk = office.logged_in(BULK, office.high_volume)
    said = talk.say(f"MAIL FROM:<{sender}>", f"RCPT TO:<{recipient}>", "DATA")
    if "354 " in said:
        said = talk.say(f"From: {author}", "", "x", ".")
    assert any(line.startswith(code) for line in said.split("\r\n"))


def test_high_volume_takes_fifty_recipients_and_ten_megabytes() -> None:
    office = Office(limits={"high_volume_recipients": 2, "high_volume_size": 1000})
    talk = office.logged_in(BULK, office.high_volume)
    said = talk.say(f"MAIL FROM:<{BULK}>", *[f"RCPT TO:<{INSIDE}>"] * 3, "RSET").split("\r\n")
    assert said[3] == "452 4.5.3 Too many recipients"
    assert talk.send(BULK, body="x" * 1000) == "552 5.3.4 Message size exceeds fixed maximum message size"
    assert office.ledger.violations == {"high_volume_recipients": 1, "message_size": 1}


def test_high_volume_has_no_limit_over_time() -> None:
    office = Office(limits={"messages": 2, "recipients": 2})
    talk = office.logged_in(BULK, office.high_volume)
    assert all(talk.send(BULK).startswith("250") for _ in range(10))


def test_a_mailbox_is_no_high_volume_account() -> None:
    office = Office()
    talk = office.logged_in(ORDERS, office.high_volume)
    assert talk.say(f"MAIL FROM:<{ORDERS}>").startswith("550 5.2.240")


def test_a_high_volume_session_does_not_outlive_its_token() -> None:
    office = Office()
    talk = office.session(office.high_volume)
    talk.secure()
    assert talk.say(f"AUTH XOAUTH2 {xoauth2(BULK, office.token(exp=int(NOW) + 400))}").startswith("235")
    assert talk.send(BULK).startswith("250")
    office.now = NOW + 400
    assert talk.say(f"MAIL FROM:<{BULK}>").startswith("535 5.7.143")


# The MX

CONNECTORS = (
    ConnectorTable(certificate_names=("*.contoso.example",)),
    ConnectorTable(networks=("198.51.100.0/24",)),
)
OURS = "anybody@contoso.example"


def at_mx(office: Office, sender: str, recipient: str, client: str = "203.0.113.9", *names: str) -> str:
    talk = office.session(office.mx, client)
    talk.secure(*names)
    return talk.say(f"MAIL FROM:<{sender}>", f"RCPT TO:<{recipient}>").split("\r\n")[-1]


NOBODY, RELAY = "203.0.113.9", "198.51.100.7"
OK = "250 2.1.5 Recipient OK"
NO = "550 5.7.64 TenantAttribution; Relay Access Denied (SMTP)"
NOT_OURS = "550 5.7.64 Relay Access Denied ATTR36"


@pytest.mark.parametrize(
    ("sender", "recipient", "client", "names", "reply"),
    [
        (OUTSIDE, INSIDE, NOBODY, (), OK),
        (OURS, INSIDE, NOBODY, (), OK),
        (OURS, OUTSIDE, NOBODY, (), NO),
        (OURS, OUTSIDE, RELAY, (), OK),
        (OUTSIDE, OUTSIDE, RELAY, (), NOT_OURS),
        ("", OUTSIDE, RELAY, (), NOT_OURS),
        (OURS, OUTSIDE, NOBODY, ("relay.contoso.example",), OK),
        ("", OUTSIDE, NOBODY, ("Relay.Contoso.Example",), OK),
        (OUTSIDE, OUTSIDE, NOBODY, ("*.contoso.example",), OK),
        (OURS, OUTSIDE, NOBODY, ("relay.sub.contoso.example",), NO),
        (OURS, OUTSIDE, NOBODY, ("relay.fabrikam.example",), NO),
        (OURS, OUTSIDE, "2001:db8::1", (), NO),
        (OURS, "missing@contoso.example", NOBODY, (), "550 5.4.1 Recipient address rejected: Access denied. AS(201806281)"),
    ],
)  # fmt: skip
def test_attribution(sender: str, recipient: str, client: str, names: tuple[str, ...], reply: str) -> None:
    assert at_mx(Office(connectors=CONNECTORS), sender, recipient, client, *names) == reply


def test_direct_send_can_be_locked() -> None:
    office = Office(connectors=CONNECTORS, tenant={"reject_direct_send": True})
    assert at_mx(office, OURS, INSIDE).startswith(
        "550 5.7.68 TenantInboundAttribution; Direct Send not allowed"
    )
    assert at_mx(office, OUTSIDE, INSIDE) == OK
    assert at_mx(office, OURS, INSIDE, RELAY) == OK


def test_the_mx_takes_200_recipients_of_a_domain() -> None:
    office = Office(connectors=CONNECTORS, limits={"recipients_per_domain": 2})
    talk = office.session(office.mx, RELAY)
    talk.secure()
    said = talk.say(
        f"MAIL FROM:<{OURS}>", *(f"RCPT TO:<{n}@{d}.example>" for n in range(3) for d in ("x", "y"))
    ).split("\r\n")
    assert said[1:] == [OK] * 4 + ["452 4.5.3 Too many recipients"] * 2
    assert office.ledger.violations == {"recipients_per_domain": 1}


def test_the_tenants_limit_holds_on_the_mx_too() -> None:
    office = Office(connectors=CONNECTORS, limits={"external_recipients": 1})
    talk = office.session(office.mx, RELAY)
    talk.secure()
    assert talk.send(OURS, OUTSIDE).startswith("250 2.6.0")
    assert talk.send(OURS, OUTSIDE).startswith("550 5.7.233")
    assert talk.send(OURS, INSIDE).startswith("250 2.6.0")


def test_a_forest_takes_so_many_connections() -> None:
    office = Office(limits={"forest_connections": 2})
    talks = [office.session(office.mx) for _ in range(3)]
    assert talks[2].greeting.startswith(
        "421 4.3.2 The maximum number of concurrent connections per resource forest"
    )
    for talk in talks[1:]:
        talk.session.leave()
    assert office.session(office.mx).greeting.startswith("220")
    assert office.mx.peak == 3 and office.mx.open == 2


def test_a_mail_that_comes_again_is_counted_as_duplicate() -> None:
    office = Office()
    talk = office.logged_in()
    for recipients in ((INSIDE,), (OUTSIDE,), (INSIDE, OUTSIDE)):
        talk.send(ORDERS, *recipients, message_id="<same@x>")
    assert office.ledger.duplicates == 2


@pytest.mark.parametrize(
    ("value", "address"),
    [
        (b"a@b.example", b"a@b.example"),
        (b"<a@b.example>", b"a@b.example"),
        (b'"Last, First" <a@b.example>', b"a@b.example"),
        (b'"<x@y>" <a@b.example>', b"a@b.example"),
        (b"a@b.example (comment)", b"a@b.example"),
        (b"", b""),
    ],
)
def test_the_author_is_found(value: bytes, address: bytes) -> None:
    assert address_of(value) == address
