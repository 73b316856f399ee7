"""`trace` and `report`, as a shell sees them; and what they print, looked at closely."""

import csv
import io
import json
import re
import time
from html.parser import HTMLParser
from pathlib import Path

import pytest

from relay.cli import patience, trace, trace_csv, trace_find, trace_words
from relay.cli.moment import length, local, ms_of
from relay.cli.report_html import page
from relay.cli.report_show import bar, by_day
from relay.cli.trace_follow import AcceptedLine, Follower
from relay.cli.trace_show import printable
from relay.process.exits import Exit
from relay.trace import event as events
from relay.trace.history import question
from relay.trace.history.database import reading
from relay.trace.history.flow import Hour, Span, flow
from relay.trace.history.mail import StepLine
from relay.trace.history.question import Wanted
from relay.trace.history.state import OUTCOMES
from relay.trace.seen import store
from relay.trace.seen.sighting import Sighting, Who
from relay.trace.seen.store import SeenStore
from tests.cli.test_main import Shell
from tests.fakes.clock import FakeClock
from tests.trace.history.sample import Telling

EVIL = "250 ok \x1b]0;gotcha\x07<script>alert(1)</script>"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture
def telling(shell: Shell) -> Telling:
    (shell.folder / "spool").mkdir()
    return Telling(shell.folder / "spool" / "history.db", FakeClock(time.time() - 60))


def some_mails(telling: Telling) -> list[events.MailQueued]:
    """Delivered, held, still waiting."""
    mails = [
        telling.queued("anna@example.net", campaign="May"),
        telling.queued("bob@example.net", "carol@example.net", sender="crm@contoso.com"),
        telling.queued("=cmd|' /C calc'!A0@example.net"),
    ]
    telling.write(*mails)
    telling.clock.advance(2)
    telling.write(telling.deferred(mails[0]))
    telling.clock.advance(30)
    telling.write(telling.delivered(mails[0]), telling.held(mails[1], "bob@example.net"))
    return mails


def test_one_mail_is_told_step_by_step_in_plain_words(shell: Shell, telling: Telling) -> None:
    mails = some_mails(telling)
    shown = shell.run("trace", mails[0].id)
    assert shown.returncode == 0, shown.stderr
    words = re.sub(r"\s+", " ", shown.stdout)
    for expected in (
        f"{mails[0].id} {mails[0].message_id}",
        "accepted from app@contoso.com, client 10.0.0.1, 1,000 bytes, campaign May",
        "+2.0 s put off for anna@example.net by exchange-online (h), attempt 1; again at",
        "reply: 451 4.7.500 Server busy.",
        "means: ",
        "+32 s delivered to anna@example.net by exchange-online (smtp.office365.com, as relay@contoso.com)",
        "there: server SYBP282MB2635.AUSP282.PROD.OUTLOOK.COM, number 7619272024915, session 0123456789ABCDEF",
    ):
        assert expected in words
    refused = re.sub(r"\s+", " ", shell.run("trace", "bob@example.net").stdout)
    assert "held for bob@example.net by exchange-online (h): it is kept until somebody decides" in refused
    assert "means: There is no such recipient. Correct the address" in refused
    assert "not tried yet: carol@example.net" in refused


def test_a_word_is_an_id_a_message_id_a_recipient_or_a_sender(shell: Shell, telling: Telling) -> None:
    mails = some_mails(telling)

    def ids(*arguments: str) -> list[str]:
        shown = shell.run("trace", *arguments, "--json")
        assert shown.returncode == 0, shown.stderr
        return [json.loads(line)["id"] for line in shown.stdout.splitlines()]

    everything = [mail.id for mail in reversed(mails)]
    assert ids() == everything
    assert ids("find") == everything
    assert ids(mails[1].id.upper()) == ids(mails[1].message_id) == [mails[1].id]
    assert ids("anna@example.net") == [mails[0].id]
    assert ids("crm@contoso.com") == [mails[1].id]
    assert ids("nobody@example.net") == []
    assert ids("--outcome", "held") == [mails[1].id]
    assert ids("--reply", "SERVER BUSY") == [mails[0].id]
    assert ids("--outcome", "waiting", "--limit", "1") == [mails[2].id]
    assert ids("--campaign", "May", "--since", "1h") == [mails[0].id]
    assert ids("--since", "1h", "--until", "30m") == []


