"""Commands to a relay that runs, as a shell sees them."""

import json
import os
import signal
import smtplib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
import typer

from relay.cli import queue_act, why
from relay.cli.selecting import moment_of, seconds_of
from relay.deliver.actions import Count
from relay.deliver.reasons import Explained, Reason
from tests.integration.serving import Generations, Serving, configuration
from tests.process.relay import wait_until

ROUTES = """
[[route]]
name = "other"
host = "127.0.0.1"
port = 1
tls = "none"
recipients = ["other.test"]
"""


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Generations]:
    """With five mails of a campaign and one without, which nobody takes."""
    # "other" stands behind the route without rules, so nothing takes it by itself.
    with Serving.started(tmp_path_factory.mktemp("relay"), configuration(1, rest=ROUTES)) as relay:
        with smtplib.SMTP(*relay.now.address) as client:
            for n in range(6):
                campaign = "X-Relay-Campaign: May\r\n" if n else ""
                client.sendmail(
                    "a@example.com", [f"{n}@example.net"], f"{campaign}Subject: {n}\r\n\r\nHello\r\n"
                )
        yield relay


def ids(relay: Generations, *options: str) -> list[str]:
    listed = relay.command("queue", "list", "--json", *options)
    assert listed.returncode == 0, listed.stderr
    return [str(json.loads(line)["id"]) for line in listed.stdout.splitlines()]


def count(relay: Generations, *words: str) -> Count:
    done = relay.command("queue", *words, "--json")
    assert done.returncode == 0, done.stderr
    return msgspec.json.decode(done.stdout, type=Count)


def test_what_is_listed_is_what_is_acted_on(relay: Generations) -> None:
    assert len(ids(relay)) == 6
    assert len(ids(relay, "--campaign", "May")) == 5
    assert count(relay, "hold", "--campaign", "May", "--reason", "wrong list").changed == 5
    assert len(ids(relay, "--status", "held", "--reply", "wrong LIST")) == 5
    assert count(relay, "rebind", "other", "--recipient", "3@example.net").changed == 1
    assert len(ids(relay, "--route", "other")) == 1
    assert count(relay, "priority", "high", "--route", "other").changed == 1
    assert len(ids(relay, "--priority", "high")) == 1
    said = relay.command("queue", "release", "--campaign", "May")
    assert said.stdout == "5 mails released (5 recipients).\n"
    assert ids(relay, "--status", "held") == []


def test_a_mail_is_cancelled_by_its_id_when_that_is_meant(relay: Generations) -> None:
    id = ids(relay, "--recipient", "4@example.net")[0]
    unasked = relay.command("queue", "cancel", id)
    assert unasked.returncode == 64 and "--yes" in unasked.stderr
    assert count(relay, "cancel", id, "--yes").changed == 1
    assert id not in ids(relay)


@pytest.mark.parametrize(
    "option",
    ["--sender", "--recipient", "--route", "--campaign", "--priority", "--older-than", "--reply", "--status"],
)
@pytest.mark.parametrize("do", ["list", "hold"])
def test_an_option_left_empty_does_not_select_more(relay: Generations, do: str, option: str) -> None:
    # As a script writes it whose variable is not set.
    id = ids(relay, "--limit", "1")[0]
    said = relay.command("queue", do, id, option, "")
    assert said.returncode == 64 and option in said.stderr and "empty" in said.stderr
    assert ids(relay, "--status", "held") == []


def test_nothing_is_settled_without_saying_how_or_without_being_asked(relay: Generations) -> None:
    id = ids(relay)[0]
    assert relay.command("queue", "settle", id).returncode == 64
    unasked = relay.command("queue", "settle", id, "--arrived")
    assert unasked.returncode == 64 and "--yes" in unasked.stderr
    said = relay.command("queue", "settle", id, "--arrived", "--yes")
    assert (said.returncode, said.stdout) == (0, "No such mail waits; 1 mail looked at.\n")
    assert id in ids(relay)


def test_why_a_mail_waits_is_said_in_plain_words(relay: Generations) -> None:
    id = ids(relay, "--recipient", "0@example.net")[0]

    def said() -> str:
        return relay.command("why", id).stdout

    # Between two tries it is only its turn.
    told: list[str] = []
    wait_until(lambda: "waits for its next hop" in keep(told, said()))
    assert "127.0.0.1:1: cannot connect" in told[-1] and "goes on" in told[-1] and "1 queued" in told[-1]
    suspended = relay.command("suspend", "route", "sink", "--for", "1h", "--reason", "they move")
    assert suspended.returncode == 0 and "suspended until" in suspended.stdout
    text = said()
    assert "they move" in text and "m365-relay resume route sink" in text
    shown = relay.command("stopped")
    assert shown.returncode == 1 and "they move" in shown.stdout
    [stop] = map(json.loads, relay.command("stopped", "--json").stdout.splitlines())
    assert (stop["kind"], stop["name"], stop["is_suspended"]) == ("route", "sink", True)
    assert relay.command("resume", "route", "sink").returncode == 0
    assert relay.command("stopped").stdout == "Nothing has stopped.\n"
    assert relay.command("resume", "route", "sink").returncode == 1


