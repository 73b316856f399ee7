"""The answers of a period, and the page they stand on."""

from relay.audit.page import page
from relay.audit.report import GROUPS_MAX, Report, Section, between
from relay.audit.row import Row

T1, T2 = "2026-11-01T08:00:00.000Z", "2026-11-02T08:00:00.000Z"


def sections(*rows: Row) -> dict[str, Section]:
    report = Report()
    for row in rows:
        report.take({"time": T1, "process": "receiver-0"} | row)
    return {section.name: section for section in report.sections()}


def failed(name: str, **more: object) -> Row:
    given = {"event": "login_failed", "username": name, "client": "10.0.0.7", "listener": "l"}
    return given | {"mechanism": "PLAIN", "reason": "wrong password"} | more


def sender(tls: str, account: str = "erp") -> Row:
    return {"event": "sender_seen", "client": "10.0.0.7", "listener": "l", "account": account, "tls": tls}


def test_failed_logins_are_counted_together() -> None:
    found = sections(failed("erp"), failed("erp", time=T2), failed("crm"))["failed logins"]
    assert found.rows == [
        ("erp", "10.0.0.7", "l", "PLAIN", "wrong password", "2", T1, T2),
        ("crm", "10.0.0.7", "l", "PLAIN", "wrong password", "1", T1, T1),
    ]
    assert all(len(row) == len(found.columns) for row in found.rows)


def test_plain_text_and_weak_tls_stand_out() -> None:
    found = sections(
        sender(""), sender("TLSv1 AES128-SHA"), sender("TLSv1.1 X"), sender("TLSv1.2 X"), sender("TLSv1.3 X")
    )
    assert [row[:3] for row in found["plain text"].rows] == [("erp", "10.0.0.7", "l")]
    assert {row[3] for row in found["weak TLS"].rows} == {"TLSv1 AES128-SHA", "TLSv1.1 X"}
    assert len(found["senders"].rows) == 5


def test_changes_name_old_and_new_and_keys_stand_by_themselves() -> None:
    found = sections(
        {"event": "setting_changed", "key": "relay.drain", "old": "30 s", "new": None},
        {"event": "setting_changed", "key": "listener[0].certificate.fingerprint", "old": "aa", "new": "bb"},
    )
    assert found["changes"].rows[0][2:] == ("relay.drain", "30 s", "")
    assert len(found["changes"].rows) == 2
    assert found["keys"].rows == [(T1, "listener[0].certificate.fingerprint", "was aa", "is bb")]


def test_who_did_what_is_listed() -> None:
    row: Row = {"event": "client_changed", "by": "alice as root", "action": "disable", "client": "erp"}
    assert sections(row)["actions"].rows == [
        (T1, "alice as root", "client_changed", "action: disable, client: erp")
    ]


def test_details_are_for_people() -> None:
    suspended: Row = {
        "event": "suspended",
        "by": "root",
        "name": "spring",
        "reason": "",
        "until": 1795599784.26,
    }
    for_good: Row = {"event": "suspended", "by": "root", "name": "autumn", "until": 0.0}
    # Its time had come.
    resumed: Row = {"event": "resumed", "by": "", "name": "spring", "seconds": 20.00289225578308}
    assert [row[1:] for row in sections(suspended, for_good, resumed)["actions"].rows] == [
        ("root", "suspended", "name: spring, until: 2026-11-25T09:43:04Z"),
        ("root", "suspended", "name: autumn"),
        ("the relay", "resumed", "name: spring, seconds: 20.003"),
    ]


def test_settings_that_changed_unrecorded_show() -> None:
    first: Row = {"event": "settings_in_force", "before": "", "sha256": "aa"}
    good: Row = {"event": "settings_in_force", "before": "aa", "sha256": "bb"}
    bad: Row = {"event": "settings_in_force", "before": "zz", "sha256": "cc"}
    assert sections(first, good)["changes"].rows == []
    assert "settings.json was changed" in sections(first, bad)["changes"].rows[0][2]


def test_that_rows_were_lost_is_told() -> None:
    found = sections({"event": "rows_lost", "rows": 7})["running"]
    assert found.rows == [(T1, "receiver-0", "rows were lost: the disk took none for too long", "rows: 7")]


def test_a_report_has_a_bound() -> None:
    found = sections(*(failed(str(n)) for n in range(GROUPS_MAX + 5)))["failed logins"]
    assert len(found.rows) == GROUPS_MAX and found.left_out == 5


def test_a_period_begins_with_its_first_moment_and_ends_before_its_last() -> None:
    rows: list[Row] = [{"time": T1}, {"time": T2}, {"time": "never"}]
    begin, end = 1_793_520_000.0, 1_793_606_400.0
    assert list(between(rows, begin, end)) == [{"time": T1}]
    assert list(between(rows, begin, end + 1)) == [{"time": T1}, {"time": T2}]


def test_what_a_client_calls_itself_is_no_html() -> None:
    found = sections(failed("<script>alert(1)</script>"))
    text = page("t", "p", "v", is_good=True, sections=list(found.values()))
    assert "<script" not in text and "&lt;script&gt;" in text
    assert "Nothing in this period." in text