def test_words_that_nobody_said_are_looked_for_as_long_as_a_person_waits(
    telling: Telling, shell: Shell
) -> None:
    some_mails(telling)
    for more in ([], ["--all"]):
        shown = shell.run("trace", "--reply", "nobody said that", *more)
        assert shown.returncode == 0 and "no such mail" in shown.stdout and not shown.stderr


def test_an_answer_that_was_cut_short_says_so(
    telling: Telling, shell: Shell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    some_mails(telling)
    monkeypatch.setattr(question, "SLICE", 1)
    monkeypatch.setattr(patience, "for_a_moment", lambda: lambda _: False)
    asked = trace_find.Search(reply="nobody said that")
    assert trace_find.run(shell.folder / "relay.toml", asked, trace_find.Form.JSON, follow=False) is Exit.OK
    shown = capsys.readouterr()
    assert not shown.out and "--all looks through the others too" in shown.err


def test_several_mails_are_a_table_and_none_says_so(shell: Shell, telling: Telling) -> None:
    some_mails(telling)
    shown = shell.run("trace")
    for expected in ("anna@example.net", "and 1 more", "1 held, 1 waiting", "delivered"):
        assert expected in shown.stdout
    assert "no such mail" in shell.run("trace", "--sender", "nobody@contoso.com").stdout
    assert "--limit shows more" in shell.run("trace", "--limit", "2").stdout
    assert shell.run("trace", "--steps").stdout.count("accepted from") == 3


def test_json_has_all_there_is_of_a_mail(shell: Shell, telling: Telling) -> None:
    mails = some_mails(telling)
    mail = json.loads(shell.run("trace", mails[0].id, "--json").stdout)
    assert mail["recipients"][0] | {"at": 0} == {
        "address": "anna@example.net",
        "outcome": "delivered",
        "at": 0,
    }
    assert [step["event"] for step in mail["steps"]] == ["deferred", "delivered"]
    assert mail["steps"][1]["internal_id"] == "7619272024915"


def test_csv_is_a_line_a_step_and_no_formula(shell: Shell, telling: Telling) -> None:
    mails = some_mails(telling)
    rows = list(csv.DictReader(io.StringIO(shell.run("trace", "--csv").stdout)))
    assert [(row["id"], row["event"]) for row in rows] == [
        (mails[2].id, "waiting"), (mails[1].id, "held"), (mails[0].id, "deferred"), (mails[0].id, "delivered"),
    ]  # fmt: skip
    assert rows[0]["recipient"].startswith("'=cmd|")
    assert rows[3]["remote"] == "SYBP282MB2635.AUSP282.PROD.OUTLOOK.COM"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", rows[3]["at"])


@pytest.mark.parametrize("value", ["=1", "+1", "-1", "@x", "\t=1"])
def test_a_formula_is_told_as_text(value: str) -> None:
    assert trace_csv.safe(value) == "'" + value
    assert trace_csv.safe(5) == 5 and trace_csv.safe("a=1") == "a=1"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("trace", "hello"), "is not a queue id"),
        (("trace", "--since", "yesterday"), "write how long ago"),
        (("trace", "--json", "--csv"), "one of --json and --csv"),
        (("trace", "--outcome", "lost"), "lost"),
        (("trace", "erase", "anna"), "write one address"),
        (("report", "--csv", "--html"), "one of --json"),
        (("report", "--since", "2h", "--until", "3h"), "must be before"),
        (("report", "--since", "2000-01-01"), "a year at most"),
    ],
)
def test_wrong_usage_is_explained(
    shell: Shell, telling: Telling, arguments: tuple[str, ...], words: str
) -> None:
    telling.write(telling.queued())
    shown = shell.run(*arguments)
    assert shown.returncode == 64
    assert words in re.sub(r"[\s│]+", " ", shown.stderr)


def test_where_there_is_no_history_that_is_said(shell: Shell) -> None:
    shown = shell.run("trace")
    assert shown.returncode == 69 and "is not there yet" in shown.stderr
    shell.file.write_text(shell.file.read_text() + "[history]\nenabled = false\n")
    shown = shell.run("report")
    assert shown.returncode == 69 and "history.enabled is false" in shown.stderr