def keep(told: list[str], text: str) -> str:
    told.append(text)
    return text


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (("queue", "hold"), 64, "nothing is selected"),
        (("queue", "hold", "--status", "delivered"), 64, "queued, deferred, held and uncertain"),
        (("queue", "hold", "--older-than", "5 parsecs"), 64, "5 parsecs"),
        (("queue", "list", "--priority", "urgent"), 64, "high, normal and bulk"),
        (("queue", "rebind", "nowhere", "--campaign", "x"), 69, "other"),
        (("suspend", "route", "snik"), 69, "sink"),
        (("suspend", "planet", "x"), 64, "recipient-domain"),
        (("suspend", "route", "sink", "--until", "whenever"), 64, "whenever"),
        (("why", "01hzy3qf0g800"), 69, "m365-relay trace 01hzy3qf0g800"),
        (("why", "ill"), 64, "queue list"),
        (("suspend", "campaign", ""), 64, "no name"),
        (("suspend", "campaign", "x", "--for", "1h", "--until", "06:00"), 64, "twice"),
        (("resume", "planet", "x"), 64, "recipient-domain"),
    ],
)
def test_what_cannot_be_done_is_said(
    relay: Generations, words: tuple[str, ...], status: int, says: str
) -> None:
    done = relay.command(*words)
    assert done.returncode == status, done.stderr
    assert says in " ".join(done.stderr.replace("│", " ").split()) and "Traceback" not in done.stderr


def test_who_did_what_stands_in_the_log(relay: Generations) -> None:
    relay.command("queue", "retry", "--all", "--yes")
    wait_until(lambda: any(line["do"] == "retry" for line in relay.now.events("command_ended")))
    [line] = [line for line in relay.now.events("command_ended") if line["do"] == "retry"]
    assert line["detail"] == "all mails" and line["by"] and line["problem"] == ""


def test_a_reload_keeps_the_socket(relay: Generations) -> None:
    before = relay.now.child("deliverer")
    os.kill(relay.now.process.pid, signal.SIGHUP)
    wait_until(lambda: relay.now.children().get("deliverer", before) != before)
    wait_until(lambda: relay.command("stopped").returncode == 0)


def test_without_a_relay_the_next_step_is_said(tmp_path: Path) -> None:
    (tmp_path / "relay.toml").write_text(configuration(1))
    done = Generations(tmp_path).command("stopped")
    assert done.returncode == 69
    assert "no relay runs" in done.stderr and "systemctl start" in done.stderr


# Words.


def test_a_moment_is_understood_as_people_write_it() -> None:
    now = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
    for text, moment in (
        ("13:30", datetime(2026, 11, 25, 13, 30, tzinfo=UTC)),
        ("06:00", datetime(2026, 11, 26, 6, 0, tzinfo=UTC)),
        ("2026-11-26 06:00", datetime(2026, 11, 26, 6, 0, tzinfo=UTC)),
        ("2026-11-26T06:00+01:00", datetime(2026, 11, 26, 5, 0, tzinfo=UTC)),
    ):
        assert moment_of(text, now, "--until") == moment, text
    for text in ("", "soon", "25:00", "2026-11-25 11:59", "2026-13-01"):
        with pytest.raises(typer.BadParameter):
            moment_of(text, now, "--until")


def test_a_time_is_understood_as_in_the_configuration() -> None:
    assert seconds_of("1h30m", "--for") == 5400
    with pytest.raises(typer.BadParameter):
        seconds_of("soon", "--for")


def test_an_order_that_did_not_do_all_says_what_to_do() -> None:
    lines = queue_act.sentences(
        "hold",
        Count(
            9, 8, 1, 1, unchanged=2, under_way=3, failed=2, damaged=1, trouble="no room", cut_short="it ends"
        ),
    )
    text = "\n".join(lines)
    for part in (
        "1 mail held",
        "2 mails selected that needed nothing",
        "3 mails under way",
        "no room",
        "spool check",
        "it ends",
    ):
        assert part in text
    assert queue_act.sentences("hold", Count(looked_at=4)) == ["No such mail waits; 4 mails looked at."]


def test_who_is_told_of_what_was_cancelled_is_said() -> None:
    lines = queue_act.sentences("cancel", Count(9, 8, 8, 8, told=8), is_told=True)
    assert lines == ["8 mails cancelled (8 recipients).", "Their senders get reports."]
    lines = queue_act.sentences("cancel", Count(9, 8, 8, 8, told=5), is_told=True)
    assert "Of 5 mails the sender gets a report" in lines[1] and "digest" in lines[1]
    assert queue_act.sentences("settle", Count(3, 2, 2, 2)) == ["2 mails settled (2 recipients)."]


def test_why_names_a_few_recipients_and_counts_the_rest() -> None:
    names = tuple(f"{n}@x.test" for n in range(8))
    reason = Reason("deferred", "put off", "r", names, since=90.0, until=3700.0, todo="retry")
    mail = Explained("id", 40.0, "", 5, "high", "May", "::1", {"deferred": 8}, [reason])
    text = "\n".join(why.sentences(mail, 100.0))
    assert "from <>" in text and "and 3 more" in text and "7@x.test" not in text
    assert "(10s)" in text and "in 1h" in text and "do: retry" in text
    assert why.age(90_061) == "1d 1h" and why.age(-5) == "0s"
