"""What a mail is worth and whose it is, from the client's words to the envelope, the log and the signature."""

import pytest
from msgspec import UNSET

from relay.identity.dkim import DomainPolicy, KeyRing, Selector
from relay.message.envelope import Envelope
from relay.message.header import Header
from relay.message.priority import Priority
from relay.message.uncertain import Uncertain
from relay.receive.options import HEAD_BYTES, ListenerOptions, Rewrite
from relay.route.route import Route
from relay.spool.change import MAX_RECORD_BYTES
from relay.spool.handover import Queued
from relay.trace.event import Accepted, CommandRefused
from tests import dkimpy, oracle
from tests.identity.keys import ed25519_key, rsa_key
from tests.receive.harness import Client, house, run, without_own_fields

MAIL = b"From: Desk <p@local>\r\nTo: b@c\r\nMessage-ID: <1@x>\r\nDate: x\r\n\r\nHello\r\n"
REWRITE = Rewrite(("local",), "scanner@contoso.com")
RSA, ED25519 = Selector(b"r1", rsa_key()), Selector(b"e1", ed25519_key())
RECORDS = {
    selector.name + b"._domainkey.contoso.com": selector.key.public_record_value().encode()
    for selector in (RSA, ED25519)
}


class Outcome:
    """Of one mail."""

    def __init__(self) -> None:
        self.replies: list[bytes] = []
        self.mails: list[tuple[Envelope, bytes]] = []
        self.accepted: list[Accepted] = []
        self.refused: list[CommandRefused] = []
        self.queued: list[Queued] = []
        self.left: tuple[int, int] = (0, 0)

    @property
    def envelope(self) -> Envelope:
        ((envelope, _),) = self.mails
        return envelope

    @property
    def content(self) -> bytes:
        ((envelope, content),) = self.mails
        assert envelope.size == len(content)
        return content


def send(
    mail: bytes = MAIL,
    *,
    sender: bytes = b"<alice@example.com>",
    listener: ListenerOptions | None = None,
    rewrites: tuple[Rewrite, ...] = (),
    keys: KeyRing | None = None,
    routes: tuple[Route, ...] = (Route("all", ("mx.example",)),),
) -> Outcome:
    """A mail through a receiver; `sender` is what follows FROM, parameters included."""
    outcome = Outcome()

    async def main() -> None:
        async with house(listener=listener, rewrites=rewrites, keys=keys, routes=routes) as h:
            client = await Client.connect(h.port)
            await client.reply()
            await client.say(b"EHLO client.example\r\n")
            for said in (b"MAIL FROM:" + sender, b"RCPT TO:<bob@example.com>", b"DATA"):
                outcome.replies.append(await client.say(said + b"\r\n"))
            if outcome.replies[-1].startswith(b"354"):
                outcome.replies.append(await client.say(oracle.stuff(mail, True) + b".\r\n"))
            await client.close()
            outcome.mails = h.mails()
            outcome.queued = h.announced.queued
            outcome.accepted = [event for event in h.events if isinstance(event, Accepted)]
            outcome.refused = [event for event in h.events if isinstance(event, CommandRefused)]
        # After the last commit: what is dropped leaves the disk after the reply.
        outcome.left = (len(h.store.content_rows), len(h.store.partial_rows))

    run(main)
    return outcome


def with_fields(*fields: bytes) -> bytes:
    return b"".join(field + b"\r\n" for field in fields) + MAIL


def test_a_mail_that_says_nothing_is_normal() -> None:
    sent = send()
    assert (sent.envelope.priority, sent.envelope.campaign) == (Priority.NORMAL, "")
    assert (sent.envelope.uncertain, sent.envelope.original_sender) == (None, None)
    (event,) = sent.accepted
    assert (event.priority, event.campaign) == ("normal", "")
    assert event.original_sender is event.original_from is event.from_left is UNSET