def test_a_damaged_history_is_one_sentence(shell: Shell, telling: Telling) -> None:
    telling.path.write_bytes(b"rubbish" * 2_000)
    shown = shell.run("trace")
    assert shown.returncode == 69 and "cannot be read: file is not a database" in shown.stderr


def test_erase_asks_and_then_does(shell: Shell, telling: Telling) -> None:
    mails = some_mails(telling)
    asked = shell.run("trace", "erase", "anna@example.net")
    assert asked.returncode != 0 and "1 mails name anna@example.net, with 2 steps" in asked.stderr
    assert telling.find(recipient="anna@example.net") == [mails[0].id]
    done = shell.run("trace", "erase", "Anna@example.net", "--yes")
    assert done.returncode == 0 and "1 mails, 2 steps" in done.stdout
    assert telling.find(recipient="anna@example.net") == []
    again = shell.run("trace", "erase", "anna@example.net", "--yes", "--json")
    nothing = {"mails": 0, "steps": 0, "senders": 0, "mentions": 0}
    assert json.loads(again.stdout) == nothing | {"is_whole": True, "suppressed_until": ""}


def test_erase_says_that_the_address_stands_on_the_suppression_list(shell: Shell, telling: Telling) -> None:
    some_mails(telling)
    assert shell.run("suppression", "add", "anna@example.net").returncode == 0
    done = shell.run("trace", "erase", "Anna@example.net", "--yes")
    assert done.returncode == 0 and "m365-relay suppression remove Anna@example.net" in done.stdout
    assert shell.run("suppression", "remove", "anna@example.net").returncode == 0
    assert "suppression" not in shell.run("trace", "erase", "anna@example.net", "--yes").stdout


def test_a_person_is_erased_from_what_was_seen_of_senders_too(shell: Shell, telling: Telling) -> None:
    some_mails(telling)
    path = shell.folder / "spool" / "seen.db"
    seen = SeenStore(path, 1e9)
    seen.add(
        {Who("", "10.0.0.1", "nothing"): Sighting(last=time.time(), senders={"Anna@example.net"})},
        time.time(),
    )
    seen.close()
    done = shell.run("trace", "erase", "anna@example.net", "--yes")
    assert done.returncode == 0 and "what was seen of senders (client seen): 1" in done.stdout
    ((_, left),) = store.read(path)
    assert left.senders == set()


def test_the_default_command_is_put_in_and_no_other_is_touched() -> None:
    assert trace.completed(["trace", "a@b.c", "--json"]) == ["trace", "find", "a@b.c", "--json"]
    for arguments in (["trace", "erase", "a"], ["trace", "find"], ["trace", "-h"], ["queue", "list"], []):
        assert trace.completed(arguments) == arguments


def test_every_outcome_can_be_asked_for() -> None:
    assert {each.value for each in trace.Outcome} == OUTCOMES.keys()


def test_strangers_words_move_no_terminal() -> None:
    assert printable(EVIL) == "250 ok \ufffd]0;gotcha\ufffd<script>alert(1)</script>"


def test_many_recipients_with_one_answer_are_one_line(tmp_path: Path) -> None:
    telling = Telling(tmp_path / "history.db")
    mail = telling.queued(*(f"r{i}@example.net" for i in range(50)))
    telling.write(mail, telling.delivered(mail))
    [found] = telling.read()
    [(_, line, _)] = trace_words.steps(found)
    assert "r0@example.net, r1@example.net, r2@example.net and 47 more by" in line


def test_what_is_not_to_leave_yet_is_told_with_its_moment(tmp_path: Path) -> None:
    telling = Telling(tmp_path / "history.db")
    telling.write(telling.queued(not_before=telling.clock.now() + 3_600))
    [found] = telling.read()
    [(_, line, _)] = trace_words.steps(found)
    assert line == f"not to leave before {local(telling.clock.now() + 3_600)}: its sender wants it so"


