"""`client seen` and `client adopt`, as a shell sees them: from the record to a rule."""

import csv
import io
import json
import time
from pathlib import Path

import pytest

from relay.budget.ring import Counted, Per, Quota
from relay.trace.seen.sighting import LEARNING, NETWORK, NOTHING, Sighting, Who
from relay.trace.seen.store import SeenStore
from tests.cli.test_client import Shell

TENANT = '[tenant]\ndomains = ["contoso.com"]\n'
SCANNER = Who("learning:10.20.0.7", "10.20.0.7", LEARNING)
ERP = Who("erp", "10.1.0.1", "PLAIN")
NEW_ERP = Who("erp", "10.1.0.2", "OAUTHBEARER")
PRINTER = Who("printer", "10.0.0.7", NETWORK)
OLD = Who("", "10.30.0.1", NOTHING)


def sighting(
    mails: int, *, is_tls: bool, now: float, senders: tuple[str, ...] = ("a@contoso.com",)
) -> Sighting:
    seen = Sighting(first=now - 5 * 86_400)
    for _ in range(mails):
        seen.mailed(now, 1_500_000, 2, is_tls=is_tls)
    for sender in senders:
        seen.keep("senders", seen.senders, sender)
    seen.tls = {"TLSv1.3 TLS_AES_256_GCM_SHA384"} if is_tls else {""}
    return seen


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    shell = Shell(tmp_path)
    configuration = tmp_path / "relay.toml"
    configuration.write_text(configuration.read_text() + TENANT)
    now = time.time()
    scanner = sighting(9, is_tls=False, now=now, senders=("Scan@contoso.com", "scan@contoso.com"))
    scanner.authors, scanner.routes, scanner.helos = {"scan@contoso.com"}, {"smarthost", "gone"}, {"MFP-7"}
    scanner.tried = {"LOGIN without TLS as scan\\x1b: unknown user"}
    scanner.refused, scanner.refusals = (
        2,
        {"RCPT partner.example: 550 5.7.1 You may not send to this recipient\x1b[2J"},
    )
    batch = {
        SCANNER: scanner,
        ERP: sighting(4, is_tls=True, now=now - 10 * 86_400),
        NEW_ERP: sighting(5, is_tls=True, now=now),
        PRINTER: sighting(6, is_tls=False, now=now, senders=("=cmd|' /C calc'!A0@contoso.com",)),
        OLD: sighting(1, is_tls=True, now=now - 20 * 86_400, senders=("", "app@contoso.com")),
    }
    (tmp_path / "spool").mkdir(mode=0o700)
    store = SeenStore(tmp_path / "spool" / "seen.db", 90 * 86_400.0)
    store.add(batch, now)
    store.close()
    return shell


def addresses(shell: Shell, *arguments: str) -> list[str]:
    return sorted(row["address"] for row in json.loads(shell.run("seen", "--json", *arguments)))


def test_all_are_shown_with_their_ways_in(shell: Shell) -> None:
    rows = {row["address"]: row for row in json.loads(shell.run("seen", "--json"))}
    assert len(rows) == 5
    erp, scanner = rows["10.1.0.1"], rows["10.20.0.7"]
    assert (erp["client"], erp["way"], erp["mails"], erp["mails_without_tls"]) == ("erp", "PLAIN", 4, 0)
    assert (scanner["mails_without_tls"], scanner["refused"], scanner["from"]) == (9, 2, ["scan@contoso.com"])
    assert rows["10.30.0.1"]["senders"] == ["<>", "app@contoso.com"]
    said = shell.run("seen")
    assert "OAUTHBEARER" in said and "9 without TLS" in said and "tried LOGIN without TLS" in said
    assert "(unknown)" in said


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--basic-auth",), ["10.1.0.1", "10.20.0.7"]),
        (("--plain-text",), ["10.0.0.7", "10.20.0.7"]),
        (("--unknown",), ["10.20.0.7", "10.30.0.1"]),
        (("--since", "15d"), ["10.0.0.7", "10.1.0.1", "10.1.0.2", "10.20.0.7"]),
        (("--basic-auth", "--since", "2d"), ["10.20.0.7"]),
        (("--basic-auth", "--unknown", "--plain-text"), ["10.20.0.7"]),
    ],
)
def test_filters_say_who_is_left_to_do(shell: Shell, options: tuple[str, ...], expected: list[str]) -> None:
    assert addresses(shell, *options) == expected


def test_nothing_that_a_stranger_wrote_moves_a_cursor_or_is_a_formula(shell: Shell) -> None:
    assert "\x1b" not in shell.run("seen")
    rows = list(csv.DictReader(io.StringIO(shell.run("seen", "--csv"))))
    (printer,) = [row for row in rows if row["address"] == "10.0.0.7"]
    assert printer["senders"].startswith("'=cmd")
    assert "one of --json and --csv" in " ".join(shell.run("seen", "--csv", "--json", status=64).split())