def test_own_fields_come_to_envelope_hint_and_log_and_leave_the_mail() -> None:
    fields = (
        b"X-Relay-Priority: bulk",
        b"X-Relay-Campaign: May",
        b"X-Relay-Uncertain: hold",
        b"X-Relay-Q: x",
    )
    sent = send(with_fields(*fields))
    assert without_own_fields(sent.content) == MAIL
    assert sent.envelope.priority is Priority.BULK
    assert (sent.envelope.campaign, sent.envelope.uncertain) == ("May", Uncertain.HOLD)
    (queued,), (event,) = sent.queued, sent.accepted
    assert (queued.priority, queued.campaign) == (Priority.BULK, "May")
    assert (event.priority, event.campaign) == ("bulk", "May")


def test_a_field_that_cannot_be_read_refuses_the_mail_and_nothing_is_kept() -> None:
    sent = send(with_fields(b"X-Relay-Priority: urgent"))
    assert sent.replies[-1] == b'550 5.6.0 X-Relay-Priority may be high, normal or bulk; found "urgent"\r\n'
    assert (sent.mails, sent.left, sent.accepted) == ([], (0, 0), [])
    assert [event.command for event in sent.refused] == ["DATA"]


def test_so_it_does_when_most_of_the_mail_is_on_the_disk_already() -> None:
    sent = send(with_fields(b"X-Relay-Uncertain: maybe") + b"A line of text\r\n" * 60_000)
    assert sent.replies[-1].startswith(b"550 5.6.0 X-Relay-Uncertain may be retry, hold or ask")
    assert (sent.mails, sent.left) == ([], (0, 0))


@pytest.mark.parametrize(
    ("field", "parameter", "default", "highest", "expected"),
    [
        (b"", b"", "normal", "high", "normal"),
        (b"", b"", "bulk", "high", "bulk"),
        (b"", b"", "high", "high", "high"),
        (b"", b" MT-PRIORITY=0", "bulk", "high", "normal"),
        (b"", b" MT-PRIORITY=-1", "normal", "high", "bulk"),
        (b"", b" MT-PRIORITY=1", "normal", "high", "high"),
        (b"bulk", b" MT-PRIORITY=9", "normal", "high", "bulk"),
        (b"high", b" MT-PRIORITY=-9", "bulk", "high", "high"),
        (b"high", b"", "normal", "normal", "normal"),
        (b"high", b"", "bulk", "bulk", "bulk"),
        (b"bulk", b"", "normal", "normal", "bulk"),
        (b"", b" MT-PRIORITY=4", "bulk", "normal", "normal"),
    ],
)
def test_the_mail_counts_before_its_envelope_and_that_before_the_listener(
    field: bytes, parameter: bytes, default: str, highest: str, expected: str
) -> None:
    listener = ListenerOptions(
        "here", priority=Priority[default.upper()], priority_max=Priority[highest.upper()]
    )
    mail = with_fields(b"X-Relay-Priority: " + field) if field else MAIL
    sent = send(mail, sender=b"<alice@example.com>" + parameter, listener=listener)
    assert sent.envelope.priority.word == expected
    assert [event.priority for event in sent.accepted] == [expected]


@pytest.mark.parametrize(
    ("highest", "asked", "reply"),
    [
        ("high", b"9", b"250 2.1.0 Sender ok\r\n"),
        ("normal", b"0", b"250 2.1.0 Sender ok\r\n"),
        ("normal", b"1", b"250 2.3.6 0 is the highest priority here; sender ok\r\n"),
        ("bulk", b"0", b"250 2.3.6 -4 is the highest priority here; sender ok\r\n"),
        ("bulk", b"-9", b"250 2.1.0 Sender ok\r\n"),
    ],
)
def test_a_lowered_mt_priority_is_told(highest: str, asked: bytes, reply: bytes) -> None:
    listener = ListenerOptions("here", priority=Priority.BULK, priority_max=Priority[highest.upper()])
    sent = send(sender=b"<alice@example.com> MT-PRIORITY=" + asked, listener=listener)
    assert sent.replies[0] == reply
    assert sent.replies[-1].startswith(b"250 2.0.0 queued")


