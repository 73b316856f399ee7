"""What is asked is found: each condition, all together against a plain filter, and by way of an index."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relay.message.queue_id import parse_id
from relay.trace import event as events
from relay.trace.history import question
from relay.trace.history.database import reading
from relay.trace.history.mail import MailLine
from relay.trace.history.question import Wanted, find
from relay.trace.history.state import OUTCOMES, State
from tests.trace.history.sample import NOT_FOUND, Telling

MINUTE_MS = 60_000
SENDERS = ("app@contoso.com", "crm@contoso.com", "erp@fabrikam.com")
RECIPIENTS = ("b@example.net", "c@example.net", "d@example.org")
CAMPAIGNS = ("", "May", "June")


@pytest.fixture(scope="module")
def telling(tmp_path_factory: pytest.TempPathFactory) -> Telling:
    """Sixty mails, one a minute, of every kind."""
    telling = Telling(tmp_path_factory.mktemp("history") / "history.db")
    for i in range(60):
        mail = telling.queued(
            RECIPIENTS[i % 3],
            *(RECIPIENTS[(i + 1) % 3],) * (i % 2),
            sender=SENDERS[i % 7 % 3],
            campaign=CAMPAIGNS[i % 5 % 3],
        )
        telling.write(mail)
        if i % 4 == 0:
            telling.write(telling.deferred(mail, mail.recipients[0]))
        telling.clock.advance(60)
        match i % 6:
            case 0:
                telling.write(telling.held(mail, mail.recipients[0]))
            case 1:
                telling.write(events.Uncertain(mail.id, "r", "h", "connection reset by peer"))
            case 5:
                pass
            case _:
                telling.write(telling.delivered(mail, reply=f"250 2.0.0 Ok: queued as 4XyZ{i:05d}ab"))
    return telling


def oracle(mails: list[MailLine], wanted: Wanted) -> list[str]:
    """One by one."""

    def holds(mail: MailLine) -> bool:
        times = [mail.accepted_at, *(step.at for step in mail.steps)]
        since = 0 if wanted.since_ms is None else wanted.since_ms
        until = 1 << 42 if wanted.until_ms is None else wanted.until_ms
        return all(
            (
                not wanted.sender or mail.sender == wanted.sender or mail.sender.endswith(wanted.sender * wanted.sender.startswith("@") or "\0"),
                not wanted.recipient or any(each.address == wanted.recipient or (wanted.recipient[0] == "@" and each.address.endswith(wanted.recipient)) for each in mail.recipients),
                not wanted.campaign or mail.campaign == wanted.campaign,
                wanted.outcome is None
                or any(each.outcome == wanted.outcome.word for each in mail.recipients)
                or (wanted.outcome is State.UNCERTAIN and any(step.event == "uncertain" for step in mail.steps)),
                not wanted.reply or any(wanted.reply.lower() in step.reply.lower() for step in mail.steps),
                any(since <= round(at * 1000) <= until for at in times),
            )
        )  # fmt: skip

    return [mail.id for mail in mails if holds(mail)]


@pytest.mark.parametrize("narrow_max", [1, 7, 1_000])
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sender=st.sampled_from(("", *SENDERS, "@contoso.com", "nobody@contoso.com")),
    recipient=st.sampled_from(("", *RECIPIENTS, "@example.net", "@nowhere.example")),
    campaign=st.sampled_from((*CAMPAIGNS, "July")),
    outcome=st.sampled_from((None, *OUTCOMES.values())),
    reply=st.sampled_from(
        ("", "server BUSY", "not found by", "reset by peer", "queued as", "4XyZ00002ab", "zz")
    ),
    since=st.one_of(st.none(), st.integers(-2, 62)),
    span=st.one_of(st.none(), st.integers(0, 30)),
)
def test_all_together_find_what_a_plain_filter_finds(
    telling: Telling,
    narrow_max: int,
    sender: str,
    recipient: str,
    campaign: str,
    outcome: State | None,
    reply: str,
    since: int | None,
    span: int | None,
) -> None:
    start = 1_800_000_000_000
    since_ms = None if since is None else start + since * MINUTE_MS
    until_ms = None if span is None else start + ((since or 0) + span) * MINUTE_MS
    wanted = Wanted(
        sender=sender, recipient=recipient, campaign=campaign, outcome=outcome, reply=reply, since_ms=since_ms,
        until_ms=until_ms,
    )  # fmt: skip
    expected = oracle(telling.read(), wanted)
    with pytest.MonkeyPatch.context() as patch, reading(telling.path) as connection:
        patch.setattr(question, "NARROW_MAX", narrow_max)
        assert [id for id in find(connection, wanted, 100)] == [parse_id(id) for id in expected]
        assert find(connection, wanted, 3) == [parse_id(id) for id in expected[:3]]


def test_by_id_and_by_message_id_with_or_without_brackets(telling: Telling) -> None:
    mail = telling.read()[17]
    assert telling.find(id=parse_id(mail.id)) == [mail.id]
    for written in (mail.message_id, mail.message_id.strip("<>"), f"  {mail.message_id} "):
        assert telling.find(message_id=written) == [mail.id]
    assert telling.find(message_id="<nobody@nowhere>") == []
    assert telling.find(message_id="<>") == []


def test_the_null_sender_and_addresses_in_any_case(tmp_path: Path) -> None:
    telling = Telling(tmp_path / "history.db")
    bounce, mail = telling.queued("B@Example.NET", sender=""), telling.queued(sender="App@Contoso.COM")
    telling.write(bounce, mail, telling.delivered(telling.queued()))
    assert telling.find(sender="<>") == [bounce.id]
    assert telling.find(sender="APP@contoso.com") == [mail.id]
    assert bounce.id in telling.find(recipient="b@EXAMPLE.net")
    assert bounce.id in telling.find(recipient="@EXAMPLE.net")


def test_what_looks_like_a_pattern_is_none(tmp_path: Path) -> None:
    telling = Telling(tmp_path / "history.db")
    mails = [telling.queued(), telling.queued()]
    telling.write(
        *mails, telling.held(mails[0], reply="550 100% full"), telling.held(mails[1], reply="550 100x full")
    )
    assert telling.find(reply="100% full") == [mails[0].id]
    assert telling.find(reply="_00% f") == []
    assert telling.find(reply="' OR 1=1 --", sender="' OR 1=1 --") == []


def test_the_next_hops_own_id_is_found_whole_and_in_part(tmp_path: Path) -> None:
    telling = Telling(tmp_path / "history.db")
    mails = [telling.queued() for _ in range(3)]
    telling.write(
        *mails,
        *(
            telling.delivered(mail, reply=f"250 2.0.0 Ok: queued as 4XyZ{i}abc")
            for i, mail in enumerate(mails)
        ),
    )
    assert telling.find(reply="4XyZ1abc") == [mails[1].id]
    assert telling.find(reply="queued as 4XyZ2abc") == [mails[2].id]
    assert telling.find(reply="XyZ2a") == [mails[2].id]
    assert len(telling.find(reply="queued as")) == 3


def test_microsofts_number_of_a_mail_is_found(tmp_path: Path) -> None:
    telling = Telling(tmp_path / "history.db")
    mails = [telling.queued() for _ in range(3)]
    reply = "250 2.6.0 <a@b> [InternalId=%d, Hostname=SY4P282MB1257.AUSP282.PROD.OUTLOOK.COM] 48435 bytes in 0.160"
    for i, mail in enumerate(mails):
        telling.write(
            mail,
            telling.delivered(mail, reply=reply % (7619272024915 + i), internal_id=str(7619272024915 + i)),
        )
    assert telling.find(reply="7619272024916") == [mails[1].id]
    assert len(telling.find(reply="SY4P282MB1257")) == 3


def test_an_address_in_a_refusal_is_found(tmp_path: Path) -> None:
    telling = Telling(tmp_path / "history.db")
    mail = telling.queued()
    telling.write(mail, telling.held(mail, reply=NOT_FOUND % "alias@fabrikam.com"))
    assert telling.find(reply="alias@fabrikam.com") == [mail.id]
    assert telling.find(reply="Recipient alias@fabrikam.com not") == [mail.id]


def test_a_server_of_microsofts_is_found_by_its_name(tmp_path: Path) -> None:
    telling = Telling(tmp_path / "history.db")
    mails = [telling.queued() for _ in range(3)]
    hosts = [f"SY4P282MB{i}.AUSP282.PROD.OUTLOOK.COM" for i in range(3)]
    for mail, host in zip(mails, hosts, strict=True):
        telling.write(mail, telling.delivered(mail, reply=f"250 OK <a@b> [Hostname={host}]", remote=host))
    assert telling.find(reply="sy4p282mb1") == [mails[1].id]
    assert telling.find(reply=f"[Hostname={hosts[2]}]") == [mails[2].id]
    assert [step for step in plans(telling, reply="SY4P282MB1") if "steps_remote" in step]


@pytest.mark.parametrize(
    ("since_ms", "until_ms"), [(None, None), (1_800_001_200_000, None), (None, 1_800_001_200_000)]
)
def test_words_that_no_index_knows_are_looked_for_slice_by_slice(
    telling: Telling, monkeypatch: pytest.MonkeyPatch, since_ms: int | None, until_ms: int | None
) -> None:
    parts = Wanted(reply="XyZ000", outcome=State.DELIVERED, since_ms=since_ms, until_ms=until_ms)
    with reading(telling.path) as connection:
        whole = find(connection, parts, 100)
        monkeypatch.setattr(question, "SLICE", 7)
        told: list[float] = []

        def go_on(part: float) -> bool:
            told.append(part)
            return True

        found = question.search(connection, parts, 100, go_on)
    assert found.ids == whole and found.back_to is None and len(whole) >= 10
    assert told == sorted(told) and len(told) > 1 and told[0] > 0 and told[-1] < 1


def test_who_has_no_patience_hears_how_far_back_it_was_looked(
    telling: Telling, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(question, "SLICE", 10)
    with reading(telling.path) as connection:
        whole = find(connection, Wanted(reply="XyZ000"), 100)
        found = question.search(connection, Wanted(reply="XyZ000"), 100, lambda part: part < 0.3)
        assert found.back_to is not None
        assert found.ids == [id for id in whole if id >= found.back_to] != whole
        enough = question.search(connection, Wanted(reply="XyZ000"), 2, lambda _: False)
    assert enough.ids == whole[:2] and enough.back_to is None


def plans(telling: Telling, **wanted: object) -> list[str]:
    """How SQLite goes about it: the steps that read a table."""
    found: list[str] = []
    with reading(telling.path) as connection:
        statements: list[str] = []
        connection.set_trace_callback(statements.append)
        find(connection, Wanted(**wanted), 100)  # type: ignore[arg-type]  # names are checked at run time
        connection.set_trace_callback(None)
        for statement in statements:
            if statement.startswith("SELECT m.id"):
                found += [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]
    return found


@pytest.mark.parametrize(
    "wanted",
    [
        {"id": 1},
        {"message_id": "<a@b>"},
        {"sender": "app@contoso.com"},
        {"campaign": "May"},
        {"recipient": "b@example.net"},
        {"outcome": State.HELD},
        {"outcome": State.UNCERTAIN},
        {"reply": "server busy"},
        {"reply": "4XyZ00002ab"},
        {"since_ms": 1_800_000_600_000, "until_ms": 1_800_000_900_000},
        {"recipient": "b@example.net", "outcome": State.HELD, "sender": "app@contoso.com"},
    ],
    ids=str,
)
def test_no_question_reads_a_whole_table(telling: Telling, wanted: dict[str, object]) -> None:
    assert [step for step in plans(telling, **wanted) if step.startswith("SCAN")] == []


def test_the_rarest_condition_is_the_way_in(telling: Telling) -> None:
    steps = plans(telling, sender="app@contoso.com", outcome=State.UNCERTAIN)
    assert not any("mails_sender" in step for step in steps)


def test_mails_among_some_are_those(telling: Telling) -> None:
    every: Callable[[MailLine], int] = lambda mail: parse_id(mail.id)  # noqa: E731 (typed)
    ids = [every(mail) for mail in telling.read()][10:20]
    with reading(telling.path) as connection:
        assert find(connection, Wanted(), 100, ids) == ids
        held = find(connection, Wanted(outcome=State.HELD), 100, ids)
    assert held and set(held) < set(ids)