def test_those_who_follow_see_what_they_want_once_and_from_now_on(tmp_path: Path) -> None:
    telling = Telling(tmp_path / "history.db")
    telling.write(telling.queued(campaign="May"))
    follower = Follower(telling.path, Wanted(campaign="May"))
    assert follower.news() == []
    wanted, other = telling.queued(campaign="May"), telling.queued(campaign="June")
    telling.write(wanted, other, telling.delivered(other))
    telling.clock.advance(1)
    telling.write(telling.delivered(wanted))
    first, second = follower.news()
    assert isinstance(first, AcceptedLine) and (first.id, first.event) == (wanted.id, "accepted")
    assert isinstance(second, StepLine) and (second.id, second.event) == (wanted.id, "delivered")
    assert follower.news() == []
    # The file is begun anew: its numbers begin anew, too.
    telling.writer.close()
    for each in tmp_path.iterdir():
        each.unlink()
    telling.write(again := telling.queued(campaign="May"), telling.delivered(again))
    assert [line.event for line in follower.news()] == ["accepted", "delivered"]


# Report.


def test_the_report_in_every_form(shell: Shell, telling: Telling) -> None:
    some_mails(telling)
    text = shell.run("report")
    assert text.returncode == 0, text.stderr
    for expected in ("3 mails", "crm@contoso.com", "exchange-online", "There is no such recipient.", "█"):
        assert expected in text.stdout
    found = json.loads(shell.run("report", "--since", "2h", "--json").stdout)
    assert found["mails"] == 3 and sum(hour["accepted"] for hour in found["hours"]) == 3
    rows = list(csv.DictReader(io.StringIO(shell.run("report", "--csv").stdout)))
    assert sum(int(row["held"]) for row in rows if row["part"] == "hour") == 1
    assert [row["mails"] for row in rows if row["name"] == "crm@contoso.com"] == ["1"]
    html = shell.run("report", "--html").stdout
    assert html.startswith("<!DOCTYPE html>") and html.count("<rect") >= 25 * 3
    assert "Nothing happened" in shell.run("report", "--since", "3h", "--until", "2h").stdout


class Strict(HTMLParser):
    """Every element that is opened is closed, in order; nothing is fetched or run."""

    VOID = frozenset({"meta", "rect"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag != "script" and tag != "link" and tag != "img", tag
        for name, _ in attrs:
            assert not name.startswith("on") and name not in ("src", "href"), name
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_strangers_words_are_text_in_the_html(tmp_path: Path) -> None:
    telling = Telling(tmp_path / "history.db")
    evil = '"><script>alert(1)</script>@example.net'
    mail = telling.queued(sender=evil, campaign="<img src=x onerror=alert(2)>")
    telling.write(mail, telling.held(mail, reply="550 no </td><script>alert(3)</script>"))
    with reading(telling.path) as connection:
        found = flow(connection, Span(1_799_990_000_000, 1_800_000_100_000))
    parser = Strict()
    parser.feed(page(found, 1.8e9))
    assert parser.open == []
    assert evil in parser.texts and "<img src=x onerror=alert(2)>" in parser.texts
    assert any("alert(3)" in text for text in parser.texts)


@pytest.mark.parametrize(
    ("value", "shown"), [(0, ""), (1, "▏"), (100, "█" * 10), (50, "█" * 5), (1_000_000, "█" * 100_000)]
)
def test_a_bar_is_as_long_as_its_share(value: int, shown: str) -> None:
    assert bar(value, 100, 10) == shown


def test_days_add_up_their_hours() -> None:
    hours = [Hour(1_800_000_000.0 + 3600 * i, accepted=1, held=2) for i in range(72)]
    days = by_day(hours)
    assert sum(day.accepted for day in days) == 72 and sum(day.held for day in days) == 144
    assert 3 <= len(days) <= 4


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2h", 1_799_992_800_000), ("1h30m", 1_799_994_600_000),
        ("2027-01-15T08:00:00+00:00", 1_800_000_000_000), ("2027-01-15T09:00+01:00", 1_800_000_000_000),
    ],
)  # fmt: skip
def test_moments_are_written_as_people_do(text: str, ms: int) -> None:
    assert ms_of(text, 1_800_000_000.0) == ms


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (45, "45 s"), (600, "10 min"), (8_000, "2 h"), (200_000, "2 d")],
)
def test_lengths_are_short(seconds: float, shown: str) -> None:
    assert length(seconds) == shown