def test_an_empty_record_says_why(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    assert "Nobody was seen yet" in shell.run("seen")
    (tmp_path / "relay.toml").write_text(
        (tmp_path / "relay.toml").read_text() + "[inventory]\nenabled = false\n"
    )
    assert "inventory.enabled is false" in shell.run("seen")


def test_a_device_becomes_a_client_that_may_do_what_it_did(shell: Shell) -> None:
    said = shell.run("adopt", "10.20.0.7", "--name", "mfp-7", "--yes")
    assert "9 mails" in said and "tried to log in: LOGIN without TLS" in said and "reload" in said
    assert 'senders = ["scan@contoso.com"]' in said and "\x1b" not in said
    client = shell.client("mfp-7")
    assert client.networks == ("10.20.0.7/32",) and not client.passwords and not client.username
    policy = client.policy
    assert (policy.senders, policy.authors) == (("scan@contoso.com",), ("scan@contoso.com",))
    assert (policy.recipients, policy.routes) == (("inside",), ("smarthost",))
    assert (policy.message_bytes, policy.recipients_per_message) == (3_145_728, 5)
    assert policy.quotas == (Quota(Counted.MESSAGES, Per.DAY, 27),)
    assert "is the client mfp-7 already" in shell.run("adopt", "10.20.0.7", "--yes", status=78)


def test_one_that_an_open_listener_served_is_adopted_alike(shell: Shell) -> None:
    report = json.loads(shell.run("adopt", "10.30.0.1", "--yes", "--json"))
    assert report["added"] and report["client"]["name"] == "device-10-30-0-1"
    assert shell.client("device-10-30-0-1").policy.senders == ("<>", "app@contoso.com")
    assert shell.client("device-10-30-0-1").policy.quotas == (Quota(Counted.MESSAGES, Per.DAY, 20),)


def test_a_dry_run_shows_the_rule_and_changes_nothing(shell: Shell) -> None:
    said = shell.run("adopt", "learning:10.20.0.7", "--dry-run")
    assert "[[client]]" in said and 'networks = ["10.20.0.7/32"]' in said
    assert not shell.file.exists()


def test_nobody_is_adopted_unasked(shell: Shell) -> None:
    assert "say --yes" in " ".join(shell.run("adopt", "10.20.0.7", status=64).split())
    assert not shell.file.exists()


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("mfp-7",), 64, "write the device's address"),
        (("10.9.9.9",), 78, "no mail of 10.9.9.9 was seen"),
        (("10.0.0.7",), 78, "10.0.0.7 is the client printer already"),
        (("10.20.0.7", "--route", "moon"), 78, 'names no route: "moon"'),
        (("10.20.0.7", "--name", "printer"), 78, "there is a client printer already"),
    ],
)
def test_what_cannot_be_adopted_is_told(
    shell: Shell, arguments: tuple[str, ...], status: int, said: str
) -> None:
    assert said in " ".join(shell.run("adopt", *arguments, "--yes", status=status).split())
    assert not shell.file.exists()


def test_where_not_all_senders_were_kept_the_rule_names_their_domains(shell: Shell) -> None:
    now = time.time()
    many = Who("", "10.40.0.1", NOTHING)
    seen = sighting(1, is_tls=True, now=now, senders=tuple(f"user{n}@contoso.com" for n in range(40)))
    seen.domains, seen.outside = {"partner.example"}, 3
    store = SeenStore(shell.folder / "spool" / "seen.db", 90 * 86_400.0)
    store.add({many: seen}, now)
    store.close()
    said = shell.run("adopt", "10.40.0.1", "--dry-run")
    assert 'senders = ["contoso.com"]' in said and "the rule is wider there" in said
    assert 'recipients = ["inside", "partner.example"]' in said


def test_who_was_adopted_is_recorded_for_the_auditor(shell: Shell) -> None:
    configuration = shell.folder / "relay.toml"
    configuration.write_text(configuration.read_text() + '[audit]\npath = "audit"\n')
    shell.run("adopt", "10.20.0.7", "--yes")
    rows = [
        json.loads(line)
        for file in sorted((shell.folder / "audit").glob("*"))
        if file.suffix in (".jsonl", ".log")
        for line in file.read_text().splitlines()
    ]
    (row,) = [row for row in rows if row.get("event") == "client_changed"]
    assert (row["action"], row["client"], row["old"]) == ("adopt", "device-10-20-0-7", None)
    assert row["new"]["networks"] == ["10.20.0.7/32"]