def test_a_rewritten_sender_is_in_envelope_from_hint_and_log() -> None:
    sent = send(sender=b"<p@local>", rewrites=(REWRITE,))
    assert sent.envelope.sender == b"scanner@contoso.com"
    assert sent.envelope.original_sender == b"p@local"
    assert without_own_fields(sent.content) == b"X-Original-From: p@local\r\n" + MAIL.replace(
        b"<p@local>", b"<scanner@contoso.com>"
    )
    (queued,), (event,) = sent.queued, sent.accepted
    assert queued.sender == b"scanner@contoso.com"
    assert (event.sender, event.original_sender) == ("scanner@contoso.com", "p@local")
    assert (event.original_from, event.from_left) == ("p@local", UNSET)


def test_a_from_that_is_left_is_told() -> None:
    sent = send(MAIL.replace(b"Desk <", b"q@local, <"), sender=b"<p@local>", rewrites=(REWRITE,))
    assert sent.envelope.sender == b"scanner@contoso.com"
    assert b"X-Original-From" not in sent.content
    (event,) = sent.accepted
    assert event.original_from is UNSET and event.from_left == "From names several addresses or a group"


def test_the_sender_decides_whether_from_is_looked_at() -> None:
    for sender in (b"<alice@example.com>", b"<>"):
        sent = send(sender=sender, rewrites=(REWRITE,))
        assert without_own_fields(sent.content) == MAIL
        assert sent.envelope.original_sender is None


def test_a_sender_that_is_the_new_one_already_still_has_its_from_rewritten() -> None:
    rewrite = Rewrite(("local", "scanner@contoso.com"), "scanner@contoso.com")
    sent = send(sender=b"<Scanner@contoso.com>", rewrites=(rewrite,))
    assert (sent.envelope.sender, sent.envelope.original_sender) == (b"Scanner@contoso.com", None)
    assert b"From: Desk <scanner@contoso.com>\r\n" in sent.content


def test_each_mail_of_a_session_is_judged_anew() -> None:
    async def main() -> None:
        async with house(rewrites=(REWRITE,), routes=(Route("all", ("mx.example",)),)) as h:
            client = await Client.connect(h.port)
            await client.reply()
            await client.say(b"EHLO client.example\r\n")
            for sender in (b"p@local", b"alice@example.com", b"q@local", b""):
                await client.say(b"MAIL FROM:<%b>\r\n" % sender)
                await client.say(b"RSET\r\n")
                await client.say(b"MAIL FROM:<%b>\r\n" % sender)
                await client.say(b"RCPT TO:<bob@example.com>\r\n")
                await client.say(b"DATA\r\n")
                assert (await client.say(MAIL + b".\r\n")).startswith(b"250 ")
            await client.close()
            new = b"scanner@contoso.com"
            assert [(mail.sender, mail.original_sender) for mail, _ in h.mails()] == [
                (new, b"p@local"), (b"alice@example.com", None), (new, b"q@local"), (b"", None),
            ]  # fmt: skip

    run(main)


def test_the_rewritten_sender_chooses_the_route() -> None:
    routes = (
        Route("local", ("mx.local",), senders=("local",)),
        Route("contoso", ("mx.contoso",), senders=("contoso.com",)),
    )
    sent = send(sender=b"<p@local>", rewrites=(REWRITE,), routes=routes)
    assert [recipient.route for recipient in sent.envelope.recipients] == ["contoso"]
    assert [
        recipient.route for recipient in send(sender=b"<p@local>", routes=routes).envelope.recipients
    ] == ["local"]


@pytest.mark.parametrize("selectors", [(RSA,), (ED25519,), (RSA, ED25519)], ids=["rsa", "ed25519", "both"])
@pytest.mark.parametrize("body", [b"", b"A line of text\r\n" * 60_000], ids=["small", "large"])
def test_a_rewritten_mail_is_signed_for_its_new_domain(selectors: tuple[Selector, ...], body: bytes) -> None:
    keys = KeyRing([DomainPolicy(b"contoso.com", selectors)])
    sent = send(
        with_fields(b"X-Relay-Priority: high") + body, sender=b"<p@local>", rewrites=(REWRITE,), keys=keys
    )
    assert Header.of(sent.content).count(b"DKIM-Signature") == len(selectors)
    assert b"X-Relay-" not in sent.content and sent.content.endswith(b"Hello\r\n" + body)
    assert dkimpy.verifies(sent.content, RECORDS) == [True] * len(selectors)
    changed = sent.content.replace(b"<scanner@contoso.com>", b"<mallory@contoso.com>")
    assert dkimpy.verifies(changed, RECORDS) == [False] * len(selectors)


@pytest.mark.parametrize("shift", [-40, -1, 0, 1, 40])
@pytest.mark.parametrize("border", [HEAD_BYTES, HEAD_BYTES + MAX_RECORD_BYTES])
def test_content_at_the_border_of_a_record_stays_whole(border: int, shift: int) -> None:
    start = with_fields(b"X-Relay-Campaign: c\r\n x", b"X-Relay-Priority: high")
    filler = b"".join(b"%07d\r\n" % number for number in range((border - len(start)) // 9 + 10))
    size = border + shift - len(start) - len(b"\r\nX-Relay-Priority: no\r\n")
    text = filler[:size]
    # A cut between CR and LF would leave a bare CR.
    text = text[:-1] + b"x" if text.endswith(b"\r") else text
    body = text + b"\r\nX-Relay-Priority: no\r\n"
    sent = send(start + body, sender=b"<p@local>", rewrites=(REWRITE,))
    rewritten = MAIL.replace(b"<p@local>", b"<scanner@contoso.com>")
    if without_own_fields(sent.content) != b"X-Original-From: p@local\r\n" + rewritten + body:
        raise AssertionError("a byte was lost, added or moved")


def test_what_is_cut_makes_no_mail_too_large_for_its_record() -> None:
    # The longest header that is taken, and a body that fills the first record.
    field = b"X-Relay-New: %b\r\n" % (b"x" * 800)
    start = field * 150 + MAIL
    body = (b"x" * 998 + b"\r\n") * 300
    sent = send(start + body, sender=b"<p@local>", rewrites=(REWRITE,))
    assert sent.content.endswith(b"Hello\r\n" + body) and b"X-Relay-" not in sent.content


def test_when_a_mail_may_go_comes_to_envelope_hint_and_log_and_leaves_the_mail() -> None:
    sent = send(with_fields(b"X-Relay-Not-Before: 1h", b"x-relay-deadline: 1d 2h"))
    assert without_own_fields(sent.content) == MAIL
    mail, (queued,), (event,) = sent.envelope, sent.queued, sent.accepted
    assert mail.not_before == mail.received_at + 3_600
    assert mail.deadline == mail.received_at + 93_600
    assert (queued.not_before, queued.deadline) == (mail.not_before, mail.deadline)
    assert (event.not_before, event.deadline) == (mail.not_before, mail.deadline)
    plain = send()
    assert (plain.envelope.not_before, plain.envelope.deadline) == (0.0, 0.0)
    assert plain.accepted[0].not_before is plain.accepted[0].deadline is UNSET


@pytest.mark.parametrize(
    ("field", "reply"),
    [
        (
            b"X-Relay-Deadline: Thu, 26 Nov 2020 18:00:00 +0100",
            b"550 5.4.7 X-Relay-Deadline has passed already\r\n",
        ),
        (b"X-Relay-Deadline: 400d", b"550 5.6.0 X-Relay-Deadline may be 366 days ahead at most\r\n"),
        (b"X-Relay-Not-Before: 31d", b"550 5.6.0 X-Relay-Not-Before may be 30 days ahead at most\r\n"),
    ],
)
def test_a_moment_that_cannot_be_kept_refuses_the_mail_and_nothing_is_kept(
    field: bytes, reply: bytes
) -> None:
    for body in (b"", b"A line of text\r\n" * 60_000):
        sent = send(with_fields(field) + body)
        assert sent.replies[-1] == reply
        assert (sent.mails, sent.left, sent.accepted) == ([], (0, 0), [])


def test_moments_that_contradict_each_other_refuse_it_too() -> None:
    sent = send(with_fields(b"X-Relay-Not-Before: 2h", b"X-Relay-Deadline: 2h"))
    assert sent.replies[-1].startswith(b"550 5.6.0 X-Relay-Deadline must be later than X-Relay-Not-Before")
